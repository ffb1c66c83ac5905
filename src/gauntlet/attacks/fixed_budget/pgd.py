"""Projected gradient steps in a p-norm ball (maerz2023, Algorithm 1): FGSM, R-FGSM, PGD and their kin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from gauntlet.attacks.base import FixedBudgetAttack, Perturbed
from gauntlet.attacks.criterion import TargetRule, aimed
from gauntlet.attacks.geometry.norms import (
    project_onto_ball,
    project_onto_ball_and_box,
    uniform_in_ball,
    unit_gradient,
)
from gauntlet.attacks.objectives import LossName, loss_gradient
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Task
from gauntlet.setting_types import Norm, PositiveInt, Radius

RandomStart = Literal["none", "uniform", "gaussian", "gaussian_sign"]


def projected_ascent(
    gradient: Callable[[Tensor], Tensor],
    start: Tensor,
    clean: Tensor,
    *,
    norm: Norm,
    eps: float,
    step_size: float,
    steps: int,
    box: bool = True,
) -> Tensor:
    """Step along the unit gradient, each time back onto the ball and the box; return the last iterate.

    Args:
        gradient: maps iterates ``[N, C, H, W]`` to the gradients that are climbed.
        start: first iterates.
        clean: centers of the balls.
        norm: of the balls and of the unit gradients.
        eps: radius.
        step_size: length of a step; a negative one descends.
        steps: number of steps.
        box: whether iterates stay in the image box.
    """
    images = start
    for _ in range(steps):
        images = torch.add(images, unit_gradient(gradient(images), norm), alpha=step_size)
        images = _project(images, clean, norm, eps, box)
    return images


def _project(images: Tensor, clean: Tensor, norm: Norm, eps: float, box: bool) -> Tensor:
    if box:
        return project_onto_ball_and_box(images, clean, norm, eps)
    return clean + project_onto_ball(images - clean, norm, eps)


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class Pgd(FixedBudgetAttack):
    """Climb the loss by steps along the unit gradient, each projected onto the ball and the image box.

    The last iterate is returned, whether it fools the network or not.

    Settings:
        norm: ball; also the norm that the gradient is brought to unit length in (linf: its sign).
        steps: number of steps S.
        step_size: length omega of each step in pixel scale; by default eps / steps.
        random_start: displacement R of the first iterate: none, uniform in the ball, gaussian N(0, sigma^2),
            gaussian_sign (sigma times the sign of a Gaussian, as in Tramer et al., 2018).
        start_scale: sigma of the Gaussian starts in pixel scale; by default eps / 2.
        target: samples descends the loss of the sample's target, or climbs that of the true class where there
            is none; none always climbs; least_likely descends that of the least likely class.
        loss: how the loss is computed.
        box: whether iterates stay in the image box. Without it matyasko2020 attacks (eq. 3.21).

    Source: maerz2023, Algorithm 1 and Table 2.1. The projection for l1 and l2 goes to the ball first and to
    the box second, where the document asks for their intersection without saying how.
    """

    name: ClassVar[str] = "pgd"
    norm: Norm
    steps: PositiveInt = 1
    step_size: Radius | None = None
    random_start: RandomStart = "none"
    start_scale: Radius | None = None
    target: TargetRule = "samples"
    loss: LossName = "cross_entropy"
    # Left out of the specification where it is the rule: it changes nothing about such an attack.
    box: Annotated[bool, Field(exclude_if=lambda box: box)] = True

    @property
    def ball(self) -> Norm:
        """The norm of the settings."""
        return self.norm

    def cost(self, task: Task) -> Cost:
        """One pass either way per step, one pass to measure, one to find the least likely class."""
        return Cost(forward=self.steps + 1 + (self.target == "least_likely"), backward=self.steps)

    def aim(self, model: Classifier, batch: Batch) -> Batch:
        """Return the batch with the criterion of the setting ``target``."""
        return aimed(model, batch, self.target)

    def find(self, model: Classifier, batch: Batch) -> Perturbed:
        """Return the iterate after the last step."""
        criterion = batch.criterion
        step = self.step_size or self.eps / self.steps
        images = projected_ascent(
            lambda points: loss_gradient(model, points, criterion.classes, self.loss),
            self._start(batch),
            batch.images,
            norm=self.norm,
            eps=self.eps,
            step_size=-step if criterion.targeted else step,
            steps=self.steps,
            box=self.box,
        )
        iterations = torch.full_like(batch.labels, self.steps)
        queries = iterations + (self.target == "least_likely")
        return Perturbed(images, iterations, queries)

    def _start(self, batch: Batch) -> Tensor:
        """Return x + R, projected onto the ball and the box (line 1 of Algorithm 1)."""
        clean = batch.images
        if self.random_start == "none":
            return clean
        if self.random_start == "uniform":
            displacement = uniform_in_ball(clean, self.norm, self.eps, batch.generator)
        else:
            displacement = torch.randn(
                clean.shape, generator=batch.generator, device=clean.device, dtype=clean.dtype
            )
            if self.random_start == "gaussian_sign":
                displacement = displacement.sign()
            displacement = displacement * (self.start_scale or self.eps / 2)
        return _project(clean + displacement, clean, self.norm, self.eps, self.box)
