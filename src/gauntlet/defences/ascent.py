"""Defences that climb a function of the logits by sign steps in the linf ball, from a start of choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gauntlet.attacks.fixed_budget.pgd import projected_ascent
from gauntlet.contracts import Batch, Cost
from gauntlet.defences.attacking import AttackingDefence
from gauntlet.defences.starts import GaussianStart, Start
from gauntlet.setting_types import NonNegativeInt, Radius


@dataclass(frozen=True, kw_only=True)
class AscentDefence(AttackingDefence):
    """A defence whose perturbation is the end of an ascent; the network is in eval mode meanwhile.

    Settings:
        eps: radius of the ball in pixel scale.
        steps: sign steps; with none the start itself is the perturbation.
        step_size: length of a step in pixel scale.
        start: where the ascent begins, a mapping with a ``name``.
    """

    eps: Radius = 0.031
    steps: NonNegativeInt = 10
    step_size: Radius = 0.007
    start: Start = field(default_factory=GaussianStart)

    def climb(self, model: nn.Module, batch: Batch, value: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the perturbed images ``[N, C, H, W]``, inside the ball and the image box.

        Args:
            model: the network.
            batch: clean images and the generator of the start.
            value: maps logits ``[N, K]`` to the scalar that is climbed, a sum or mean over the images.
        """

        def gradient(images: Tensor) -> Tensor:
            leaf = images.detach().requires_grad_()
            with torch.enable_grad():
                return torch.autograd.grad(value(model(leaf)), leaf)[0]

        return projected_ascent(
            gradient,
            self.start.points(model, batch, self.eps, self.step_size),
            batch.images,
            norm="linf",
            eps=self.eps,
            step_size=self.step_size,
            steps=self.steps,
        )

    @property
    def climb_cost(self) -> Cost:
        """Passes of the start and of the steps."""
        return Cost(forward=1, backward=1) * (self.start.passes + self.steps)
