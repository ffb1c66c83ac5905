"""Projected gradient descent with many random restarts, dense (linf, l2) and sparse (l1)."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gauntlet.attacks.base import Perturbed, WhiteBoxAttack
from gauntlet.attacks.geometry.norms import lengths, per_image, project_onto_ball_and_box, uniform_in_ball
from gauntlet.attacks.minimum_norm.perturbations import margins
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, ThreatModel
from gauntlet.setting_types import Norm, PositiveInt, Radius, Share

SIDE_BY_SIDE = 1024
"""Runs (an image in one restart) that share a pass, at most, unless the batch itself is larger."""


@dataclass(frozen=True, kw_only=True)
class RestartedAscent(WhiteBoxAttack):
    """What both attacks share: uniform starts in the ball, ascent on a loss, restarts for what still stands.

    Settings:
        eps: radius of the ball.
        step_size: length of one step.
        steps: steps of one run.
        restarts: most runs per image; an image leaves at its first success.
        loss: cross_entropy, or margin (largest wrong logit minus the true one), which does not vanish where
            the softmax saturates.
        success_at: whether any iterate of a run may succeed, or the last one only.

    Columns: ``restart``, the number of the first restart that succeeded (0 for images that are misclassified
    already, -1 for images that stand), so that one evaluation answers for every smaller number of restarts.
    """

    eps: Radius
    step_size: Radius
    steps: PositiveInt = 40
    restarts: PositiveInt = 1
    loss: Literal["cross_entropy", "margin"] = "cross_entropy"
    success_at: Literal["any", "last"] = "any"

    @property
    def threat_model(self) -> ThreatModel:
        """White-box, in the ball."""
        return ThreatModel("fixed_budget", "white-box", self.ball, self.eps, self.ball)

    @property
    @abstractmethod
    def ball(self) -> Norm:
        """The norm of the ball."""

    @abstractmethod
    def direction(self, gradient: Tensor) -> Tensor:
        """Return the step for a gradient, up to its size."""

    @property
    def cost(self) -> Cost:
        """All restarts on images that stand."""
        return Cost(2 + self.restarts * (self.steps + 1), self.restarts * self.steps)

    def perturb(self, model: Classifier, batch: Batch) -> Perturbed:
        """Return the first adversarial images found; of images that stand, the last iterate."""
        with torch.no_grad():
            standing = (model(batch.images).argmax(1) == batch.labels).nonzero().squeeze(1)
        images = batch.images.clone()
        restart = torch.zeros_like(batch.labels).index_fill(0, standing, -1)
        iterations, queries = torch.zeros_like(batch.labels), torch.ones_like(batch.labels)
        done = 0
        while done < self.restarts and len(standing):
            together = min(self.restarts - done, max(1, SIDE_BY_SIDE // len(standing)))
            rows = standing.repeat(together)
            found, success, steps = self._run(model, batch.images[rows], batch.labels[rows], batch.generator)
            iterations.index_add_(0, rows, steps)
            queries.index_add_(0, rows, steps + 1)
            # The first restart that succeeds; the last one where none does.
            by_restart = success.view(together, -1)
            first = torch.where(by_restart.any(0), by_restart.long().argmax(0), together - 1)
            chosen = first * len(standing) + torch.arange(len(standing), device=rows.device)
            images[standing] = found[chosen]
            hit = success[chosen]
            restart[standing[hit]] = done + 1 + first[hit]
            standing = standing[~hit]
            done += together
        return Perturbed(images, iterations, queries, {"restart": restart})

    def _run(
        self, model: Classifier, clean: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run once from a random start; returns final images, success and steps, one per run."""
        start = clean + uniform_in_ball(clean, self.ball, self.eps, generator)
        final = start.clamp(0, 1)
        success = torch.zeros(len(clean), dtype=torch.bool, device=clean.device)
        taken = torch.full_like(labels, self.steps)
        rows, images = torch.arange(len(clean), device=clean.device), final.clone()
        for step in range(self.steps + 1):
            images = images.requires_grad_(step < self.steps)
            with torch.set_grad_enabled(step < self.steps):
                logits = model(images)
            if self.success_at == "any" or step == self.steps:
                wrong = logits.detach().argmax(1) != labels[rows]
                success[rows] = wrong
                if step == self.steps or wrong.any():
                    final[rows] = images.detach()
                    taken[rows[wrong]] = step
            if step == self.steps:
                break
            (gradient,) = torch.autograd.grad(self._loss(logits, labels[rows]).sum(), images)
            images = images.detach()
            if self.success_at == "any" and wrong.any():
                kept = ~wrong
                rows, images, gradient = rows[kept], images[kept], gradient[kept]
                if len(rows) == 0:
                    break
            images = images + self.step_size * self.direction(gradient)
            images = project_onto_ball_and_box(images, clean[rows], self.ball, self.eps)
        return final, success, taken

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.loss == "margin":
            return -margins(logits, labels)
        return torch.nn.functional.cross_entropy(logits, labels, reduction="none")


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class PgdWithRestarts(RestartedAscent):
    """PGD in the linf or l2 ball.

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
