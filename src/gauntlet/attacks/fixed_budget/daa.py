"""Distributionally adversarial attack: PGD whose images share what their gradients tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.fixed_budget.restarts import RestartedAttack
from gauntlet.attacks.geometry.norms import project_onto_ball_and_box, uniform_in_ball
from gauntlet.attacks.objectives import loss_gradient
from gauntlet.contracts import PROCEDURES, Batch, Classifier
from gauntlet.setting_types import Norm, PositiveInt, Radius


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class Daa(RestartedAttack):
    """Distributionally adversarial attack in the linf ball, in its Lagrangian blob variant.

    The images of a mini-batch are particles. Each moves by the sign of its own gradient plus a
    kernel-weighted mean of the others' gradients, less the kernel's own gradient. Images are dealt into new
    mini-batches every few steps, so the result of an image depends on the images it is attacked with.

    Settings:
        particles: images of a mini-batch.
        shuffle_every: steps between two deals.
        weight: of the kernel terms against the own gradient.

    Source: Zheng et al. 2019, with the settings of matyasko2020, section 5.4. The kernel term has the sign of
    the implementation behind that work's numbers, under which particles attract each other.
    """

    name: ClassVar[str] = "daa"
    steps: PositiveInt = 200
    particles: PositiveInt = 200
    shuffle_every: PositiveInt = 10
    weight: Radius = 1.1

    # The images of a run are the particles, and restarts do not mix.
    side_by_side: ClassVar[int] = 1

    @property
    def ball(self) -> Norm:
        """Always linf."""
        return "linf"

    def run_once(self, model: Classifier, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Move all particles from uniform starts; the last iterate counts."""
        clean, criterion, generator = batch.images, batch.criterion, batch.generator
        uphill = -1 if criterion.targeted else 1
        images = (clean + uniform_in_ball(clean, "linf", self.eps, generator)).clamp(0, 1)
        deal: tuple[Tensor, ...] = ()
        for step in range(self.steps):
            if step % self.shuffle_every == 0:
                order = torch.randperm(len(clean), generator=generator, device=clean.device)
                deal = order.split(self.particles)
            gradient = uphill * loss_gradient(model, images, criterion.classes)
            direction = torch.empty_like(images)
            for rows in deal:
                direction[rows] = blob_direction(images[rows], gradient[rows], self.weight)
            images = images + self.step_size * direction.sign()
            images = project_onto_ball_and_box(images, clean, "linf", self.eps)
        with torch.no_grad():
            success = criterion.met_by(model(images))
        return images, success, torch.full_like(batch.labels, self.steps)


def blob_direction(particles: Tensor, gradients: Tensor, weight: float) -> Tensor:
    """Return weight * (K G - D) / B + G, with a Gaussian kernel K.

    Its bandwidth h^2 is the median of the squared distances over 2 ln B.

    Args:
        particles: theta, ``[B, ...]``.
        gradients: G, ``[B, ...]``.
        weight: of the kernel terms.

    Here D_i = sum_j K_ij (theta_i - theta_j) / h^2. A single particle has its gradient alone.
    """
    count = len(particles)
    if count == 1:
        return gradients
    theta, gradient = particles.flatten(1), gradients.flatten(1)
    squared = torch.cdist(theta, theta).square()
    bandwidth = (0.5 * squared.median() / math.log(count)).clamp(min=1e-12)
    kernel = (-squared / (2 * bandwidth)).exp()
    spread = (kernel.sum(1, keepdim=True) * theta - kernel @ theta) / bandwidth
    return (gradient + weight * (kernel @ gradient - spread) / count).view_as(particles)
