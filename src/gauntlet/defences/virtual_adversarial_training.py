"""Virtual adversarial training: keep the answer where it changes fastest (Miyato et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from gauntlet.attacks.geometry.norms import unit_gradient
from gauntlet.contracts import DEFENCES, Batch, Cost, Defence, Loss, Progress, Task
from gauntlet.defences.regularization import NATURAL_LOSS, ROBUST_LOSS
from gauntlet.defences.trades import divergences
from gauntlet.setting_types import Number, PositiveInt, Radius


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class VirtualAdversarialTraining(Defence):
    """Minimize CE(F(x), y) + lambda KL(p(x) || p(x + r)), with r of length eps where the divergence grows fastest.

    To second order the divergence is r' H r / 2, with the Fisher matrix H of the image; power iteration turns a
    random direction towards its top eigenvector. A step takes the gradient of the divergence at xi times the
    direction, in float64: at the work's xi a float32 difference is rounding. The network is in eval mode there.
    p(x) is a constant in the loss, and x + r is not confined to the image box.

    Settings:
        eps: length of r in l2.
        steps: K, steps of the power iteration.
        xi: distance at which the gradient is taken.
        strength: lambda.

    Source: matyasko2020, eqs. 2.23 and 2.24; Miyato et al. 2015.
    """

    name: ClassVar[str] = "virtual_adversarial_training"
    eps: Radius = 2.0
    steps: PositiveInt = 1
    xi: Radius = 1e-6
    strength: Annotated[Number, Field(ge=0)] = 1.0

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return both terms; accuracy is measured on the clean images."""
        perturbed = batch.images + self.perturbation(model, batch)
        logits = model(batch.images)
        natural = F.cross_entropy(logits, batch.labels)
        divergence = divergences(logits.detach(), model(perturbed)).mean()
        parts = {NATURAL_LOSS: natural, ROBUST_LOSS: divergence}
        return Loss(natural + self.strength * divergence, logits, parts, perturbed=perturbed)

    def perturbation(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return r for each image, float32 ``[N, C, H, W]``; the model is in train mode before and after."""
        images = batch.images.double()
        direction = torch.randn(
            images.shape, generator=batch.generator, device=images.device, dtype=torch.float64
        )
        model.eval()
        with torch.autocast(images.device.type, enabled=False):
            tensors = {
                name: tensor.double() if tensor.is_floating_point() else tensor
                for name, tensor in model.state_dict().items()
            }
            with torch.no_grad():
                answer = functional_call(model, tensors, (images,)).log_softmax(1)
            for _ in range(self.steps):
                tried = (self.xi * unit_gradient(direction, "l2")).requires_grad_()
                logs = functional_call(model, tensors, (images + tried,)).log_softmax(1)
                total = F.kl_div(logs, answer, reduction="sum", log_target=True)
                (direction,) = torch.autograd.grad(total, tried)
        model.train()
        return (self.eps * unit_gradient(direction, "l2")).to(batch.images.dtype)

    def cost(self, task: Task) -> Cost:
        """The answer, the steps, and two passes each way to learn."""
        return Cost(forward=3 + self.steps, backward=2 + self.steps, weight_gradients=2)
