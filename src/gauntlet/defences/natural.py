"""No defence: training on clean images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn
from torch.nn import functional as F

from gauntlet.contracts import DEFENCES, Batch, Cost, Defence, Loss, Progress, Task


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class Natural(Defence):
    """Minimize the cross-entropy of the clean images.

    Source: maerz2023, problem (CO).
    """

    name: ClassVar[str] = "natural"

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return the mean cross-entropy of the batch."""
        logits = model(batch.images)
        return Loss(F.cross_entropy(logits, batch.labels), logits)

    def cost(self, task: Task) -> Cost:
        """One pass forward and back."""
        return Cost(forward=1, backward=1, weight_gradients=1)
