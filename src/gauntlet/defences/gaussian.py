"""Gaussian augmentation: train on noisy images (Cohen, Rosenfeld and Kolter 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from gauntlet.contracts import DEFENCES, Batch, Cost, Defence, Loss, Progress, Task
from gauntlet.defences.noise import cross_entropy_per_image, noisy_logits
from gauntlet.setting_types import PositiveInt, Radius


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class Gaussian(Defence):
    """Minimize the cross-entropy of noisy copies.

    Settings:
        sigma: standard deviation of the noise, in pixel scale.
        draws: noisy copies of each image; their losses are averaged.

    Source: song, chapter 5 (baseline "Gaussian"), whose running times speak for one draw.
    """

    name: ClassVar[str] = "gaussian"
    sigma: Radius
    draws: PositiveInt = 1

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return the mean cross-entropy of the noisy copies."""
        logits = noisy_logits(model, batch, self.sigma, self.draws)
        return Loss(cross_entropy_per_image(logits.log_softmax(-1), batch.labels).mean(), logits[0])

    def cost(self, task: Task) -> Cost:
        """One pass each way per noisy copy."""
        return Cost(self.draws, self.draws, self.draws)
