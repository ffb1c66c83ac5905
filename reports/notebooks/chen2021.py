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
# the predicted class, and then asks what makes a network withstand them. The chapters shown here ask whether a
# Frank-Wolfe step serves an attacker better than a projected one, what a hard-label attack with hardly any settings
# says of defences that gradient attacks praise, what the width of a network has to do with its robustness, and how
# robust a network becomes when every attack inside its training is a single step.
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
# ## Chapter 5: width
#
# An image is robust if the network is right on it and its answer is the same in the whole ball. The second alone is
# perturbation stability. Wider networks are right more often, and less stable: at one weight lambda of the robust loss
# the widest need not be the most robust.

# %%
page.show("figure-5-2", "figure-5-1", "figure-5-3")

# %%
page.verdicts(
    "wider-networks-have-less-natural-and-more-robust-loss",
    "natural-accuracy-rises-while-stability-falls",
    "robust-overfitting-is-a-loss-of-stability",
)

# %% [markdown]
# The work's reason is that wide networks are steeper: the local Lipschitz constant, estimated on the way of the attack
# inside training, is larger for them.

# %%
page.show("figure-5-4")

# %%
page.verdicts("wider-networks-have-larger-lipschitz-constants")

# %% [markdown]
# Hence lambda has to grow with width. Every network was trained with several, by TRADES and by adversarial training
# with a weight of its own.

# %%
page.show("table-5-1", "table-5-2", "figure-5-5")

# %%
page.verdicts(
    "stability-falls-with-width",
    "stability-rises-with-lambda",
    "natural-accuracy-falls-with-lambda",
    "natural-accuracy-rises-with-width",
    "the-best-lambda-grows-with-width",
    "a-larger-lambda-makes-the-widest-network-more-robust",
    "the-widest-network-needs-a-larger-lambda-to-lead",
    "the-best-lambda-depends-on-width-under-every-attack",
    "attacks-rank-alike-on-every-network",
    "longer-steps-attack-better",
    "exponential-decay-is-the-best-schedule",
)

# %% [markdown]
# Width adjusted regularization finds lambda while the network learns: it keeps the natural loss a fixed number of times
# as large as the robust one, a ratio that is measured once on a thin network. The ratio belongs to the data: where
# images are so easy that it is out of reach, lambda grows without end.

# %%
page.show("table-5-3", "table-5-4")

# %%
page.verdicts(
    "adjusted-networks-are-as-robust-as-tuned-ones",
    "adjusted-lambdas-grow-with-width",
    "adjusting-lambda-takes-fewer-hours",
    "adjusted-networks-withstand-autoattack-more-often",
    "more-width-helps-with-unlabeled-images",
    "adjusted-networks-beat-rst",
    "war-does-not-depend-on-its-rate",
)

# %% [markdown]
# ## Chapter 6: adversarial training in one step
#
# Fast AT attacks in a single step from a random start. Without that start the long step overshoots: the attacked images
# have a lower loss than the clean ones, and the network is no longer robust. Even with it trainings differ, and TRADES,
# with ten steps, is well ahead.

# %%
page.show("figure-6-1", "table-6-1", "figure-6-4")

# %%
page.verdicts(
    "without-a-random-start-the-attack-lowers-the-loss",
    "fast-at-is-unstable",
    "trades-leaves-fast-forms-far-behind",
)

# %% [markdown]
# Backward Smoothing draws the random point around the network's answer instead of around the image, steps to where the
# answer is near that point, and starts the one step of TRADES there. The work reports the robustness of TRADES in a
# third of its time.

# %%
page.show("figure-6-2", "figure-6-3", "table-6-2", "table-6-3", "table-6-4", "table-6-5")

# %%
page.verdicts(
    "backward-smoothing-finds-flatter-points",
    "backward-smoothing-is-the-most-robust-fast-method",
    "backward-smoothing-keeps-up-with-slow-methods",
    "backward-smoothing-takes-a-third-of-the-time-of-trades",
    "backward-smoothing-is-below-trades-on-a-wide-network",
    "backward-smoothing-varies-less-than-fast-at",
)

# %% [markdown]
# What it depends on: the step must not be longer than the radius by much, beta trades natural for robust accuracy, and
# size and number of the random points matter little.

# %%
page.show("table-6-6", "table-6-10", "table-6-11", "table-6-12", "table-6-8", "table-6-9", "table-6-15")

# %%
page.verdicts(
    "longer-steps-than-the-radius-collapse",
    "more-random-points-gain-little",
    "the-size-of-random-points-matters-little",
    "a-larger-beta-costs-natural-accuracy",
    "the-start-alone-is-weaker-than-a-step",
    "starts-towards-random-answers-beat-diversified-ones",
)

# %% [markdown]
# With another schedule and at other radii:

# %%
page.show("table-6-7", "table-6-13", "table-6-14")

# %%
page.verdicts(
    "cyclic-rates-keep-the-order",
    "cyclic-rates-keep-the-ratio-of-times",
    "a-smaller-radius-keeps-the-order",
    "a-larger-radius-sets-fast-methods-back",
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
