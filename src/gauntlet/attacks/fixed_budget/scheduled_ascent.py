"""Gradient ascent whose step lengths decay and sum to the radius (maerz2023, Algorithm 4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gauntlet.attacks.base import FixedBudgetAttack, Perturbed
from gauntlet.attacks.criterion import TargetRule, aimed
from gauntlet.attacks.fixed_budget.conventions import Conventions
from gauntlet.attacks.geometry.norms import unit_gradient
from gauntlet.attacks.objectives import LossName, loss_gradient
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Task
from gauntlet.setting_types import Norm, PositiveInt

Decay = Literal["constant", "harmonic", "geometric"]

NOISE_SHARE = 0.1
"""Share of a randomized step that is noise (maerz2023, Algorithm 4)."""


def step_lengths(decay: Decay, steps: int, eps: float) -> list[float]:
    """Return the lengths omega_1 ... omega_S of the steps; they sum to ``eps``.

    Args:
        decay: lengths in proportion to 1 (constant), 1/s (harmonic) or 2^-s (geometric).
        steps: number of steps S.
        eps: the radius they share.

    Source: maerz2023, Algorithm 4. Its printed index range would sum the geometric lengths to eps / 2 only.
    """
    weight = {"constant": lambda s: 1.0, "harmonic": lambda s: 1 / s, "geometric": lambda s: 2.0 ** (1 - s)}[
        decay
    ]
    weights = [weight(s) for s in range(1, steps + 1)]
    return [eps * weight / sum(weights) for weight in weights]


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class ScheduledAscent(FixedBudgetAttack):
    """Climb the loss from the clean image by steps whose lengths sum to the radius.

    By the triangle inequality the iterates stay in the ball, so that nothing is projected; the last one is
    clipped to the image box. An image whose gradient is NaN (only the loss softmax_log has such) keeps its
    last iterate and is marked in the column ``nan_loss``: the released code drops it and draws another.

    Settings:
        norm: norm of the ball and of the unit gradients.
        steps: number of steps S.
        decay: how the step lengths fall: constant, harmonic or geometric.
        randomized: replace a tenth of each step by a step to a random point of the sphere.
        target: samples descends the loss of the sample's target, or climbs that of the true class where there
            is none; none always climbs; least_likely descends that of the least likely class.
        loss: how the loss is computed.
        conventions: the switches between the document and its released code.

    Source: maerz2023, Algorithm 4.
    """

    name: ClassVar[str] = "scheduled_ascent"
    norm: Norm
    steps: PositiveInt
    decay: Decay
    randomized: bool = False
    target: TargetRule = "samples"
    loss: LossName = "cross_entropy"
    conventions: Conventions = field(default_factory=Conventions)

    @property
    def ball(self) -> Norm:
        """The norm of the settings."""
        return self.norm

    def cost(self, task: Task) -> Cost:
        """One pass either way per step, one pass to measure, one to find the least likely class."""
        return Cost(forward=self.steps + 1 + (self.target == "least_likely"), backward=self.steps)

    def aim(self, model: Classifier, batch: Batch) -> Batch:
        """Return the batch with the criterion of the setting ``target``."""
        return aimed(model, batch, self.target)

    def find(self, model: Classifier, batch: Batch) -> Perturbed:
        """Return the clipped last iterate, and which images lost their gradient on the way."""
        classes = batch.criterion.classes
        sign = -1 if batch.criterion.targeted else 1
        share = 1 - NOISE_SHARE if self.randomized else 1.0
        noise_first = self.conventions.noise_order == "released"
        images = batch.images
        lost = torch.zeros_like(batch.labels, dtype=torch.bool)
        for length in step_lengths(self.decay, self.steps, self.eps):
            moved = images
            if self.randomized:
                moved = images + self._noise(length, batch)
            gradient = loss_gradient(model, moved if noise_first else images, classes, self.loss)
            lost = lost | gradient.flatten(1).sum(1).isnan()
            moved = moved + sign * share * length * self._direction(gradient)
            images = torch.where(lost[:, None, None, None], images, moved)
        iterations = torch.full_like(batch.labels, self.steps)
        return Perturbed(
            images.clamp(0, 1),
            iterations,
            queries=iterations + (self.target == "least_likely"),
            columns={"nan_loss": lost},
        )

    def _direction(self, gradient: Tensor) -> Tensor:
        """Return the unit gradient of the attack's space as a displacement in pixels."""
        scale = self.conventions.channel_scale(gradient)
        return scale * unit_gradient(scale * gradient, self.norm)

    def _noise(self, length: float, batch: Batch) -> Tensor:
        """Draw the random part of a step."""
        return self.conventions.sphere(batch.images, self.norm, NOISE_SHARE * length, batch.generator)
