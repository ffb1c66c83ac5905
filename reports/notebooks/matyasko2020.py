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
# # Towards deep neural networks robust to adversarial examples
#
# Alexander Matyasko's doctoral thesis (Nanyang Technological University, 2020) asks what makes a network robust, and how
# small the perturbations are that fool it. Chapter 3 trains networks for a wide margin. Chapter 5 looks for the smallest
# perturbation that changes a network's decision, and makes a game of it: one player moves the perturbation, the other
# raises the weight of the decision while it still stands, and lowers it once it has fallen. Both move at once, so that
# no search over the weight is needed. Adam plays for the l2 norm (PDGD), proximal steps play for the norms that are not
# smooth (PDPGD).

# %% tags=["parameters"]
work = "matyasko2020"
scale = "demo"
reports = "reports"

# %%
from gauntlet.reporting.narrative import Narrative

page = Narrative(work, scale, reports)
page.overview()

# %% [markdown]
# ## Background (chapters 1 and 2)
#
# What an adversarial image is, the networks, and the attacks that later chapters build on. Pictures that the work borrows
# from ImageNet networks are redrawn with a network of chapter 3.

# %%
page.show("figure-1-1", "figure-2-4", "figure-2-5", "figure-2-6")

# %%
page.show("figure-2-1", "figure-2-2", "figure-2-3", "figure-2-7", "figure-2-8")

# %% [markdown]
# ## Margin maximization (chapter 3)
#
# To first order the distance of an image to the boundary of a class is the lead of the true logit over the norm of the
# difference of two gradients, the margin sensitivity. A hinge loss raises the lead, a penalty lowers the sensitivity. It
# is differentiated through the gradients.

# %%
page.show("figure-3-2", "figure-3-3", "table-theorem-3-4-1")

# %% [markdown]
# ## MNIST: margins and other defences
#
# Adversarial training with FGSM is best on FGSM; robustness under DeepFool is another matter.

# %%
page.show("table-3-1", "figure-3-6")

# %% [markdown]
# ## How strong the penalty should be
#
# DeepFool fails where gradients are masked. A large rho then says nothing of the network; the share of failures is in the
# csv.

# %%
page.show("figure-3-4", "figure-3-5")

# %% [markdown]
# ## What fools them

# %%
page.show("figure-3-1", "figure-3-7")

# %% [markdown]
# ## CIFAR-10: Network in Network behind whitening

# %%
page.show("table-3-2")

# %% [markdown]
# ## The attacked networks of chapter 5
#
# Two data sets, three networks each: naturally trained, and trained against perturbations in the l-infinity and the l2
# ball.

# %%
page.show("table-5-text")

# %% [markdown]
# ## Ten digits
#
# What the smallest perturbations look like: spread thinly over the picture (l-infinity), smooth (l2), a few strokes
# (l1), single pixels (l0).

# %%
page.show("figure-5-1")

# %% [markdown]
# ## MNIST: how small perturbations get
#
# Means are over the images that an attack succeeds on; an attack that fails on hard images looks better than it is.

# %%
page.show("table-5-1", "figure-5-curves")

# %% [markdown]
# ## MNIST: robust accuracies

# %%
page.show("table-5-2", "table-5-3", "table-5-4")

# %% [markdown]
# ## CIFAR-10

# %%
page.show("table-5-5")

# %%
page.show("table-5-6", "table-5-7", "table-5-8")

# %% [markdown]
# ## How the game was played

# %%
page.show("table-5-algorithms")

# %% [markdown]
# ## Chapter 4: a critic of adversarial images
#
# If a network is robust, changing its mind takes changing the picture: its adversarial images should look like members
# of the class that they reach. A critic learns to tell natural members of a class from adversarial ones, and the network
# is trained to have its adversarial images pass. The attack in the loop aims at confidence, not at the boundary.

# %%
page.show("figure-4-3", "table-4-1")

# %% [markdown]
# ### What the images look like
#
# Two digits that become each other, every digit as every other, and how sure the network is of them.

# %%
page.show("figure-4-1", "figure-4-2", "figure-4-4")

# %% [markdown]
# ### What people saw
#
# The work asked people to read the adversarial images. Their answers stand as published; a program cannot repeat the
# study. What classifiers of other kinds read is a table of its own, and no verdict rests on it.

# %%
page.show("table-4-2", "figure-4-5", "table-4-judges")

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
# This command makes Table 5.1 again from its evaluations:

# %%
page.rerun("table-5-1")
