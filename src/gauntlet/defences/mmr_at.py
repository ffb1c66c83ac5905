"""Maximum margin regularization with adversarial training (Croce, Andriushchenko and Hein 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from gauntlet.attacks.base import Attack
from gauntlet.attacks.linear_regions.piecewise_affine import Regions
from gauntlet.contracts import DEFENCES, AnyProcedure, Batch, Cost, Loss, Progress, Task
from gauntlet.defences.attacking import AttackingDefence
from gauntlet.errors import ConfigurationError
from gauntlet.setting_types import NonNegativeInt, PositiveInt, Radius, Share

DUAL_ORDER = {"linf": 1.0, "l2": 2.0}
NO_SLOPE = 1e-6
"""Dual norm of a gradient at or below which a value counts as constant (in single precision it is rounding)."""


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class MmrAt(AttackingDefence):
    """Push the boundaries of each image's linear region, and the decision boundary, away from it.

    To the cross-entropy is added, weighted, the mean of max(0, 1 - d / gamma) over the nearest boundaries of
    the region, and the same over the decision boundaries. Distances are exact inside the region: a unit's is
    its pre-activation over the dual norm of its gradient in the image. Half of each batch is attacked first.

    Settings:
        norm: in which distances are measured, linf or l2.
        strength: lambda, the final weight of the regularizer.
        region_distance: gamma_B, up to which region boundaries count.
        decision_distance: gamma_D, up to which decision boundaries count.
        first_share: share of the hidden units whose boundaries count in the first epoch.
        last_share: the same in the last; it falls linearly between.
        ramp_epochs: epochs over which the weight grows linearly.
        attack: how the second half of the batch is perturbed.
        passes_at_once: images in one pass of the frozen network; bounds the memory.

    A further setting is that of ``AttackingDefence``: attack_precision.

    Source: croce2019, sections 4.5 and 5.2.
    """

    name: ClassVar[str] = "mmr_at"
    norm: Literal["linf", "l2"]
    strength: Radius
    region_distance: Radius
    decision_distance: Radius
    first_share: Share = 0.1
    last_share: Share = 0.02
    ramp_epochs: NonNegativeInt = 10
    attack: AnyProcedure
    passes_at_once: PositiveInt = 8192

    def __post_init__(self) -> None:
        """Refuse a procedure that perturbs nothing."""
        if not isinstance(self.attack, Attack):
            raise ConfigurationError(
                "maximum margin regularization needs an attack",
                key="attack.name",
                found=self.attack.name,
                valid="a procedure that perturbs images",
            )

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return the regularized cross-entropy of the half attacked batch."""
        images, half = batch.images, len(batch) // 2
        if half:
            part = batch.select(torch.arange(half, len(batch), device=batch.labels.device))
            assert isinstance(self.attack, Attack)
            with self.attacking(model, batch):
                images = torch.cat([images[:half], self.attack.perturb(model, part).images.detach()])
        share = progress.epoch / max(1, progress.epochs - 1)
        counted = self.first_share + share * (self.last_share - self.first_share)
        weight = self.strength
        if self.ramp_epochs:
            weight *= min(1.0, (progress.epoch + 1) / self.ramp_epochs)
        region, decision, logits = boundary_distances(
            model, images, batch.labels, self.norm, self.passes_at_once
        )
        nearest = region.topk(max(1, round(counted * region.shape[1])), dim=1, largest=False).values
        region_loss = (1 - nearest / self.region_distance).clamp(min=0).mean()
        decision_loss = (1 - decision / self.decision_distance).clamp(min=0).mean()
        value = F.cross_entropy(logits, batch.labels)
        parts = {"region_loss": region_loss, "decision_loss": decision_loss}
        return Loss(value + weight * (region_loss + decision_loss), logits, parts)

    def cost(self, task: Task) -> Cost:
        """The attack on half the batch, and a pass of the frozen network per pixel (here of 28x28)."""
        return self.attack.cost(task) * 0.5 + Cost(2 * (task.values + 1), task.values + 1, task.values + 1)


def boundary_distances(
    model: nn.Module, images: Tensor, labels: Tensor, norm: Literal["linf", "l2"], passes_at_once: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Measure the distances to the hyperplanes that bound each image's linear region and decision.

    Differentiable in the network's weights.

    Args:
        model: a network of ReLU type; for others a GauntletError names the layer.
        images: ``[B, C, H, W]``.
        labels: true classes ``[B]``.
        norm: of the distances.
        passes_at_once: images in one pass.

    Returns:
        Distances of the units' hyperplanes ``[B, units]``; those of the decision boundaries ``[B, K - 1]``,
        negative on the wrong side; the logits ``[B, K]``. What does not change with the image inside the
        region has no hyperplane: its distance is infinite.
    """
    regions = Regions.at(model, images)
    batch, pixels = len(images), images[0].numel()

    def evaluate(points: Tensor, repeats: int) -> tuple[Tensor, Tensor]:
        index = torch.arange(batch, device=images.device).repeat_interleave(repeats)
        rows, logits = regions.select(index).evaluate(points)
        # The margin to each other class, the true one left out.
        own = labels[index][:, None]
        others = torch.arange(logits.shape[1], device=images.device)[None] != own
        margins = (logits.gather(1, own) - logits)[others].view(len(logits), -1)
        return torch.cat([*rows, margins], 1), logits

    values, logits = evaluate(images, 1)
    offset = evaluate(torch.zeros_like(images), 1)[0]

    def partial_sums(columns: Tensor) -> Tensor:
        """Add up the powers of the derivatives with respect to some of the pixels."""
        units = F.one_hot(columns, pixels).to(images.dtype).view(-1, *images.shape[1:])
        points = units.repeat(batch, *[1] * (images.dim() - 1))
        slopes = evaluate(points, len(columns))[0].unflatten(0, (batch, -1)) - offset[:, None]
        return slopes.abs().pow(DUAL_ORDER[norm]).sum(1)

    block = max(1, passes_at_once // batch)
    sums = torch.zeros_like(values)
    for columns in torch.arange(pixels, device=images.device).split(block):
        sums = sums + checkpoint(partial_sums, columns, use_reentrant=False)
    flat = sums <= NO_SLOPE ** DUAL_ORDER[norm]
    norms = torch.where(flat, 1.0, sums) ** (1 / DUAL_ORDER[norm])
    units = values.shape[1] - logits.shape[1] + 1
    distances = torch.where(flat, torch.inf, values / norms)
    return distances[:, :units].abs(), distances[:, units:], logits
