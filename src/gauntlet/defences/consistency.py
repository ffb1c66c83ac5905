"""Consistency regularization: noisy copies of an image must agree (Jeong and Shin 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field
from torch import nn

from gauntlet.contracts import DEFENCES, Batch, Cost, Defence, Loss, Progress, Task
from gauntlet.defences.noise import (
    cross_entropy_per_image,
    divergence_from,
    entropy,
    log_mean_probabilities,
    noisy_logits,
)
from gauntlet.setting_types import Number, PositiveInt, Radius


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class Consistency(Defence):
    """Minimize, per image, mean CE(p_i, y) + strength * mean KL(pbar || p_i) + entropy_weight * H(pbar).

    The p_i are the softmax outputs of the noisy copies and pbar their mean; gradients flow through both.

    Settings:
        sigma: standard deviation of the noise, in pixel scale.
        draws: noisy copies of each image.
        strength: lambda; published values for CIFAR-10 are 20 at sigma 0.25 and 10 at sigma 0.5.
        entropy_weight: eta.

    Source: song, equation 3.5.
    """

    name: ClassVar[str] = "consistency"
    sigma: Radius
    draws: PositiveInt = 2
    strength: Annotated[Number, Field(ge=0)]
    entropy_weight: Annotated[Number, Field(ge=0)] = 0.5

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return the mean over the batch."""
        logits = noisy_logits(model, batch, self.sigma, self.draws)
        log_probabilities = logits.log_softmax(-1)
        log_mean = log_mean_probabilities(log_probabilities)
        natural = cross_entropy_per_image(log_probabilities, batch.labels).mean()
        divergence = divergence_from(log_mean, log_probabilities).mean()
        spread = entropy(log_mean).mean()
        return Loss(
            natural + self.strength * divergence + self.entropy_weight * spread,
            logits[0],
            {"natural": natural, "divergence": divergence, "entropy": spread},
        )

    def cost(self, task: Task) -> Cost:
        """One pass each way per noisy copy."""
        return Cost(self.draws, self.draws, self.draws)
