"""Deep margin maximization: a hinge loss and the slope of the nearest class's lead (matyasko2020, chapter 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gauntlet.contracts import DEFENCES, Batch, Cost, Defence, Loss, Progress, Task
from gauntlet.defences.regularization import NATURAL_LOSS
from gauntlet.errors import ConfigurationError
from gauntlet.models import attack_space
from gauntlet.setting_types import Number

SENSITIVITY = "sensitivity"
"""Part of the loss, and column of the history: the mean unweighted penalty."""


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class Margin(Defence):
    """Minimize max_j (1 + f_j - f_y)_+ + C max_j ||grad f_y - grad f_j||^power over the wrong classes j.

    The distance to the boundary of class j is, to first order, (f_y - f_j) over the norm of the difference of the
    gradients in the image: the first term raises the numerator, the second, the margin sensitivity, lowers the
    denominator. It is differentiated through the gradients, in float32. To first order this bounds training against
    the worst perturbation in a ball of radius C in the dual norm (Theorems 3.4.1 and 3.4.2); with two classes it is
    the binary objective (eq. 3.14) of f = f_1 - f_0.

    Where a network declares an attack space, gradients are taken there. They are those of each image only in a
    network without batch norm.

    Settings:
        strength: C.
        norm: of the gradients: ``l2`` (an l2 ball) or ``l1`` (an linf ball).
        power: 2 penalizes the squared l2 norm, as the work's code does, 1 the norm, as it prints.
        classification: ``hinge``, or ``cross_entropy`` as with Network in Network, on which the hinge diverges.
        maximum: over the classes: ``danskin`` finds the steepest class first and differentiates that one alone,
            ``exact`` differentiates all of them. Both have the same gradient.

    Source: matyasko2020, eqs. 3.14, 3.18 (with the signs of 3.19) and section 3.5.
    """

    name: ClassVar[str] = "margin"
    strength: Annotated[Number, Field(ge=0)]
    norm: Literal["l2", "l1"] = "l2"
    power: Literal[1, 2] = 2
    classification: Literal["hinge", "cross_entropy"] = "hinge"
    maximum: Literal["danskin", "exact"] = "danskin"

    def __post_init__(self) -> None:
        """Refuse the square of an l1 norm, which no theorem is about."""
        if self.norm == "l1" and self.power == 2:
            raise ConfigurationError(
                "the l1 norm is penalized as it is", key="power", found="2", valid="1, or norm: l2"
            )

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return both terms; accuracy is measured on the clean images."""
        with torch.autocast(batch.images.device.type, enabled=False):
            network, points = attack_space(model, batch.images)
            points = points.detach().requires_grad_()
            logits = network(points)
            if self.classification == "hinge":
                natural = multiclass_hinge(logits, batch.labels).mean()
            else:
                natural = F.cross_entropy(logits, batch.labels)
            slopes = sensitivities(points, logits, batch.labels, self.norm, self.maximum)
            penalty = (slopes**self.power).mean()
        parts = {NATURAL_LOSS: natural, SENSITIVITY: penalty}
        return Loss(natural + self.strength * penalty, logits, parts)

    def cost(self, task: Task) -> Cost:
        """A pass forward, a gradient for each class, one more that is kept, and back through it."""
        kept = task.classes if self.maximum == "exact" else 1
        searched = 0 if self.maximum == "exact" else task.classes
        return Cost(forward=1, backward=searched + 3 * kept + 1, weight_gradients=kept + 1)


def multiclass_hinge(logits: Tensor, labels: Tensor) -> Tensor:
    """Return max over the wrong classes j of (1 + f_j - f_y)_+, ``[N]``."""
    own = logits.gather(1, labels[:, None]).squeeze(1)
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return (1 + others - own).clamp(min=0)


def sensitivities(
    points: Tensor,
    logits: Tensor,
    labels: Tensor,
    norm: Literal["l2", "l1"],
    maximum: Literal["danskin", "exact"] = "danskin",
) -> Tensor:
    """Return max over the wrong classes j of ||grad f_y - grad f_j||, ``[N]``, differentiable in the weights.

    Args:
        points: what the logits were computed from, ``[N, ...]``, with gradients.
        logits: ``[N, K]``.
        labels: ``[N]``.
        norm: of the difference.
        maximum: see `Margin`.
    """
    order = 2.0 if norm == "l2" else 1.0
    leads = logits.gather(1, labels[:, None]) - logits

    def slope(lead: Tensor, *, kept: bool) -> Tensor:
        (gradient,) = torch.autograd.grad(lead.sum(), points, create_graph=kept, retain_graph=True)
        return torch.linalg.vector_norm(gradient.flatten(1), order, dim=1)

    if maximum == "exact":
        return torch.stack([slope(lead, kept=True) for lead in leads.unbind(1)], 1).amax(1)
    steepest = torch.stack([slope(lead, kept=False) for lead in leads.unbind(1)], 1).argmax(1)
    return slope(leads.gather(1, steepest[:, None]), kept=True)
