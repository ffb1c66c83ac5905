"""MACER: maximize the certified radius of the soft-smoothed classifier (Zhai et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gauntlet.contracts import DEFENCES, Batch, Cost, Defence, Loss, Progress, Task
from gauntlet.defences.noise import noisy_logits, true_class
from gauntlet.setting_types import Number, PositiveInt, Radius

CLASSIFICATION_FLOOR = 1e-10
"""Added to the true class's probability before its logarithm, as in the published loss."""


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class Macer(Defence):
    """Minimize the smoothed classification loss and a hinge on the certified radius of correct images.

    With the averages over the noisy copies p of ``softmax(z)`` and q of ``softmax(inverse_temperature * z)``,
    an image costs ``-log p_y``, and, if q predicts its label, ``strength * sigma / 2 * (margin - xi)`` with
    ``xi = Phi^-1(q1) - Phi^-1(q2)`` of the two largest q, as long as ``|xi| <= margin``.

    Settings:
        sigma: standard deviation of the noise, in pixel scale.
        draws: noisy copies of each image.
        strength: weight lambda of the robustness term.
        margin: gamma of the hinge on xi.
        inverse_temperature: factor on the logits of the robustness term's softmax.
        runner_up: ``second`` takes q2 from the second largest class, ``complement`` bounds it by ``1 - q1``,
            so that only the true class's probability enters.
        threshold: the robustness term leaves out images whose q1 is above it; null for none. There the
            gradient of Phi^-1 grows beyond all bounds.

    Source: song, section 3.2, equations 3.3 and 3.4; loss and defaults of Zhai et al. 2020.
    """

    name: ClassVar[str] = "macer"
    sigma: Radius
    draws: PositiveInt = 16
    strength: Annotated[Number, Field(ge=0)] = 12.0
    margin: Radius = 8.0
    inverse_temperature: Radius = 16.0
    runner_up: Literal["second", "complement"] = "second"
    threshold: Annotated[Number, Field(gt=0, lt=1)] | None = None

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return both terms, each a mean over the whole batch."""
        logits = noisy_logits(model, batch, self.sigma, self.draws)
        probability = true_class(logits.softmax(-1).mean(0), batch.labels)
        classification = -(probability + CLASSIFICATION_FLOOR).log().mean()
        hinge, kept = self._hinge((self.inverse_temperature * logits).softmax(-1).mean(0), batch.labels)
        robustness = self.sigma / 2 * hinge.sum() / len(batch)
        return Loss(
            classification + self.strength * robustness,
            logits[0],
            {"classification": classification, "robustness": robustness, "kept": kept.double().mean()},
        )

    def _hinge(self, probabilities: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``margin - xi`` of the kept images, 0 for the others, and which are kept; each ``[N]``."""
        (first, second), (predicted, _) = (top.unbind(1) for top in probabilities.topk(2, dim=1))
        if self.runner_up == "complement":
            second = 1 - first
        with torch.no_grad():
            margin = torch.special.ndtri(first) - torch.special.ndtri(second)
            # A comparison with infinity or NaN is false, so that saturated images drop out here.
            kept = (predicted == labels) & (margin.abs() <= self.margin) & torch.isfinite(margin)
            if self.threshold is not None:
                kept &= first <= self.threshold
        # The dropped images' quantiles may be infinite; their gradients must never be formed.
        first, second = torch.where(kept, first, 0.5), torch.where(kept, second, 0.5)
        margin = torch.special.ndtri(first) - torch.special.ndtri(second)
        return torch.where(kept, self.margin - margin, 0.0), kept

    def cost(self, task: Task) -> Cost:
        """One pass each way per noisy copy."""
        return Cost(self.draws, self.draws, self.draws)
