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
# # Trustworthy and certified robustness
#
# Xia Song's dissertation (Nanyang Technological University) trains image classifiers for randomized smoothing: a
# classifier that votes over Gaussian noise on its input can be certified within an l2 radius. Two things are
# proposed. *Generalized consistency* asks noisy copies of an image to agree only where the classifier is right.
# *Linear decomposition* removes the directions of the input in which noise drowns the images.
#
# This page first sets the scene, then compares the proposed method with four others, and then takes it apart. Under
# each question stand tables and figures with the published numbers beside ours, and the verdicts on the claims.

# %% tags=["parameters"]
work = "song"
scale = "demo"
reports = "reports"

# %%
from gauntlet.reporting.narrative import Narrative

page = Narrative(work, scale, reports)
page.overview()

# %% [markdown]
# ## The setting
#
# Convolution and pooling, what attacks do to images, and two early defences.

# %%
page.show("figure-2-*")

# %% [markdown]
# ## A gradient without bound
#
# MACER maximizes the certified radius itself. The derivative of that radius grows beyond every bound as the smoothed
# probability tends to one; a soft mapping and a threshold tame it.

# %%
page.show("figure-3-1")
page.verdicts(
    "soft-mapping-bounds-the-gradient",
)

# %% [markdown]
# ## Which directions noise leaves
#
# Averaging logits instead of probabilities lets single noisy copies weigh more. Most principal directions of the
# images vary less than the noise does.

# %%
page.show("figure-4-*", "table-principal-directions")

# %% [markdown]
# ## The comparison
#
# Every method is certified on the same images, at the noise that it was trained with. The area under a curve of
# certified accuracy is the average certified radius (ACR).

# %%
page.show("table-5-1", "figure-5-1")

# %%
page.verdicts(
    "acr-orders-the-methods-at-low-noise",
    "acr-orders-the-methods-at-high-noise",
    "ours-improves-on-consistency",
    "ours-beats-consistency-at-every-radius",
    "ours-slightly-exceeds-the-ensemble",
    "macer-lies-between-gaussian-and-consistency",
    "low-noise-certifies-nothing-at-radius-one",
)

# %% [markdown]
# ## The cost
#
# Time and memory depend on the machine, their ratios less so.

# %%
page.show("table-5-2")

# %%
page.verdicts(
    "training-cost-rises-from-gaussian-to-macer",
    "ours-takes-four-times-as-long-as-gaussian",
    "ours-costs-a-third-of-the-ensemble",
    "ours-adds-little-cost-over-consistency",
    "more-copies-estimate-better-at-proportional-cost",
)

# %% [markdown]
# ## The two contributions apart

# %%
page.show("figure-5-2", "table-convergence", "figure-5-3", "table-two-factors")

# %%
page.verdicts(
    "decomposition-raises-the-acr",
    "decomposition-raises-accuracy-at-every-radius",
    "decomposition-raises-clean-accuracy",
    "generalized-consistency-converges-faster-and-higher",
    "most-principal-directions-drown-in-noise",
)

# %% [markdown]
# ## Everything else

# %%
page.others()

# %% [markdown]
# ## Make one of them again
#
# Each table and figure is one target. This command makes Table 5.1 again from its evaluations, and trains and
# certifies the networks first where their results are absent or a setting of theirs has changed:

# %%
page.rerun("table-5-1")
