"""What minimal-norm attacks share: the size of a perturbation, margins, and a last check of what was found.

An image that the network misclassifies already is its own adversarial example, at distance 0. An image for
which nothing was found stays as it was, so that ``success`` is false.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from gauntlet.attacks.geometry.norms import lengths
from gauntlet.contracts import Classifier

PerturbationNorm = Literal["linf", "l2", "l1", "l0"]
"""A norm to minimize; l0 counts changed pixels, whatever number of their channels changed."""


def changed_pixels(perturbation: Tensor) -> Tensor:
    """Count the pixels ``[N]`` with any changed channel in ``[N, C, H, W]`` (matyasko2020, eq. 5.15)."""
    return (perturbation != 0).any(1).flatten(1).sum(1)


def perturbation_sizes(perturbation: Tensor, norm: PerturbationNorm) -> Tensor:
    """Measure each perturbation ``[N, C, H, W]``; returns floats ``[N]``."""
    if norm == "l0":
        return changed_pixels(perturbation).to(perturbation.dtype)
    return lengths(perturbation, norm)


def where_images(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Take whole images ``[N, ...]`` from ``yes`` where the mask ``[N]`` is true, else from ``no``."""
    return torch.where(mask.view(-1, *[1] * (yes.dim() - 1)), yes, no)


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Return by how much the true logit exceeds the largest other one, ``[N]`` (matyasko2020, eq. 5.2)."""
    true = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return true.squeeze(1) - others.amax(1)


@torch.no_grad()
def correctly_classified(model: Classifier, images: Tensor, labels: Tensor) -> Tensor:
    """Return the positions of the images that there is something to attack in."""
    return (model(images).argmax(1) == labels).nonzero().squeeze(1)


@torch.no_grad()
def recheck_adversarial(model: Classifier, clean: Tensor, labels: Tensor, found: Tensor) -> Tensor:
    """Make sure that what was found is adversarial for the batch as a whole.

    An attack tests its points in batches of other sizes than the batch that is judged in the end, and the
    last bits of a logit depend on the size of the batch. A point that lies on the boundary to these bits is
    moved outward by up to one percent; a point that stays correctly classified becomes the clean image.

    Args:
        model: the classifier.
        clean: original images ``[N, C, H, W]``.
        labels: true classes ``[N]``.
        found: the attack's images ``[N, C, H, W]``.
    """
    checked, moved = found, (found != clean).flatten(1).any(1)
    for factor in (1.0001, 1.001, 1.01):
        missing = moved & (model(checked).argmax(1) == labels)
        if not missing.any():
            return checked
        outward = (clean + factor * (found - clean)).clamp(0, 1)
        checked = where_images(missing, outward, checked)
    missing = model(checked).argmax(1) == labels
    return where_images(missing, clean, checked)
