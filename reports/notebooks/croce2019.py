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
# # The linear region attack
#
# Networks of ReLU type are affine inside each linear region, and there the nearest adversarial point solves a quadratic
# program. Francesco Croce, Jonas Rauber and Matthias Hein (2019) solve such programs without ever forming their
# matrices, in one region after another near the best point found so far. Their question: how far do established attacks
# overestimate robustness in the l2 norm?

# %% tags=["parameters"]
work = "croce2019"
scale = "demo"
reports = "reports"

# %%
from gauntlet.reporting.narrative import Narrative

page = Narrative(work, scale, reports)
page.overview()

# %% [markdown]
# ## How far attacks stay behind the best one
#
# For every model and radius the strongest attack sets the mark; the table gives the mean and the largest distance of
# each attack from it.

# %%
page.show("table-1")

# %% [markdown]
# ## Plain and adversarially trained models

# %%
page.show("table-2", "table-3", "table-4")

# %% [markdown]
# ## Provably robust models
#
# Trained by maximum margin regularization (MMR-at) or on a convex outer bound (KW), and attacked at radii beyond those
# of their guarantees.

# %%
page.show("table-5", "table-6")

# %% [markdown]
# ## A large residual network, and what it costs

# %%
page.show("table-7", "table-runtime")

# %% [markdown]
# ## How the search depends on its parameters
#
# The bias *q* says how often the next reference point lies towards the image, the locality *γ* how close it stays to
# the best point.

# %%
page.show("figure-1", "figure-2", "figure-3", "figure-4")

# %% [markdown]
# ## Runs in pictures

# %%
page.show("figure-5", "figure-6")

# %% [markdown]
# ## Everything else

# %%
page.others()

# %% [markdown]
# ## Verdicts

# %%
page.verdicts()

# %% [markdown]
# ## Make one of them again
#
# This command makes Table 2 again from its evaluations:

# %%
page.rerun("table-2")
