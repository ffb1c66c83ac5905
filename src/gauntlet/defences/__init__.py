"""Defences: ways to train a network. Importing the package registers them."""

from gauntlet.defences import (
    adversarial_training,
    consistency,
    each_member,
    gaussian,
    generalized_consistency,
    macer,
    natural,
    smooth_adv,
    stability,
)

__all__ = [
    "adversarial_training",
    "consistency",
    "each_member",
    "gaussian",
    "generalized_consistency",
    "macer",
    "natural",
    "smooth_adv",
    "stability",
]
