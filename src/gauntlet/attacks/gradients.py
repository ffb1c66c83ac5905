"""What gradient attacks share: the loss they climb, its gradient in the image, and the class they aim at."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.contracts import Batch, Classifier
from gauntlet.errors import ConfigurationError

LossName = Literal["cross_entropy", "softmax_log"]
"""How -log of the true class's probability is computed.

``cross_entropy`` takes the log-softmax of the logits in float64: its gradient vanishes neither for images
that the network is sure of nor for those it has lost. ``softmax_log`` is maerz2023's: a float32 softmax, then
its logarithm; a probability of exactly 0 gives an infinite loss and a gradient of NaN.
"""

TargetRule = Literal["none", "chosen", "least_likely"]
"""Class that an attack aims at: none (untargeted), the batch's target, or the clean image's least likely."""


def class_loss(logits: Tensor, classes: Tensor, loss: LossName) -> Tensor:
    """Return -log of the probability of each image's class, ``[N]``."""
    if loss == "cross_entropy":
        return F.cross_entropy(logits.double(), classes, reduction="none")
    return -logits.float().softmax(1).gather(1, classes[:, None]).squeeze(1).log()


def loss_gradient(
    model: Classifier, images: Tensor, classes: Tensor, loss: LossName = "cross_entropy"
) -> Tensor:
    """Return the gradient of each image's loss in the image, ``[N, C, H, W]``.

    The network's parameters collect no gradients, and none are computed for them.
    """
    with torch.enable_grad():
        leaf = images.detach().requires_grad_()
        total = class_loss(model(leaf), classes, loss).sum()
        return torch.autograd.grad(total, leaf)[0]


def targets_of(model: Classifier, batch: Batch, aim: TargetRule) -> Tensor | None:
    """Return the classes ``[N]`` that an attack aims at, None if it is untargeted.

    Raises:
        ConfigurationError: the batch brings no targets, and the attack aims at them.
    """
    if aim == "none":
        return None
    if aim == "chosen":
        if batch.targets is None:
            raise ConfigurationError(
                "the attack aims at chosen targets, and the samples bring none",
                key="target",
                found=aim,
                valid="samples with targets, or target: none or least_likely",
            )
        return batch.targets
    with torch.no_grad():
        return model(batch.images).argmin(1)
