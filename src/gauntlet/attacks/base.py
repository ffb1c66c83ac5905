"""What every attack shares: it returns perturbed images, and its columns are measured once, here."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.contracts import Batch, Classifier, Outcome, Procedure, ThreatModel


@dataclass(frozen=True)
class Perturbed:
    """The images an attack ends with.

    Attributes:
        images: float32 ``[N, C, H, W]`` in [0, 1].
        iterations: steps spent on each image, int64 ``[N]``.
        queries: forward passes spent on each image, int64 ``[N]``.
        columns: further columns, each ``[N]``.
        targets: classes ``[N]`` that the attack aimed at, None for an untargeted attack; by default the
            batch's.
    """

    images: Tensor
    iterations: Tensor
    queries: Tensor
    columns: dict[str, Tensor] = field(default_factory=dict)
    targets: Tensor | Literal["batch"] | None = "batch"


class Attack(Procedure):
    """A procedure that perturbs images. A subclass says how; ``run`` measures what came of it."""

    @property
    @abstractmethod
    def threat_model(self) -> ThreatModel:
        """Family, knowledge, norm and radius."""

    @abstractmethod
    def perturb(self, model: Classifier, batch: Batch) -> Perturbed:
        """Return the perturbed images. Inside the image box; inside the attack's ball if it has one."""

    def run(self, model: Classifier, batch: Batch) -> Outcome:
        """Perturb the batch and record the columns that all attacks share."""
        perturbed = self.perturb(model, batch)
        with torch.no_grad():
            logits = model(perturbed.images)
        # A targeted attack succeeds when the network says its target, any other when it is wrong.
        prediction = logits.argmax(1)
        targets = batch.targets if isinstance(perturbed.targets, str) else perturbed.targets
        success = prediction != batch.labels if targets is None else prediction == targets
        columns = {
            "success": success,
            **prediction_columns(logits, batch.labels),
            **distances(batch.images, perturbed.images),
            "queries": perturbed.queries,
            "iterations": perturbed.iterations,
            **perturbed.columns,
        }
        return Outcome(columns, perturbed.images)


class WhiteBoxAttack(Attack):
    """An attack that follows gradients of the network."""


def prediction_columns(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Say how the network judges each image.

    Args:
        logits: ``[N, K]``.
        labels: true classes ``[N]``.

    Returns:
        ``prediction``: the most likely class; ``rank``: how many classes are more likely than the true one,
        so that top-k accuracy is ``rank < k`` (ties count against the true class, unless it is the
        prediction); ``cross_entropy``: loss of the true class in nats, computed in float64, so that it
        stays finite; ``confidence``: float32 softmax probability of the true class, which can be exactly 0;
        ``prediction_confidence``: that of the predicted class.
    """
    prediction = logits.argmax(1)
    true = logits.gather(1, labels[:, None])
    probabilities = logits.float().softmax(1)
    rank = (logits >= true).sum(1) - 1
    return {
        "prediction": prediction,
        "rank": torch.where(prediction == labels, torch.zeros_like(rank), rank),
        "cross_entropy": F.cross_entropy(logits.double(), labels, reduction="none"),
        "confidence": probabilities.gather(1, labels[:, None]).squeeze(1),
        "prediction_confidence": probabilities.amax(1),
    }


def distances(clean: Tensor, perturbed: Tensor) -> dict[str, Tensor]:
    """Measure each perturbation ``[N, C, H, W]`` in linf, l2, l1 and l0, over all of its entries."""
    difference = (perturbed - clean).flatten(1)
    absolute = difference.abs()
    return {
        "linf": absolute.amax(1),
        "l2": difference.norm(dim=1),
        "l1": absolute.sum(1),
        "l0": (absolute > 0).sum(1),
    }
