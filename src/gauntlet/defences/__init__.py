"""Defences: ways to train a network. Importing the package registers them."""

from gauntlet.defences import (
    adversarial_training,
    consistency,
    convex_outer_bound,
    each_member,
    gaussian,
    generalized_consistency,
    macer,
    mmr_at,
    natural,
    smooth_adv,
    stability,
    trades,
)

__all__ = [
    "adversarial_training",
    "consistency",
    "convex_outer_bound",
    "each_member",
    "gaussian",
    "generalized_consistency",
    "macer",
    "mmr_at",
    "natural",
    "smooth_adv",
    "stability",
    "trades",
]
