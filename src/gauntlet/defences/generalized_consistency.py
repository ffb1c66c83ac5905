"""Generalized consistency: a looser accuracy term, and consistency for correctly classified images only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from gauntlet.contracts import DEFENCES, Batch, Cost, Defence, Loss, Progress, Task
from gauntlet.defences.noise import (
    cross_entropy_per_image,
    divergence_from,
    entropy,
    log_mean_probabilities,
    noisy_logits,
    true_class,
)
from gauntlet.setting_types import Number, PositiveInt, Radius

Average = Literal["logits", "probabilities"]
"""Quantity that is averaged over the noisy copies: ``logits`` before the softmax, ``probabilities`` after it."""


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class GeneralizedConsistency(Defence):
    """Minimize an accuracy term, a divergence term on correct images and an entropy term.

    The work states the parts (equations 4.1 to 4.3) and never their sum; the settings name each choice that
    it leaves open, and their defaults are the reading that follows its sentences most closely.

    Settings:
        sigma: standard deviation of the noise, in pixel scale.
        draws: noisy copies of each image.
        strength: lambda, weight of the divergence KL(center || copy).
        entropy_weight: eta, weight of the center's entropy.
        accuracy: cross-entropy of averaged ``logits`` (equation 4.3), of averaged ``probabilities``, or of
            ``each_copy``, averaged.
        center: average that the copies are drawn to, and whose entropy is taken.
        correct_by: average whose prediction decides which images are correct (no gradient passes).
        entropy_on: take the entropy term on ``all`` images (equation 4.1 to the letter) or on ``correct``
            ones.
        mean_over: divide terms that are restricted to correct images by the number of ``all`` images of the
            batch, or of the ``correct`` ones.

    Source: song, section 4.1.
    """

    name: ClassVar[str] = "generalized_consistency"
    sigma: Radius
    draws: PositiveInt = 4
    strength: Annotated[Number, Field(ge=0)]
    entropy_weight: Annotated[Number, Field(ge=0)] = 0.5
    accuracy: Average | Literal["each_copy"] = "logits"
    center: Average = "probabilities"
    correct_by: Average = "logits"
    entropy_on: Literal["all", "correct"] = "all"
    mean_over: Literal["all", "correct"] = "all"

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return the three terms' sum; ``correct`` in the history is the accuracy of ``correct_by``."""
        logits = noisy_logits(model, batch, self.sigma, self.draws)
        log_probabilities = logits.log_softmax(-1)
        log_average: dict[Average, Tensor] = {
            "logits": logits.mean(0).log_softmax(-1),
            "probabilities": log_mean_probabilities(log_probabilities),
        }
        if self.accuracy == "each_copy":
            natural = cross_entropy_per_image(log_probabilities, batch.labels).mean()
        else:
            natural = -true_class(log_average[self.accuracy], batch.labels).mean()
        correct = (log_average[self.correct_by].argmax(1) == batch.labels).to(logits.dtype)
        center = log_average[self.center]
        divergence = self._mean_of_correct(divergence_from(center, log_probabilities), correct)
        spread = (
            entropy(center).mean()
            if self.entropy_on == "all"
            else self._mean_of_correct(entropy(center), correct)
        )
        return Loss(
            natural + self.strength * divergence + self.entropy_weight * spread,
            logits[0],
            {"natural": natural, "divergence": divergence, "entropy": spread, "correct": correct.mean()},
        )

    def _mean_of_correct(self, values: Tensor, correct: Tensor) -> Tensor:
        total = (values * correct).sum()
        # A batch without a correct image has the term 0, not 0 / 0.
        return total / (len(values) if self.mean_over == "all" else correct.sum().clamp(min=1))

    def cost(self, task: Task) -> Cost:
        """One pass each way per noisy copy."""
        return Cost(self.draws, self.draws, self.draws)
