"""The l2 attack of Carlini and Wagner, which can be asked for a probability of the class it reaches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from gauntlet.attacks.base import MinimumNormAttack, Smallest
from gauntlet.attacks.geometry.sizes import PerturbationNorm, where_images
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Criterion, Task
from gauntlet.setting_types import Number, PositiveInt, Radius

UNBOUNDED = 1e9
"""Weight of the hinge above which a failure multiplies it by 10 instead of halving the way to the upper bound."""

CHECKS = 10
"""How often in a run it is asked whether the loss still falls; so often does the authors' code."""


def lead_for(probability: float, classes: int) -> float:
    """Return the lead in logits over every other class that implies a probability: log((K - 1) p / (1 - p)).

    For ten classes and 0.95 it is 5.14.
    """
    return math.log((classes - 1) * probability / (1 - probability))


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class CarliniWagner(MinimumNormAttack):
    """Lower the squared length plus a weighted hinge of the margin by Adam; search the weight.

    The image is written as (tanh(w) + 1) / 2, so that it stays in its box. Each image has its own weight and its own
    early end, and so its result does not depend on the others of its batch as it does in the authors' code.

    Settings:
        steps: of Adam for each weight.
        searches: weights that are tried.
        step_size: of Adam.
        initial_weight: the first one.
        probability: success is a class that counts with at least this probability, instead of a lead; null for
            success as the samples have it. The hinge then asks for the lead that implies the probability.
        abort_early: end a weight's run once the loss has not fallen by 0.01 % in a tenth of its steps.

    Source: Carlini and Wagner 2017; matyasko2020, sections 4.4 and 4.5.
    """

    name: ClassVar[str] = "carlini_wagner"
    steps: PositiveInt = 1000
    searches: PositiveInt = 9
    step_size: Radius = 0.01
    initial_weight: Radius = 1e-3
    probability: Annotated[Number, Field(gt=0, lt=1)] | None = None
    abort_early: bool = True

    @property
    def minimized(self) -> PerturbationNorm:
        """Always l2."""
        return "l2"

    def cost(self, task: Task) -> Cost:
        """A pass forward and back for every step."""
        passes = self.searches * self.steps
        return Cost(forward=passes + 3, backward=passes)

    def minimize(self, model: Classifier, batch: Batch) -> Smallest:
        """Search the weight by doubling and halving, each image by itself."""
        count, device = len(batch), batch.images.device
        weight = torch.full((count,), self.initial_weight, device=device)
        low, high = torch.zeros_like(weight), torch.full_like(weight, torch.inf)
        best, images = torch.full_like(weight, torch.inf), batch.images.clone()
        passes = torch.zeros_like(batch.labels)
        if not count:
            return Smallest(images, passes, passes)
        for _ in range(self.searches):
            sizes, found, spent = self._descend(model, batch, weight)
            passes += spent
            closer = sizes < best
            best, images = torch.where(closer, sizes, best), where_images(closer, found, images)
            success = sizes.isfinite()
            high = torch.where(success, torch.minimum(high, weight), high)
            low = torch.where(success, low, torch.maximum(low, weight))
            weight = torch.where(high < UNBOUNDED, (low + high) / 2, weight * 10)
        return Smallest(images, passes, passes)

    def _descend(self, model: Classifier, batch: Batch, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the smallest squared length that Adam passes for a weight, its image, and the steps taken."""
        clean, count = batch.images, len(batch)
        best, images = clean.new_full((count,), torch.inf), clean.clone()
        spent = torch.zeros_like(batch.labels)
        # Kept away from the ends, where tanh has no gradient.
        variable = torch.atanh((2 * clean - 1) * 0.999999)
        first, second = torch.zeros_like(variable), torch.zeros_like(variable)
        before = clean.new_full((count,), torch.inf)
        rows = torch.arange(count, device=clean.device)
        for step in range(1, self.steps + 1):
            criterion = batch.criterion.rows(rows)
            with torch.enable_grad():
                leaf = variable[rows].requires_grad_()
                points = (leaf.tanh() + 1) / 2
                logits = model(points)
                squared = (points - clean[rows]).flatten(1).square().sum(1)
                loss = squared + weight[rows] * (
                    criterion.margin(logits) + self._lead(criterion, logits)
                ).clamp(min=0)
                (gradient,) = torch.autograd.grad(loss.sum(), leaf)
            spent[rows] += 1
            loss, squared, points = loss.detach(), squared.detach(), points.detach()
            better = self._met(criterion, logits.detach()) & (squared < best[rows])
            best[rows] = torch.where(better, squared, best[rows])
            images[rows] = where_images(better, points, images[rows])
            first[rows] = 0.9 * first[rows] + 0.1 * gradient
            second[rows] = 0.999 * second[rows] + 0.001 * gradient.square()
            mean, spread = first[rows] / (1 - 0.9**step), second[rows] / (1 - 0.999**step)
            variable[rows] -= self.step_size * mean / (spread.sqrt() + 1e-8)
            if self.abort_early and step % max(self.steps // CHECKS, 1) == 0:
                falling = loss <= 0.9999 * before[rows]
                before[rows] = loss
                rows = rows[falling]
                if not len(rows):
                    break
        return best, images, spent

    def _lead(self, criterion: Criterion, logits: Tensor) -> float:
        """Return the lead in logits that the hinge asks for."""
        if self.probability is None:
            return criterion.confidence
        return lead_for(self.probability, logits.shape[1])

    def _met(self, criterion: Criterion, logits: Tensor) -> Tensor:
        """Return whether logits are a success, with the wanted probability if there is one."""
        met = criterion.met_by(logits)
        if self.probability is None:
            return met
        return met & (logits.softmax(1).amax(1) >= self.probability)
