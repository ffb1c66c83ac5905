"""Adversary critic: adversarial images of the classifier shall look like natural ones of the class they reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gauntlet.architectures.noisy_mlp import NoisyMlp
from gauntlet.attacks.minimum_norm.high_confidence import nearest_boundary_class, unrolled_high_confidence
from gauntlet.contracts import (
    DEFENCES,
    AnyArchitecture,
    Batch,
    Companion,
    Cost,
    Defence,
    Loss,
    Progress,
    Task,
)
from gauntlet.models import frozen
from gauntlet.setting_types import NonNegativeInt, Number, PositiveInt, Share
from gauntlet.training.optimizers import OptimizerSettings, make_optimizer

Weight = Annotated[Number, Field(ge=0, allow_inf_nan=False)]

CRITIC = "critic"
"""Name of the companion."""


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class AdversaryCritic(Defence):
    """Train a classifier against a critic that tells its adversarial images from natural ones, class by class.

    The critic has an output for each class: natural images of the class against adversarial ones that reach it. For
    each batch it takes one step, then the classifier one: to be right, to have its adversarial images pass for
    natural ones of the class that they reach, and to have an attack on them lead back to where they came from. The
    attack is the high-confidence attack, which the classifier is differentiated through.

    The network must be without batch norm: gradients in one image may not depend on others.

    History: the terms of both losses; ``attacked_share``, the share of images whose prediction the attack changes;
    ``confidence_<class>_at_end``, the running confidence of each class.

    Settings:
        critic_weight: lambda, of the critic's judgment in the classifier's loss.
        cycle_weight: lambda_rec, of the way back.
        cycle_power: 2 measures the way back by its squared length, 1 as eq. 4.5 is printed.
        penalty_weight: lambda_grad, of (||gradient|| - 1)^2 in the critic's loss.
        steps: of the attack.
        overshoot: of the attack.
        through_positions: whether the points at which the attack's steps are computed are differentiated as well.
        confidence_memory: share of the old value in the running confidence of a class.
        pretraining_epochs: first epochs, without the critic.
        critic: the critic's network.
        critic_optimizer: and its optimizer; its learning rate follows the schedule of the training.

    Source: matyasko2020, section 4.3 and eqs. 4.3 to 4.5, with the signs corrected: the critic maximizes its
    log-likelihood, and the classifier minimizes -log D.
    """

    name: ClassVar[str] = "adversary_critic"
    critic_weight: Weight = 0.5
    cycle_weight: Weight = 0.01
    cycle_power: Literal[1, 2] = 2
    penalty_weight: Weight = 10.0
    steps: PositiveInt = 5
    overshoot: Weight = 0.05
    through_positions: bool = False
    confidence_memory: Share = 0.5
    pretraining_epochs: NonNegativeInt = 1
    critic: AnyArchitecture = field(default_factory=NoisyMlp)
    critic_optimizer: OptimizerSettings

    def companions(self, task: Task) -> dict[str, Companion]:
        """Return the critic."""
        network = self.critic.build(task.shape, task.classes)
        return {CRITIC: Companion(network, make_optimizer(self.critic_optimizer, network))}

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return the loss of the classifier, after the critic's step."""
        logits = model(batch.images)
        natural = F.cross_entropy(logits, batch.labels)
        sureness, predicted = logits.detach().softmax(1).max(1)
        confidences = self._confidences(progress, logits.shape[1], sureness, predicted)
        state = {f"confidence_{number}": value for number, value in enumerate(confidences)}
        if progress.epoch < self.pretraining_epochs:
            return Loss(natural, logits, {"natural_loss": natural}, state)

        critic = progress.companions[CRITIC]
        aims = nearest_boundary_class(model, batch.images, predicted)
        attacked = self._attack(model, batch.images, aims, confidences[aims])
        critic_parts = critic_step(critic, batch, attacked.detach(), aims, self.penalty_weight)

        with torch.no_grad():
            fooled = model(attacked).argmax(1) != predicted
        with frozen(critic.network):
            score = critic.network(attacked).gather(1, aims[:, None]).squeeze(1)
        fooling = _mean_where(fooled, F.softplus(-score))  # -log D
        cycle = natural.new_zeros(())
        if self.cycle_weight > 0:
            back = self._attack(model, attacked.detach(), predicted, sureness)
            cycle = _mean_where(fooled, _lengths(back - batch.images, self.cycle_power))
        parts = {"natural_loss": natural, "fooling_loss": fooling, "cycle_loss": cycle, **critic_parts}
        parts["attacked_share"] = fooled.float().mean()
        total = natural + self.critic_weight * fooling + self.cycle_weight * cycle
        return Loss(total, logits, parts, state, perturbed=attacked.detach())

    def cost(self, task: Task) -> Cost:
        """A pass of its own, the class's search, and two attacks whose steps are differentiated twice."""
        attacks = 2 if self.cycle_weight > 0 else 1
        return Cost(
            forward=3 + attacks * self.steps,
            backward=task.classes + 1 + 3 * attacks * self.steps,
            weight_gradients=1 + attacks * self.steps,
        )

    def _attack(self, model: nn.Module, images: Tensor, aims: Tensor, wanted: Tensor) -> Tensor:
        return unrolled_high_confidence(
            model,
            images,
            aims,
            wanted,
            steps=self.steps,
            overshoot=self.overshoot,
            through_positions=self.through_positions,
        )

    def _confidences(self, progress: Progress, classes: int, sureness: Tensor, predicted: Tensor) -> Tensor:
        """Return the running confidence of each class, ``[K]``: 1 at first, unchanged by a batch without the class."""
        before = (
            torch.stack([progress.state[f"confidence_{number}"] for number in range(classes)])
            if progress.state
            else sureness.new_ones(classes)
        )
        count = torch.bincount(predicted, minlength=classes)
        means = torch.zeros_like(before).index_add(0, predicted, sureness) / count.clamp(min=1)
        moved = self.confidence_memory * before + (1 - self.confidence_memory) * means
        return torch.where(count > 0, moved, before)


def critic_step(
    critic: Companion, batch: Batch, attacked: Tensor, aims: Tensor, penalty_weight: float
) -> dict[str, Tensor]:
    """Update the critic by natural and adversarial images, and return the terms of its loss.

    The gradient penalty is taken at both kinds of images, not between them (section 4.3; Gulrajani et al. 2017).

    Args:
        critic: scores ``[N, K]``, logits of being natural, class by class.
        batch: natural images with their classes.
        attacked: adversarial images, constants.
        aims: classes that they are meant to reach, ``[N]``.
        penalty_weight: of the gradient penalty.
    """
    scores, penalty = [], batch.images.new_zeros(())
    for images, classes in ((batch.images, batch.labels), (attacked, aims)):
        score, gradient = scored(critic.network, images, classes)
        scores.append(score)
        penalty = penalty + gradient_penalty(gradient)
    natural, adversarial = scores
    likelihood = F.softplus(-natural).mean() + F.softplus(adversarial).mean()
    critic.step(likelihood + penalty_weight * penalty)
    return {"critic_loss": likelihood.detach(), "gradient_penalty": penalty.detach()}


def scored(critic: nn.Module, images: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Return each image's score for its class ``[N]``, and the score's gradient in the image, differentiable."""
    points = images.detach().requires_grad_()
    score = critic(points).gather(1, classes[:, None]).squeeze(1)
    (gradient,) = torch.autograd.grad(score.sum(), points, create_graph=True)
    return score, gradient


def gradient_penalty(gradient: Tensor) -> Tensor:
    """Return the mean of (||gradient||_2 - 1)^2 over images ``[N, C, H, W]``."""
    return (_lengths(gradient, 1) - 1).square().mean()


def _lengths(values: Tensor, power: int) -> Tensor:
    """Return the l2 length of each image, or its square, ``[N]``; the length has a gradient at 0 too."""
    squared = values.flatten(1).square().sum(1)
    return squared if power == 2 else (squared + 1e-12).sqrt()


def _mean_where(chosen: Tensor, values: Tensor) -> Tensor:
    """Return the mean over the chosen images, 0 where there are none."""
    return torch.where(chosen, values, 0.0).sum() / chosen.sum().clamp(min=1)
