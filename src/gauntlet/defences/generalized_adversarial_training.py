"""Generalized adversarial training: clean loss, and what an attack adds to it, with a weight of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field
from torch import nn
from torch.nn import functional as F

from gauntlet.attacks.objectives import class_loss
from gauntlet.contracts import DEFENCES, Batch, Cost, Loss, Progress, Task
from gauntlet.defences.ascent import AscentDefence
from gauntlet.defences.regularization import regularized
from gauntlet.setting_types import Number


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class GeneralizedAdversarialTraining(AscentDefence):
    """Minimize the mean of CE(F(x), y) + lambda max(CE(F(x'), y) - CE(F(x), y), 0), x' attacked.

    The difference is clipped image by image. With a lambda of 1 this is the mean of the larger loss of the two:
    adversarial training, but for attacks that lowered the loss.

    Settings:
        strength: lambda.

    The other settings are those of ``AscentDefence``: eps, steps, step_size, start, attack_precision.
    Source: chen2021, equation 5.1.1 and section 5.9.
    """

    name: ClassVar[str] = "generalized_adversarial_training"
    strength: Annotated[Number, Field(ge=0)] = 1.0

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return both terms; accuracy is measured on the clean images."""
        with self.attacking(model, batch):
            ascent = self.climb(
                model, batch, lambda logits: class_loss(logits, batch.labels, "cross_entropy")
            )
        logits = model(batch.images)
        natural = F.cross_entropy(logits, batch.labels, reduction="none")
        attacked = F.cross_entropy(model(ascent.images), batch.labels, reduction="none")
        added = (attacked - natural).clamp(min=0)
        return regularized(natural.mean(), added.mean(), self.strength, logits, ascent)

    def cost(self, task: Task) -> Cost:
        """Start and steps, and two passes each way to learn."""
        return self.climb_cost + Cost(forward=2, backward=2, weight_gradients=2)
