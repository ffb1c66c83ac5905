"""Frank-Wolfe attack: projection-free, with momentum (chen2021, Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from gauntlet.attacks.fixed_budget.until_success import UntilSuccess
from gauntlet.attacks.geometry.norms import steepest_direction
from gauntlet.contracts import PROCEDURES
from gauntlet.setting_types import Norm, PositiveInt, Share

MomentumStart = Literal["gradient", "zero"]
"""Content of the gradient average before the first step: the first gradient, or nothing."""


def lowest_vertex(gradient: Tensor, clean: Tensor, norm: Norm, eps: float) -> Tensor:
    """Return the point of the eps-ball around ``clean`` with the least inner product with ``gradient``.

    Coordinates whose gradient is 0 stay at the clean image. Source: chen2021, section 2.3.3, the linear
    minimization oracle.
    """
    return clean - eps * steepest_direction(gradient, norm)


def frank_wolfe_step(
    images: Tensor, clean: Tensor, average: Tensor, norm: Norm, eps: float, step_size: float | Tensor
) -> Tensor:
    """Move the share ``step_size`` of the way to the lowest vertex, then clip to the image box.

    The clip cannot leave the ball, because the clean image lies in the box.
    """
    vertex = lowest_vertex(average, clean, norm, eps)
    return (images + step_size * (vertex - images)).clamp_(0, 1)


def averaged(gradient: Tensor, average: Tensor | None, momentum: float, start: MomentumStart) -> Tensor:
    """Return beta * average + (1 - beta) * gradient; ``average`` is None at the first step."""
    if average is None:
        return gradient if start == "gradient" else (1 - momentum) * gradient
    return momentum * average + (1 - momentum) * gradient


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class FrankWolfe(UntilSuccess):
    """Move a share of the way to the vertex of the ball that the averaged gradient points at.

    The iterate is a convex combination of points of the ball, so it needs no projection; the pull towards
    the clean image that is part of every step keeps perturbations small.

    Settings:
        norm: ball.
        step_size: share gamma of the way to the vertex, in [0, 1].
        momentum: beta of the gradient average, in [0, 1].
        momentum_start: gradient (as printed) keeps the first gradient at weight beta^t; zero forgets it.

    Source: chen2021, section 2.3, Algorithm 1; one step with gamma = 1 is FGSM. The values of gamma, beta
    and T are not published.
    """

    name: ClassVar[str] = "frank_wolfe"
    norm: Norm = "linf"
    steps: PositiveInt = 20
    step_size: Share = 0.5
    momentum: Share = 0.9
    momentum_start: MomentumStart = "gradient"

    @property
    def ball(self) -> Norm:
        """The norm of the settings."""
        return self.norm

    def step(
        self, images: Tensor, clean: Tensor, gradient: Tensor, memory: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Take one Frank-Wolfe step along the gradient average."""
        average = averaged(gradient, memory, self.momentum, self.momentum_start)
        return frank_wolfe_step(images, clean, average, self.norm, self.eps, self.step_size), average
