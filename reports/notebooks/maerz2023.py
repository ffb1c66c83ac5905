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
# # Robust optimization for adversarial deep learning
#
# Lars Steffen März's master's thesis (TU Darmstadt, 2023) reads adversarial training as robust optimization and
# asks four practical questions: how the step lengths of a gradient attack should shrink, how one radius is to be
# carried over from one norm to another, how the parameter gradients of weak and strong attacks relate, and how far
# a derivative-free black-box attack gets against defended networks.
#
# This page follows these four questions. Under each stand the figures and tables drawn again, with the published
# numbers beside ours, and the verdicts on what the work says.

# %% tags=["parameters"]
work = "maerz2023"
scale = "demo"
reports = "reports"

# %%
from gauntlet.reporting.narrative import Narrative

page = Narrative(work, scale, reports)
page.overview()

# %% [markdown]
# ## The setting
#
# The work sorts attacks by what the attacker knows and wants, and defences by when they act and what they promise.
# All white-box experiments share one attack: an l1, l2 or l-infinity ascent whose step lengths are constant or decay
# harmonically or geometrically, with or without random perturbations between the steps.

# %%
page.show("table-1-*", "figure-1-5", "table-2-1", "figure-2-*")

# %% [markdown]
# The examples: a picture, the perturbation, and what the network says of both.

# %%
page.show("figure-1-1", "figure-1-2", "figure-1-3")

# %% [markdown]
# ## A remark on Danskin's theorem
#
# The gradient at a worst-case perturbation is a descent direction only where that perturbation is unique or exactly
# optimal. A quadratic function shows how an almost optimal perturbation can point the other way.

# %%
page.show("figure-3-*")

# %% [markdown]
# ## Contribution 1: step lengths, and a confidence of exactly zero
#
# The work reports that harmonically shrinking steps drive the confidence in the true class to exactly zero in
# 32-bit arithmetic, that constant and geometric steps do not, and that accuracies hardly depend on the scheme.

# %%
page.show("table-4-1", "table-4-2", "table-step-schemes", "figure-4-4", "figure-4-5")

# %% [markdown]
# ## Contribution 2: one radius, three norms
#
# Two rules carry a radius from one norm to another. *T* keeps the volume of the ball, *T-bar* takes the smallest ball
# that contains the original one. The work finds attacks in the l1 and l2 norm nearly harmless at the same number, and
# about as strong as the l-infinity attack after rescaling.

# %%
page.show("figure-4-2", "figure-4-3", "table-4-3", "table-4-4", "table-4-5", "table-4-6")

# %%
page.show("figure-4-6", "figure-4-7", "figure-4-8")

# %% [markdown]
# ## Contribution 3: gradients of weak and strong attacks
#
# How similar are the parameter gradients of the loss at examples attacked with one step and with sixteen? The heatmaps
# show the median cosine and angle over the images for every pair of perturbations.

# %%
page.show("figure-4-9", "figure-4-10", "figure-4-11")

# %% [markdown]
# ## Contribution 4: a black-box attack without derivatives
#
# BOBYQA fits linear models to the scores of the network on blocks of pixels that get smaller by and by. The curves
# show how many queries it needs to reach a target class on an undefended network and three defended ones; the
# released lists of the work stand below. A smoothed network answers each query for one noisy draw. Two more numbers
# tell what such a success is worth: how often the attack wins when the noise is left out, as in the work's runs, and
# how many of the final images the smoothed classifier confirms by many draws.

# %%
page.show("table-4-7", "table-4-8", "figure-4-12", "figure-2-6")

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
# Each table and figure is one target. This command makes Table 4.3 again from its evaluations, and the evaluations
# first if they are absent or a setting of theirs has changed:

# %%
page.rerun("table-4-3")
