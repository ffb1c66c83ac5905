"""TRADES: a clean loss, and a penalty where the answer changes inside the ball (Zhang et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gauntlet.attacks.fixed_budget.pgd import projected_ascent
from gauntlet.contracts import DEFENCES, Batch, Cost, Defence, Loss, Progress, Task
from gauntlet.setting_types import Number, PositiveInt, Radius


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class Trades(Defence):
    """Minimize CE(F(x), y) + beta max KL(F(x) || F(x')) over x' in the linf ball around x.

    The maximum is approached by sign steps on the divergence, with the network in eval mode; the training
    step passes clean and perturbed images through it one after the other in train mode.

    Settings:
        strength: beta, the weight of the penalty.
        eps: radius of the ball in pixel scale.
        steps: sign steps.
        step_size: length of a step in pixel scale.
        start_scale: standard deviation of the Gaussian start. Without a start the divergence has no gradient.

    Source: chen2021, section 3.4 and chapter 5; settings of Zhang et al. 2019.
    """

    name: ClassVar[str] = "trades"
    strength: Annotated[Number, Field(ge=0)] = 6.0
    eps: Radius = 0.031
    steps: PositiveInt = 10
    step_size: Radius = 0.007
    start_scale: Radius = 0.001

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return both terms; accuracy is measured on the clean images."""
        model.eval()
        perturbed = self._perturbed(model, batch)
        model.train()
        logits = model(batch.images)
        natural = F.cross_entropy(logits, batch.labels)
        divergence = divergence_between(logits, model(perturbed))
        parts = {"clean_loss": natural, "divergence": divergence}
        return Loss(natural + self.strength * divergence, logits, parts)

    def _perturbed(self, model: nn.Module, batch: Batch) -> Tensor:
        """Climb the divergence from a point next to the clean image."""
        clean = batch.images
        with torch.no_grad():
            answer = model(clean)
        noise = torch.randn(clean.shape, generator=batch.generator, device=clean.device, dtype=clean.dtype)

        def gradient(images: Tensor) -> Tensor:
            leaf = images.detach().requires_grad_()
            with torch.enable_grad():
                return torch.autograd.grad(divergence_between(answer, model(leaf)), leaf)[0]

        start = clean + self.start_scale * noise
        return projected_ascent(
            gradient, start, clean, norm="linf", eps=self.eps, step_size=self.step_size, steps=self.steps
        )

    def cost(self, task: Task) -> Cost:
        """A pass to fix the clean answer, the steps, and two passes each way to learn."""
        return Cost(forward=self.steps + 3, backward=self.steps + 2, weight_gradients=2)


def divergence_between(logits: Tensor, perturbed: Tensor) -> Tensor:
    """Return the mean over images of KL(softmax(logits) || softmax(perturbed)) in nats; both ``[N, K]``."""
    return F.kl_div(perturbed.log_softmax(1), logits.log_softmax(1), reduction="batchmean", log_target=True)
