"""Distributionally adversarial attack: PGD whose images share what their gradients tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.base import Perturbed, WhiteBoxAttack
from gauntlet.attacks.geometry.norms import project_onto_ball_and_box, uniform_in_ball
from gauntlet.attacks.gradients import loss_gradient
from gauntlet.attacks.minimum_norm.perturbations import correctly_classified
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, ThreatModel
from gauntlet.setting_types import PositiveInt, Radius


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class Daa(WhiteBoxAttack):
    """The Lagrangian blob variant in the linf ball.

    The images of a mini-batch are particles. Each moves by the sign of its own gradient plus a
    kernel-weighted mean of the others' gradients, less the kernel's own gradient. Images are dealt into new
    mini-batches every few steps, so the result of an image depends on the images it is attacked with.

    Settings:
        eps: radius of the linf ball.
        step_size: length of a step.
        steps: steps of one run.
        restarts: runs from uniform random starts; only images that still stand run again.
        particles: images of a mini-batch.
        shuffle_every: steps between two deals.
        weight: of the kernel terms against the own gradient.

    Columns: ``restart``, the number of the first restart that succeeded (0 for images that are misclassified
    already, -1 for images that stand).

    Source: Zheng et al. 2019, with the settings of matyasko2020, section 5.4. The kernel term has the sign of
    the implementation behind that work's numbers, under which particles attract each other.
    """

    name: ClassVar[str] = "daa"
    eps: Radius
    step_size: Radius
    steps: PositiveInt = 200
    restarts: PositiveInt = 1
    particles: PositiveInt = 200
    shuffle_every: PositiveInt = 10
    weight: Radius = 1.1

    @property
    def threat_model(self) -> ThreatModel:
        """White-box, in the linf ball."""
        return ThreatModel("fixed_budget", "white-box", "linf", self.eps, "linf")

    @property
    def cost(self) -> Cost:
        """One pass either way per step."""
        return Cost(2 + self.restarts * (self.steps + 1), self.restarts * self.steps)

    def perturb(self, model: Classifier, batch: Batch) -> Perturbed:
        """Return the last iterate of the first run that succeeds, or of the last run."""
        standing = correctly_classified(model, batch.images, batch.labels)
        images = batch.images.clone()
        restart = torch.zeros_like(batch.labels).index_fill(0, standing, -1)
        runs = torch.zeros_like(batch.labels)
        for number in range(1, self.restarts + 1):
            if len(standing) == 0:
                break
            clean, labels = batch.images[standing], batch.labels[standing]
            found = self._run(model, clean, labels, batch.generator)
            runs[standing] += 1
            images[standing] = found
            with torch.no_grad():
                wrong = model(found).argmax(1) != labels
            restart[standing[wrong]] = number
            standing = standing[~wrong]
        return Perturbed(images, runs * self.steps, runs * (self.steps + 1) + 1, {"restart": restart})

    def _run(self, model: Classifier, clean: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        images = (clean + uniform_in_ball(clean, "linf", self.eps, generator)).clamp(0, 1)
        deal: tuple[Tensor, ...] = ()
        for step in range(self.steps):
            if step % self.shuffle_every == 0:
                order = torch.randperm(len(clean), generator=generator, device=clean.device)
                deal = order.split(self.particles)
            gradient = loss_gradient(model, images, labels)
            direction = torch.empty_like(images)
            for rows in deal:
                direction[rows] = blob_direction(images[rows], gradient[rows], self.weight)
            images = images + self.step_size * direction.sign()
            images = project_onto_ball_and_box(images, clean, "linf", self.eps)
        return images


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
