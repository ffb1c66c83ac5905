"""Losses that attacks follow, and their gradients in the image."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.contracts import Classifier, Criterion

ObjectiveLoss = Literal["cross_entropy", "margin"]
"""A loss on logits that falls towards success."""

LossName = Literal["cross_entropy", "softmax_log"]
"""Formula for -log of the true class's probability.

``cross_entropy`` takes the log-softmax of the logits in float64: its gradient vanishes neither for images
that the network is sure of nor for those it has lost. ``softmax_log`` is maerz2023's: a float32 softmax, then
its logarithm; a probability of exactly 0 gives an infinite loss and a gradient of NaN.
"""


def objective(criterion: Criterion, logits: Tensor, name: ObjectiveLoss) -> Tensor:
    """Return the named loss, to be minimized, ``[N]``."""
    return cross_entropy(criterion, logits) if name == "cross_entropy" else criterion.margin(logits)


def cross_entropy(criterion: Criterion, logits: Tensor) -> Tensor:
    """Return the softmax cross-entropy of the target, or minus that of the true class, in nats, ``[N]``.

    Written as softplus of the log-odds against the class. Unlike log-softmax it keeps a gradient, and
    differences, when the softmax of float32 logits has saturated at 1.
    """
    own = F.one_hot(criterion.classes, logits.shape[1]).bool()
    chosen = logits.gather(1, criterion.classes[:, None]).squeeze(1)
    value = F.softplus(logits.masked_fill(own, -torch.inf).logsumexp(1) - chosen)
    return value if criterion.targeted else -value


def log_odds(criterion: Criterion, logits: Tensor, floor: float = 1e-10) -> Tensor:
    """Return the log of the probability of failure over that of success, both raised by ``floor``, float64.

    For a target t: log(sum of p_c over c != t) - log(p_t). Source: maerz2023, section 4.4, the objective of
    the BOBYQA attack.
    """
    probabilities = logits.double().softmax(1)
    chosen = probabilities.gather(1, criterion.classes[:, None]).squeeze(1)
    others = probabilities.scatter(1, criterion.classes[:, None], 0.0).sum(1)
    value = (others + floor).log() - (chosen + floor).log()
    return value if criterion.targeted else -value


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
