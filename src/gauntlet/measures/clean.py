"""The network's answers to the unperturbed images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from gauntlet.attacks.base import prediction_columns
from gauntlet.attacks.geometry.norms import lengths
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Outcome, Procedure, Task


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class Clean(Procedure):
    """Record the prediction on the unperturbed images: clean accuracy, rank, cross-entropy, confidence.

    A further column is ``image_l2``, the l2 norm of each image, which relative perturbations are divided by.
    """

    name: ClassVar[str] = "clean"

    def cost(self, task: Task) -> Cost:
        """One pass."""
        return Cost(forward=1)

    def run(self, model: Classifier, batch: Batch) -> Outcome:
        """Return the columns of ``prediction_columns``, and the norm."""
        with torch.no_grad():
            columns = prediction_columns(model(batch.images), batch.labels)
        return Outcome({**columns, "image_l2": lengths(batch.images, "l2")}, batch.images)
