"""Criterion of an attack, the images that meet it as they are, and whether those found do."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from gauntlet.attacks.geometry.sizes import where_images
from gauntlet.contracts import Batch, Classifier
from gauntlet.errors import ConfigurationError

TargetRule = Literal["samples", "none", "least_likely"]
"""Class that an attack aims at: the target of the sample (where samples bring none: any wrong class), none at all
even where they do, or the class that the network finds the least likely in the clean image."""


def aimed(model: Classifier, batch: Batch, rule: TargetRule) -> Batch:
    """Return the batch with the criterion that the rule asks for."""
    if rule == "samples" or (rule == "none" and batch.targets is None):
        return batch
    if rule == "none":
        return replace(batch, targets=None)
    with torch.no_grad():
        return replace(batch, targets=model(batch.images).argmin(1))


def refuse_targets(batch: Batch, attack: str) -> None:
    """Raise ConfigurationError where an attack that knows success by any wrong class only is asked for more."""
    if batch.targets is not None:
        raise ConfigurationError(
            f"{attack} cannot aim at targets, and the samples bring some",
            key="samples.targets",
            valid="samples without targets, or another attack",
        )
    refuse_confidence(batch, attack)


def refuse_confidence(batch: Batch, attack: str) -> None:
    """Raise ConfigurationError where an attack that stops at the boundary is asked to go beyond it."""
    if batch.confidence > 0:
        raise ConfigurationError(
            f"{attack} knows no confidence", key="confidence", found=batch.confidence, valid="0"
        )


@torch.no_grad()
def unmet(model: Classifier, batch: Batch) -> Tensor:
    """Return the positions of the images that there is something to attack in: no success as they are."""
    return (~batch.criterion.met_by(model(batch.images))).nonzero().squeeze(1)


@torch.no_grad()
def recheck_adversarial(model: Classifier, batch: Batch, found: Tensor) -> Tensor:
    """Make sure that what was found is a success for the batch as a whole.

    An attack tests its points in batches of other sizes than the batch that is judged in the end, and the
    last bits of a logit depend on the size of the batch. A point that lies on the boundary to these bits is
    moved outward by up to one percent; a point that stays a failure becomes the clean image.

    Args:
        model: the classifier.
        batch: what was attacked.
        found: the attack's images ``[N, C, H, W]``.
    """
    clean, criterion = batch.images, batch.criterion
    checked, moved = found, (found != clean).flatten(1).any(1)
    for factor in (1.0001, 1.001, 1.01):
        missing = moved & ~criterion.met_by(model(checked))
        if not missing.any():
            return checked
        outward = (clean + factor * (found - clean)).clamp(0, 1)
        checked = where_images(missing, outward, checked)
    missing = ~criterion.met_by(model(checked))
    return where_images(missing, clean, checked)
