"""The network's answers to the unperturbed images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from gauntlet.attacks.base import prediction_columns
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Outcome, Procedure, Task


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class Clean(Procedure):
    """Record the prediction on the unperturbed images: clean accuracy, rank, cross-entropy, confidence."""

    name: ClassVar[str] = "clean"

    def cost(self, task: Task) -> Cost:
        """One pass."""
        return Cost(forward=1)

    def run(self, model: Classifier, batch: Batch) -> Outcome:
        """Return the columns of ``prediction_columns``."""
        with torch.no_grad():
            return Outcome(prediction_columns(model(batch.images), batch.labels), batch.images)
