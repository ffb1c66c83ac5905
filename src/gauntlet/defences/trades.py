"""TRADES: a clean loss, and a penalty where the answer changes inside the ball (Zhang et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gauntlet.contracts import DEFENCES, Batch, Cost, Loss, Progress, Task
from gauntlet.defences.ascent import AscentDefence
from gauntlet.defences.regularization import regularized
from gauntlet.errors import ConfigurationError
from gauntlet.setting_types import Number


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class Trades(AscentDefence):
    """Minimize CE(F(x), y) + beta max KL(F(x) || F(x')) over x' in the linf ball around x.

    The maximum is approached by sign steps on the divergence; the training step passes clean and perturbed
    images through the network one after the other in train mode, and both receive gradients. One step from a
    ``uniform`` start is Fast TRADES, one from ``backward_smoothing`` with beta 10 and a step of 8/255 is Backward
    Smoothing, and none from there its initialization alone.

    Settings:
        strength: beta, the weight of the penalty.

    The other settings are those of ``AscentDefence``: eps, steps, step_size, start, attack_precision.
    Source: chen2021, sections 3.4, 5.2, 6.4 and Algorithm 9; settings of Zhang et al. 2019.
    """

    name: ClassVar[str] = "trades"
    strength: Annotated[Number, Field(ge=0)] = 6.0

    def __post_init__(self) -> None:
        """Refuse the clean start, from which no step would ever be taken."""
        if self.start.name == "clean":
            raise ConfigurationError(
                "the divergence has no gradient at the clean image, so that the ascent would stay there",
                key="start.name",
                found="clean",
                valid="gaussian, uniform, backward_smoothing, output_diversified or true_logit",
            )

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return both terms; accuracy is measured on the clean images."""
        with self.attacking(model, batch):
            with torch.no_grad():
                answer = model(batch.images)
            ascent = self.climb(model, batch, lambda logits: divergences(answer, logits))
        logits = model(batch.images)
        natural = F.cross_entropy(logits, batch.labels)
        divergence = divergences(logits, model(ascent.images)).mean()
        return regularized(natural, divergence, self.strength, logits, ascent)

    def cost(self, task: Task) -> Cost:
        """A pass to fix the clean answer, start and steps, and two passes each way to learn."""
        return self.climb_cost + Cost(forward=3, backward=2, weight_gradients=2)


def divergences(logits: Tensor, perturbed: Tensor) -> Tensor:
    """Return KL(softmax(logits) || softmax(perturbed)) of each image in nats, ``[N]``; both ``[N, K]``."""
    logs, perturbed_logs = logits.float().log_softmax(1), perturbed.float().log_softmax(1)
    return F.kl_div(perturbed_logs, logs, reduction="none", log_target=True).sum(1)
