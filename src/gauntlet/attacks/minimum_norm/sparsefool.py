"""SparseFool: walk to a linearized boundary by changing one entry after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.base import MinimumNormAttack, Smallest
from gauntlet.attacks.criterion import refuse_targets
from gauntlet.attacks.geometry.sizes import PerturbationNorm
from gauntlet.attacks.minimum_norm.deepfool import deepfool
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Task
from gauntlet.setting_types import PositiveInt, Radius


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class SparseFool(MinimumNormAttack):
    """Find the boundary by DeepFool (l2), linearize it there, cross it in as few entries as possible; repeat.

    Settings:
        steps: most repetitions.
        boundary_steps: most steps of DeepFool in each.
        overshoot: epsilon, by how much the perturbation is stretched, here and in DeepFool.
        reach: lambda, how far along DeepFool's perturbation the boundary is linearized; more is faster and
            less sparse.

    Source: Modas et al. 2019; matyasko2020, section 5.4.
    """

    name: ClassVar[str] = "sparsefool"
    steps: PositiveInt = 20
    boundary_steps: PositiveInt = 50
    overshoot: Radius = 0.02
    reach: Radius = 1.0

    @property
    def minimized(self) -> PerturbationNorm:
        """Always l0."""
        return "l0"

    def cost(self, task: Task) -> Cost:
        """About three steps of DeepFool, with a gradient for every class, in each repetition."""
        return Cost(forward=self.steps * 4 + 2, backward=self.steps * (3 * task.classes + 1))

    def minimize(self, model: Classifier, batch: Batch) -> Smallest:
        """Repeat until the label changes; images whose label does not stay clean."""
        refuse_targets(batch, "SparseFool")
        images, points = batch.images.clone(), batch.images
        iterations, queries = torch.zeros_like(batch.labels), torch.zeros_like(batch.labels)
        rows = torch.arange(len(batch), device=images.device)
        for step in range(1, self.steps + 1):
            if len(rows) == 0:
                break
            clean, labels = batch.images[rows], batch.labels[rows]
            boundary, normal, passes = deepfool(model, points, labels, self.boundary_steps, self.overshoot)
            target = points + self.reach * (boundary - points)
            points = sparse_crossing(points, target, normal)
            stretched = (clean + (1 + self.overshoot) * (points - clean)).clamp(0, 1)
            with torch.no_grad():
                fooled = model(stretched).argmax(1) != labels
            queries[rows] += passes + 1
            iterations[rows] = step
            images[rows[fooled]] = stretched[fooled]
            rows, points = rows[~fooled], points[~fooled]
        return Smallest(images, iterations, queries)


def sparse_crossing(points: Tensor, boundary: Tensor, normal: Tensor) -> Tensor:
    """Move entries with the largest weights, each as far as the box lets it, until the plane is reached.

    Args:
        points: where to start, in the image box, ``[B, C, H, W]``.
        boundary: a point of each plane.
        normal: the plane's normal; the way across is along it.

    Returns:
        Points on the planes, or with every entry at its bound where the box holds no point of the plane.
    """
    x, weights = points.flatten(1), normal.flatten(1)
    missing = ((boundary - points) * normal).flatten(1).sum(1, keepdim=True)
    # Where the plane is behind, go back to it.
    weights = weights * missing.sign()
    room = torch.where(weights > 0, 1 - x, x)
    gain = weights.abs() * room
    order = weights.abs().argsort(1, descending=True)
    before = gain.gather(1, order).cumsum(1) - gain.gather(1, order)
    left = (missing.abs() - before).clamp(min=0)
    ordered_weights = weights.gather(1, order)
    move = torch.minimum(left / ordered_weights.abs().clamp(min=1e-30), room.gather(1, order))
    moved = torch.zeros_like(x).scatter(1, order, move * ordered_weights.sign())
    return (x + moved).clamp(0, 1).view_as(points)
