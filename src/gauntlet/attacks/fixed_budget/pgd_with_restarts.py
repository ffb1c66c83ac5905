"""Projected gradient descent with many random restarts, dense (linf, l2) and sparse (l1)."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.attacks.fixed_budget.restarts import RestartedAttack
from gauntlet.attacks.geometry.norms import lengths, per_image, project_onto_ball_and_box, uniform_in_ball
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Criterion
from gauntlet.setting_types import Norm, Radius, Share


@dataclass(frozen=True, kw_only=True)
class RestartedAscent(RestartedAttack):
    """Uniform starts in the ball and ascent on a loss; the attacks differ in the direction of a step.

    Settings:
        loss: cross_entropy, or margin (largest wrong logit minus the true one), which does not vanish where
            the softmax saturates.
        success_at: whether any iterate of a run may succeed, or the last one only.
    """

    loss: Literal["cross_entropy", "margin"] = "cross_entropy"
    success_at: Literal["any", "last"] = "any"

    side_by_side: ClassVar[int] = 1024

    @abstractmethod
    def direction(self, gradient: Tensor) -> Tensor:
        """Return the step for a gradient, up to its size."""

    def run_once(self, model: Classifier, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Ascend from uniform starts; images leave at their first success where any iterate counts."""
        clean, criterion = batch.images, batch.criterion
        start = clean + uniform_in_ball(clean, self.ball, self.eps, batch.generator)
        final = start.clamp(0, 1)
        success = torch.zeros(len(clean), dtype=torch.bool, device=clean.device)
        taken = torch.full_like(batch.labels, self.steps)
        rows, images = torch.arange(len(clean), device=clean.device), final.clone()
        for step in range(self.steps + 1):
            images = images.requires_grad_(step < self.steps)
            with torch.set_grad_enabled(step < self.steps):
                logits = model(images)
            if self.success_at == "any" or step == self.steps:
                hit = criterion.rows(rows).met_by(logits.detach())
                success[rows] = hit
                if step == self.steps or hit.any():
                    final[rows] = images.detach()
                    taken[rows[hit]] = step
            if step == self.steps:
                break
            (gradient,) = torch.autograd.grad(self._loss(logits, criterion.rows(rows)).sum(), images)
            images = images.detach()
            if self.success_at == "any" and hit.any():
                kept = ~hit
                rows, images, gradient = rows[kept], images[kept], gradient[kept]
                if len(rows) == 0:
                    break
            images = images + self.step_size * self.direction(gradient)
            images = project_onto_ball_and_box(images, clean[rows], self.ball, self.eps)
        return final, success, taken

    def _loss(self, logits: Tensor, criterion: Criterion) -> Tensor:
        """Return what is climbed, ``[N]``."""
        if self.loss == "margin":
            return -criterion.margin(logits)
        value = F.cross_entropy(logits, criterion.classes, reduction="none")
        return -value if criterion.targeted else value


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class PgdWithRestarts(RestartedAscent):
    """Run PGD again from new random starts on the images that no run has succeeded on yet.

    Settings:
        norm: ball; a step goes along the gradient's sign (linf) or the gradient divided by its length (l2).
        gradient_floor: gradients shorter than this are divided by it instead. 1e-6 is how an old library
            normalized l2 gradients: images whose loss has saturated then hardly move.

    Source: croce2019, section 5 (any iterate, step eps / 4, 40 steps); matyasko2020, section 5.4 (last
    iterate, 100 steps).
    """

    name: ClassVar[str] = "pgd_with_restarts"
    norm: Literal["linf", "l2"]
    gradient_floor: Radius = 1e-30

    @property
    def ball(self) -> Norm:
        """The norm of the settings."""
        return self.norm

    def direction(self, gradient: Tensor) -> Tensor:
        """Return the sign or the unit vector."""
        if self.norm == "linf":
            return gradient.sign()
        length = per_image(lengths(gradient, "l2").clamp(min=self.gradient_floor), gradient)
        return gradient / length


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class SparsePgd(RestartedAscent):
    """Sparse PGD in the l1 ball: a step moves the entries with the largest gradients, all by as much.

    Settings:
        sparsity: share of the entries that a step moves.

    Source: Tramer and Boneh 2019; matyasko2020, section 5.4.
    """

    name: ClassVar[str] = "sparse_pgd"
    sparsity: Share = 0.01

    @property
    def ball(self) -> Norm:
        """Always l1."""
        return "l1"

    def direction(self, gradient: Tensor) -> Tensor:
        """Return the signs of the entries at or above the percentile, divided by their number."""
        magnitude = gradient.flatten(1).abs()
        # As many entries as lie at or above the interpolated percentile.
        count = magnitude.shape[1] - math.ceil((1 - self.sparsity) * (magnitude.shape[1] - 1) - 1e-9)
        threshold = per_image(magnitude.topk(max(1, count), dim=1).values[:, -1], gradient)
        kept = gradient.sign() * (gradient.abs() >= threshold)
        return kept / per_image(lengths(kept, "l1").clamp(min=1), gradient)
