"""Stability training: say on noisy images what is said on clean ones (Zheng et al. 2016, Li et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import nn

from gauntlet.contracts import DEFENCES, Batch, Cost, Defence, Loss, Progress, Task
from gauntlet.defences.noise import copies_logits, gaussian_noise, true_class
from gauntlet.setting_types import Number, Radius


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class Stability(Defence):
    """Minimize the clean cross-entropy and the cross-entropy of noisy predictions from clean ones.

    The clean image and its noisy copy go through the network as one batch; gradients flow through both.

    Settings:
        sigma: standard deviation of the noise, in pixel scale.
        strength: weight of the noisy term.

    Source: the additive-noise defence that song, chapter 2, surveys (Li et al. 2019).
    """

    name: ClassVar[str] = "stability"
    sigma: Radius
    strength: Annotated[Number, Field(ge=0)] = 2.0

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return the mean of ``CE(f(x), y) + strength * CE(F(x), F(x + noise))``."""
        noise = gaussian_noise(batch, self.sigma, 1)
        logits = copies_logits(model, torch.cat([batch.images[None], batch.images + noise]))
        clean, noisy = logits.log_softmax(-1)
        natural = -true_class(clean, batch.labels).mean()
        stability = -(clean.exp() * noisy).sum(1).mean()
        return Loss(
            natural + self.strength * stability, logits[1], {"natural": natural, "stability": stability}
        )

    def cost(self, task: Task) -> Cost:
        """One pass each way for the clean image and for its noisy copy."""
        return Cost(forward=2, backward=2, weight_gradients=2)
