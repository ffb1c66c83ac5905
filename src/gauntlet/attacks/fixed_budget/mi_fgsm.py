"""FGSM, PGD and MI-FGSM as normalized steepest descent with early stop, and PGD on the C&W loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gauntlet.attacks.fixed_budget.until_success import UntilSuccess
from gauntlet.attacks.geometry.norms import lengths, per_image, project_onto_ball_and_box, uniform_in_ball
from gauntlet.contracts import PROCEDURES, Batch
from gauntlet.setting_types import Norm, Number, Radius


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class MiFgsm(UntilSuccess):
    """Step along the sign of the gradient, or of the sum of l1-normalized gradients, in the linf ball.

    FGSM: one step of eps. PGD: several, no momentum. MI-FGSM: momentum 1. CW-k: k steps, loss margin.

    Settings:
        step_size: length of a step in pixel scale.
        momentum: decay mu of the sum; 0 follows the last gradient alone.
        random_start: begin at a uniform point of the ball instead of the clean image.

    Source: chen2021, sections 2.5 and 3.4; the momentum is that of Dong et al. (2018).
    """

    name: ClassVar[str] = "mi_fgsm"
    step_size: Radius
    momentum: Number = 0.0
    random_start: bool = False

    @property
    def ball(self) -> Norm:
        """Always linf."""
        return "linf"

    def start(self, batch: Batch) -> Tensor:
        """Return the clean images, or a uniform point of each one's ball."""
        if not self.random_start:
            return batch.images
        noise = uniform_in_ball(batch.images, "linf", self.eps, batch.generator)
        return (batch.images + noise).clamp_(0, 1)

    def step(
        self, images: Tensor, clean: Tensor, gradient: Tensor, memory: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Step, project onto the ball, clip to the box."""
        length = per_image(lengths(gradient, "l1"), gradient)
        total = gradient / length.where(length > 0, 1.0)
        if memory is not None:
            total = self.momentum * memory + total
        moved = images - self.step_size * total.sign()
        return project_onto_ball_and_box(moved, clean, "linf", self.eps), total
