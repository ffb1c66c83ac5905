"""GradAlign: keep the loss linear inside the ball (Andriushchenko and Flammarion 2020)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gauntlet.attacks.geometry.norms import lengths, per_image, uniform_in_ball
from gauntlet.contracts import DEFENCES, AnyDefence, Batch, Cost, Defence, Loss, Progress, Task
from gauntlet.setting_types import Number, Radius


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class GradAlign(Defence):
    """Add mu (1 - cos) of the loss gradients at the image and at a random point of the ball around it.

    The cosine is taken over all pixels of an image, its mean over the images that have both gradients. It is
    differentiated through both, in float32, with the network in train mode as the authors have it: batch norm
    uses the statistics of the batch.

    Settings:
        defence: the loss that the term is added to.
        strength: mu; 0.2 at a radius of 8/255, 0.063 at 4/255 and 0.632 at 12/255.
        eps: radius of the ball in pixel scale.

    Source: chen2021, section 6.5; Andriushchenko and Flammarion 2020.
    """

    name: ClassVar[str] = "grad_align"
    defence: AnyDefence
    strength: Annotated[Number, Field(ge=0)] = 0.2
    eps: Radius = 0.031

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return the defence's loss and the term, whose unweighted mean is the part ``misalignment``."""
        loss = self.defence.loss(model, batch, progress)
        noise = uniform_in_ball(batch.images, "linf", self.eps, batch.generator)
        with torch.autocast(batch.images.device.type, enabled=False):
            clean, noisy = (
                _input_gradient(model, images, batch.labels)
                for images in (batch.images, batch.images + noise)
            )
            misalignment = 1 - mean_cosine(clean, noisy)
        return replace(
            loss,
            value=loss.value + self.strength * misalignment,
            parts={**loss.parts, "misalignment": misalignment},
        )

    def cost(self, task: Task) -> Cost:
        """The defence, and two gradients of the image, through which it goes back once more."""
        return self.defence.cost(task) + Cost(forward=2, backward=6, weight_gradients=4)


def mean_cosine(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean over images of the cosine of two vectors, ``[N, ...]`` each; those with a zero do not count.

    Without any that counts it is 1. Differentiable, also where a vector is zero.
    """
    first, second = _unit_scale(first), _unit_scale(second)
    product = first.square().sum(1) * second.square().sum(1)
    counts = product > 0
    cosine = (first * second).sum(1) / torch.where(counts, product, 1.0).sqrt()
    return 1 + torch.where(counts, cosine - 1, 0.0).sum() / counts.sum().clamp(min=1)


def _unit_scale(vectors: Tensor) -> Tensor:
    """Divide each vector by its largest entry, since squares of tiny gradients underflow; ``[N, D]``."""
    largest = per_image(lengths(vectors.detach(), "linf"), vectors)
    return (vectors / torch.where(largest == 0, 1.0, largest)).flatten(1)


def _input_gradient(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return each image's gradient of its cross-entropy, differentiable in the weights."""
    leaf = images.detach().requires_grad_()
    total = F.cross_entropy(model(leaf), labels, reduction="sum")
    return torch.autograd.grad(total, leaf, create_graph=True)[0]
