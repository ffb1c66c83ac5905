# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Evaluating and understanding adversarial robustness
#
# Jinghui Chen's dissertation (UCLA, 2021) builds attacks that need less: fewer steps, fewer queries, or nothing but
# the predicted class. The chapters shown here ask whether a Frank-Wolfe step serves an attacker better than a
# projected one, and what a hard-label attack with hardly any settings says of defences that gradient attacks praise.
#
# Under each question stand the tables and figures drawn again, with the published numbers beside ours, and the
# verdicts on what the work says.

# %% tags=["parameters"]
work = "chen2021"
scale = "demo"
reports = "reports"

# %%
from gauntlet.reporting.narrative import Narrative

page = Narrative(work, scale, reports)
page.overview()

# %% [markdown]
# ## The setting
#
# A small step along the sign of the gradient changes what a network sees. How an attacker finds such steps depends on
# what the network shows: everything, its scores, or only the class it predicts.

# %%
page.show("figure-1-1", "figure-1-2")

# %% [markdown]
# ## Chapter 2: attacks without projection
#
# The Frank-Wolfe attack moves a share of the way to the vertex of the ball that the averaged gradient points at. Its
# iterates are mixtures of points of the ball, so that nothing has to be projected, and each step also pulls back
# towards the clean image. The work reports the same success as PGD in fewer steps and with smaller perturbations.

# %%
page.show("table-2-1", "table-2-2", "table-2-4")

# %%
page.verdicts(
    "iterative-attacks-reach-every-image",
    "frank-wolfe-needs-the-fewest-iterations",
    "frank-wolfe-perturbs-least",
    "pgd-and-mi-fgsm-fill-the-ball",
    "iterative-attacks-are-alike-on-a-robust-network",
)

# %% [markdown]
# With estimated gradients the same step attacks a network through its scores. What counts here is the number of
# queries.

# %%
page.show("table-2-3", "figure-2-1", "table-2-5")

# %%
page.verdicts(
    "frank-wolfe-succeeds-most-often-by-scores",
    "frank-wolfe-halves-the-queries",
    "sphere-and-gaussian-directions-are-alike",
    "bandit-is-quick-where-it-succeeds",
    "bandit-leads-early-and-ends-last",
    "frank-wolfe-is-the-fastest-black-box-attack",
    "frank-wolfe-takes-fewest-queries-on-a-robust-network",
)

# %% [markdown]
# ## Chapter 3: only the predicted class
#
# RayS searches the corners of the cube of signs, flips blocks that get smaller, and drops most directions after a
# single query.

# %%
page.show("figure-3-1")

# %% [markdown]
# On networks without defence the work reports more successes than any other hard-label attack, in fewer queries.

# %%
page.show("table-3-1", "table-3-2", "table-3-3", "table-3-4", "figure-3-2")

# %%
page.verdicts(
    "rays-succeeds-most-often",
    "only-rays-succeeds-on-imagenet",
    "rays-takes-the-fewest-queries",
    "sign-opt-takes-more-queries-than-opt",
    "pgd-reaches-every-undefended-image",
    "rays-is-deterministic",
)

# %% [markdown]
# Run without a radius, RayS measures how far the decision boundary is. On some published defences that distance, and
# the robust accuracy it implies, is much smaller than gradient attacks suggest: they are falsely robust.

# %%
page.show("table-3-5", "table-3-6", "table-3-7", "table-3-8", "table-3-9", "figure-3-3")

# %%
page.verdicts(
    "rays-is-far-below-hsja-on-defended-networks",
    "rays-finds-nearer-boundaries",
    "rays-is-close-to-white-box-attacks-on-honest-defences",
    "rays-reveals-falsely-robust-networks",
    "rays-reverses-the-ranking-by-pgd",
    "falsely-robust-networks-have-equal-boundary-distances",
    "margin-attacks-reveal-feature-scattering",
    "even-hsja-goes-below-pgd",
    "rays-converges-in-a-quarter-of-its-queries",
    "other-attacks-use-the-whole-radius",
)

# %% [markdown]
# ## Everything else

# %%
page.others()

# %% [markdown]
# ## Make one of them again
#
# Each table and figure is one target. This command makes Table 3.1 again from its evaluation, and the evaluation first
# if it is absent or a setting of its has changed:

# %%
page.rerun("table-3-1")
