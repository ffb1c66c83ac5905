"""SmoothAdv: adversarial training of the soft-smoothed classifier (Salman et al. 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gauntlet.attacks.geometry.norms import (
    lengths,
    per_image,
    project_onto_ball,
    uniform_on_sphere,
    unit_gradient,
)
from gauntlet.contracts import DEFENCES, Batch, Cost, Loss, Progress, Task
from gauntlet.defences.attacking import AttackingDefence
from gauntlet.defences.noise import (
    copies_logits,
    cross_entropy_per_image,
    gaussian_noise,
    log_mean_probabilities,
    true_class,
)
from gauntlet.setting_types import NonNegativeInt, PositiveInt, Radius

SMALLEST_RATE = 0.01
"""End of the cosine schedule of DDN's step length, which starts at 1."""

LEVELS = 255
"""Steps of an 8-bit image, to which DDN rounds its iterates."""


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class SmoothAdv(AttackingDefence):
    """Train on noisy copies of images that an l2 attack on the smoothed classifier perturbed.

    The attack maximizes ``-log mean_i F(x + delta + noise_i)_y`` with the network in eval mode; the same
    noise draws then carry the training step.

    Settings:
        sigma: standard deviation of the noise, in pixel scale.
        eps: l2 radius of the attack, in pixel scale.
        attack: ``pgd`` takes steps of length 2 eps / steps along the unit gradient; ``ddn`` adapts the norm
            of the perturbation step by step and ends with the smallest adversarial one that it met.
        steps: attack steps.
        draws: noise draws m of each image.
        warmup: epochs over which eps grows linearly to its full value.
        norm_step: share by which ``ddn`` changes the norm.

    A further setting is that of ``AttackingDefence``: attack_precision.

    Source: maerz2023, Algorithm 3; attacks and schedule of Salman et al. 2019.
    """

    name: ClassVar[str] = "smooth_adv"
    sigma: Radius
    eps: Radius
    attack: Literal["pgd", "ddn"] = "pgd"
    steps: PositiveInt = 10
    draws: PositiveInt = 4
    warmup: NonNegativeInt = 10
    norm_step: Annotated[float, Field(gt=0, lt=1)] = 0.05

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Attack the batch, then return the mean cross-entropy of the noisy adversarial copies."""
        noise = gaussian_noise(batch, self.sigma, self.draws)
        eps = self.eps if not self.warmup else self.eps * min(1.0, (progress.epoch + 1) / self.warmup)
        attack = self._pgd if self.attack == "pgd" else self._ddn
        with self.attacking(model, batch):
            perturbation = attack(model, batch, noise, eps)
        logits = copies_logits(model, batch.images + perturbation + noise)
        value = cross_entropy_per_image(logits.log_softmax(-1), batch.labels).mean()
        return Loss(value, logits[0], {"perturbation": lengths(perturbation, "l2").mean()})

    def _pgd(self, model: nn.Module, batch: Batch, noise: Tensor, eps: float) -> Tensor:
        perturbation = torch.zeros_like(batch.images)
        for _ in range(self.steps):
            direction, _ = _ascent(model, batch, perturbation, noise)
            moved = batch.images + perturbation + 2 * eps / self.steps * direction
            # Clipping comes first: the projection pulls towards the clean image and stays inside the box.
            perturbation = project_onto_ball(moved.clamp(0, 1) - batch.images, "l2", eps)
        return perturbation

    def _ddn(self, model: nn.Module, batch: Batch, noise: Tensor, eps: float) -> Tensor:
        """Decoupled direction and norm (Rony et al. 2019), started at norm eps and ended inside the ball."""
        images = batch.images
        perturbation = best = torch.zeros_like(images)
        norm = images.new_full((len(batch),), eps)
        best_norm = torch.full_like(norm, math.inf)
        for step in range(self.steps):
            direction, adversarial = _ascent(model, batch, perturbation, noise)
            length = lengths(perturbation, "l2")
            better = adversarial & (length < best_norm)
            best_norm = torch.where(better, length, best_norm)
            best = torch.where(per_image(better, images).bool(), perturbation, best)
            norm = norm * torch.where(adversarial, 1 - self.norm_step, 1 + self.norm_step)
            rate = SMALLEST_RATE + (1 - SMALLEST_RATE) * (1 + math.cos(math.pi * step / self.steps)) / 2
            moved = unit_gradient(perturbation + rate * direction, "l2") * per_image(norm, images)
            perturbation = ((images + moved) * LEVELS).round().div(LEVELS).clamp(0, 1) - images
        found = per_image(best_norm < math.inf, images).bool()
        return project_onto_ball(torch.where(found, best, perturbation), "l2", eps)

    def cost(self, task: Task) -> Cost:
        """One pass each way per noisy copy, for every attack step and for the training step."""
        passes = self.draws * (self.steps + 1)
        return Cost(forward=passes, backward=passes, weight_gradients=self.draws)


def _ascent(model: nn.Module, batch: Batch, perturbation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return the unit l2 ascent direction of the smoothed loss, and whether each image is misclassified now.

    Where the gradient vanishes the direction is a random one.
    """
    perturbation = perturbation.detach().requires_grad_()
    with torch.enable_grad():
        logits = copies_logits(model, batch.images + perturbation + noise)
        log_mean = log_mean_probabilities(logits.log_softmax(-1))
        (gradient,) = torch.autograd.grad(-true_class(log_mean, batch.labels).sum(), perturbation)
    somewhere = uniform_on_sphere(gradient, "l2", 1.0, batch.generator)
    flat = per_image(lengths(gradient, "linf") == 0, gradient).bool()
    adversarial = log_mean.detach().argmax(1) != batch.labels
    return torch.where(flat, somewhere, unit_gradient(gradient, "l2")), adversarial
