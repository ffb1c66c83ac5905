"""Projected gradient steps in a p-norm ball (maerz2023, Algorithm 1): FGSM, R-FGSM, PGD and their kin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gauntlet.attacks.base import Perturbed, WhiteBoxAttack
from gauntlet.attacks.geometry.norms import project_onto_ball_and_box, uniform_in_ball, unit_gradient
from gauntlet.attacks.gradients import LossName, TargetRule, loss_gradient, targets_of
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, ThreatModel
from gauntlet.setting_types import Norm, PositiveInt, Radius

RandomStart = Literal["none", "uniform", "gaussian", "gaussian_sign"]


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class Pgd(WhiteBoxAttack):
    """Climb the loss by steps along the unit gradient, each projected onto the ball and the image box.

    The last iterate is returned, whether it fools the network or not.

    Settings:
        norm: ball; also the norm that the gradient is brought to unit length in (linf: its sign).
        eps: radius of the ball in pixel scale.
        steps: number of steps S.
        step_size: length omega of each step in pixel scale; by default eps / steps.
        random_start: displacement R of the first iterate: none, uniform in the ball, gaussian N(0, sigma^2),
            gaussian_sign (sigma times the sign of a Gaussian, as in Tramer et al., 2018).
        start_scale: sigma of the Gaussian starts in pixel scale; by default eps / 2.
        target: none climbs the loss of the true class; chosen and least_likely descend that of a target.
        loss: how the loss is computed.

    Source: maerz2023, Algorithm 1 and Table 2.1. The projection for l1 and l2 goes to the ball first and to
    the box second, where the document asks for their intersection without saying how.
    """

    name: ClassVar[str] = "pgd"
    norm: Norm
    eps: Radius
    steps: PositiveInt = 1
    step_size: Radius | None = None
    random_start: RandomStart = "none"
    start_scale: Radius | None = None
    target: TargetRule = "none"
    loss: LossName = "cross_entropy"

    @property
    def threat_model(self) -> ThreatModel:
        """White-box, in the ball."""
        return ThreatModel("fixed_budget", "white-box", self.norm, self.eps, self.norm)

    @property
    def cost(self) -> Cost:
        """One pass either way per step, one pass to measure, one to find the least likely class."""
        return Cost(forward=self.steps + 1 + (self.target == "least_likely"), backward=self.steps)

    def perturb(self, model: Classifier, batch: Batch) -> Perturbed:
        """Return the iterate after the last step."""
        clean = batch.images
        targets = targets_of(model, batch, self.target)
        step = self.step_size or self.eps / self.steps
        if targets is not None:
            step = -step
        classes = batch.labels if targets is None else targets
        images = self._start(batch)
        for _ in range(self.steps):
            direction = unit_gradient(loss_gradient(model, images, classes, self.loss), self.norm)
            images = torch.add(images, direction, alpha=step)
            images = project_onto_ball_and_box(images, clean, self.norm, self.eps)
        iterations = torch.full_like(batch.labels, self.steps)
        queries = iterations + (self.target == "least_likely")
        return Perturbed(images, iterations, queries, targets=targets)

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
        return project_onto_ball_and_box(clean + displacement, clean, self.norm, self.eps)
