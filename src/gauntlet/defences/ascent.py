"""Defences that climb a function of the logits by sign steps in the linf ball, from a start of choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gauntlet.attacks.fixed_budget.pgd import projected_ascent
from gauntlet.attacks.geometry.norms import lengths
from gauntlet.contracts import Batch, Cost
from gauntlet.defences.attacking import AttackingDefence
from gauntlet.defences.starts import GaussianStart, Start
from gauntlet.setting_types import NonNegativeInt, Radius


@dataclass(frozen=True)
class Ascent:
    """The end of an ascent.

    Attributes:
        images: the perturbed images ``[N, C, H, W]``.
        steepest: largest l1 norm of the gradient of an image's value on its way, ``[N]``; 0 without a step. It
            estimates the local Lipschitz constant of the value in linf (chen2021, section 5.4.2).
    """

    images: Tensor
    steepest: Tensor

    @property
    def parts(self) -> dict[str, Tensor]:
        """The estimate's mean over the batch, as a part of the loss."""
        return {"local_lipschitz": self.steepest.mean()}


@dataclass(frozen=True, kw_only=True)
class AscentDefence(AttackingDefence):
    """A defence whose perturbation is the end of an ascent; the network is in eval mode meanwhile.

    History: ``local_lipschitz``, the mean over images of ``Ascent.steepest``.

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

    def climb(self, model: nn.Module, batch: Batch, value: Callable[[Tensor], Tensor]) -> Ascent:
        """Return the perturbed images, inside the ball and the image box, and how steep the way was.

        Args:
            model: the network.
            batch: clean images and the generator of the start.
            value: maps logits ``[N, K]`` to the values that are climbed, ``[N]``.
        """
        return climb(
            model, batch, value, self.start, eps=self.eps, step_size=self.step_size, steps=self.steps
        )

    @property
    def climb_cost(self) -> Cost:
        """Passes of the start and of the steps."""
        return Cost(forward=1, backward=1) * (self.start.passes + self.steps)


def climb(
    model: nn.Module,
    batch: Batch,
    value: Callable[[Tensor], Tensor],
    start: Start,
    *,
    eps: float,
    step_size: float,
    steps: int,
) -> Ascent:
    """Climb by sign steps from a start; see `AscentDefence.climb`."""
    steepest = torch.zeros_like(batch.labels, dtype=batch.images.dtype)

    def gradient(images: Tensor) -> Tensor:
        leaf = images.detach().requires_grad_()
        with torch.enable_grad():
            # The sum: a mean's gradients would be smaller the more images there are.
            slopes = torch.autograd.grad(value(model(leaf)).sum(), leaf)[0]
        torch.maximum(steepest, lengths(slopes, "l1"), out=steepest)
        return slopes

    images = projected_ascent(
        gradient,
        start.points(model, batch, eps, step_size),
        batch.images,
        norm="linf",
        eps=eps,
        step_size=step_size,
        steps=steps,
    )
    return Ascent(images, steepest)
