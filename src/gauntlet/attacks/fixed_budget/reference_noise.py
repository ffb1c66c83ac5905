"""Perturbations without a gradient, to compare attacks with (maerz2023, Algorithm 4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch

from gauntlet.attacks.base import Attack, Perturbed
from gauntlet.attacks.fixed_budget.conventions import Conventions
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Task, ThreatModel
from gauntlet.setting_types import Norm, Radius


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class ReferenceNoise(Attack):
    """Add noise of an attack's size and clip to the image box.

    Settings:
        kind: gauss draws from N(0, (eps/2)^2), which no ball bounds; uniform from the ball; boundary from its
            sphere.
        norm: the ball's norm; without influence on gauss.
        eps: the ball's radius in pixel scale.
        conventions: the switches between the document and its released code.

    Source: maerz2023, Algorithm 4.
    """

    name: ClassVar[str] = "reference_noise"
    kind: Literal["gauss", "uniform", "boundary"]
    norm: Norm
    eps: Radius
    conventions: Conventions = field(default_factory=Conventions)

    @property
    def threat_model(self) -> ThreatModel:
        """Noise, as large as an attack of this radius."""
        return ThreatModel("reference", "none", self.norm, self.eps, self.norm)

    def cost(self, task: Task) -> Cost:
        """One pass to measure."""
        return Cost(forward=1)

    def find(self, model: Classifier, batch: Batch) -> Perturbed:
        """Return the clipped noisy images."""
        clean = batch.images
        if self.kind == "gauss":
            draws = torch.randn(
                clean.shape, generator=batch.generator, device=clean.device, dtype=clean.dtype
            )
            noise = self.eps / 2 * draws * self.conventions.channel_scale(clean)
        elif self.kind == "uniform":
            noise = self.conventions.ball(clean, self.norm, self.eps, batch.generator)
        else:
            noise = self.conventions.sphere(clean, self.norm, self.eps, batch.generator)
        nothing = torch.zeros_like(batch.labels)
        return Perturbed((clean + noise).clamp_(0, 1), iterations=nothing, queries=nothing)
