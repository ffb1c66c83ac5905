"""Starting points of attacks that begin at an image of another class and move towards the attacked one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet.contracts import Classifier, LabelledImages

CANDIDATES = 16
"""Nearest images of a class that are classified at once in search of one that is classified correctly."""

GRID, BISECTIONS = 100, 20
"""Points looked at on the segment, from the attacked image outwards, and bisection steps after that."""


@dataclass(frozen=True)
class Starts:
    """Adversarial points to start from, P in all.

    Attributes:
        image: position of the attacked image, ``[P]``.
        target: class of the image the segment leads to, ``[P]``.
        points: adversarial points, ``[P, C, H, W]``.
        ends: the images that the segments lead to, ``[P, C, H, W]``.
    """

    image: Tensor
    target: Tensor
    points: Tensor
    ends: Tensor


@torch.no_grad()
def other_class_starts(
    model: Classifier, images: Tensor, labels: Tensor, references: LabelledImages, count: int
) -> Starts:
    """Find up to ``count`` starts for each image.

    For each of the likeliest wrong classes the nearest (l2) reference image that the model classifies
    correctly is taken; a class without one is passed over. On the segment to it the adversarial point nearest
    to the image is searched, whatever its class.

    Args:
        model: the classifier.
        images: correctly classified images ``[N, C, H, W]``.
        labels: their classes ``[N]``.
        references: labelled images to start from.
        count: starts per image.

    Source: croce2019, section 4.4.
    """
    nobody = labels[:0]
    if len(images) == 0:
        return Starts(nobody, nobody, images, images)
    ranking = model(images).scatter(1, labels[:, None], -torch.inf).argsort(1, descending=True)
    missing = torch.full_like(labels, count)
    image, target, ends = [], [], []
    for rank in range(ranking.shape[1] - 1):
        wanted = ranking[:, rank]
        for number in wanted[missing > 0].unique().tolist():
            rows = ((missing > 0) & (wanted == number)).nonzero().squeeze(1)
            found, nearest = _nearest_correct(model, images[rows], references, number)
            missing[rows[found]] -= 1
            image.append(rows[found])
            target.append(torch.full_like(rows[found], number))
            ends.append(nearest)
    if not image:
        return Starts(nobody, nobody, images[:0], images[:0])
    order = torch.cat(image).argsort(stable=True)
    index = torch.cat(image)[order]
    reached = torch.cat(ends)[order]
    points = _boundary_points(model, images[index], labels[index], reached)
    return Starts(index, torch.cat(target)[order], points, reached)


def _nearest_correct(
    model: Classifier, images: Tensor, references: LabelledImages, number: int
) -> tuple[Tensor, Tensor]:
    """Return which of the images (positions ``[F]``) have a reference of the class, and the references."""
    members = references.images[references.labels == number].to(images.device)
    distances = torch.cdist(images.flatten(1), _pixels(members).flatten(1))
    order = distances.argsort(1)
    nearest = images.clone()
    open_ = torch.arange(len(images), device=images.device)
    for first in range(0, order.shape[1], CANDIDATES):
        if len(open_) == 0:
            break
        block = order[open_, first : first + CANDIDATES]
        candidates = _pixels(members[block.flatten()])
        right = (model(candidates).argmax(1) == number).view(block.shape)
        hit, best = right.any(1), right.long().argmax(1)
        chosen = candidates.view(*block.shape, *images.shape[1:])[hit, best[hit]]
        nearest[open_[hit]] = chosen
        open_ = open_[~hit]
    found = torch.ones(len(images), dtype=torch.bool, device=images.device)
    found[open_] = False
    return found.nonzero().squeeze(1), nearest[found]


def _boundary_points(model: Classifier, images: Tensor, labels: Tensor, ends: Tensor) -> Tensor:
    """Search each segment for the misclassified point nearest to the image: a grid, then bisection."""

    def at(share: Tensor, rows: Tensor) -> Tensor:
        return torch.lerp(images[rows], ends[rows], share.view(-1, 1, 1, 1))

    inside = torch.zeros(len(images), device=images.device)
    outside = torch.ones_like(inside)
    rows = torch.arange(len(images), device=images.device)
    for step in range(1, GRID):
        share = torch.full((len(rows),), step / GRID, device=images.device)
        wrong = model(at(share, rows)).argmax(1) != labels[rows]
        outside[rows[wrong]] = step / GRID
        inside[rows[~wrong]] = step / GRID
        rows = rows[~wrong]
        if len(rows) == 0:
            break
    everyone = torch.arange(len(images), device=images.device)
    for _ in range(BISECTIONS):
        middle = (inside + outside) / 2
        wrong = model(at(middle, everyone)).argmax(1) != labels
        outside, inside = torch.where(wrong, middle, outside), torch.where(wrong, inside, middle)
    return at(outside, everyone)


def _pixels(images: Tensor) -> Tensor:
    """Return float images in [0, 1], whether stored so or as bytes."""
    return images.float() / 255 if images.dtype == torch.uint8 else images
