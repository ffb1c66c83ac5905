"""What an attack wants of the network: which classes, when it has succeeded, and losses to minimize."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.contracts import Batch

ObjectiveLoss = Literal["cross_entropy", "margin"]
"""A loss on logits that an attack follows."""


@dataclass(frozen=True)
class Criterion:
    """The aim of an attack on each image.

    Attributes:
        classes: the class to reach (targeted) or to leave (untargeted), int64 ``[N]``.
        targeted: whether ``classes`` are targets.
    """

    classes: Tensor
    targeted: bool

    @classmethod
    def of(cls, batch: Batch) -> Criterion:
        """Aim at the batch's targets, or away from its labels if it has none."""
        if batch.targets is None:
            return cls(batch.labels, targeted=False)
        return cls(batch.targets, targeted=True)

    def rows(self, rows: Tensor) -> Criterion:
        """Return the criterion of some images only (indices or mask)."""
        return Criterion(self.classes[rows], self.targeted)

    def reached_by(self, predictions: Tensor) -> Tensor:
        """Say for each predicted class whether it is a success, bool ``[N]``."""
        return (predictions == self.classes) if self.targeted else (predictions != self.classes)

    def loss(self, logits: Tensor, name: ObjectiveLoss) -> Tensor:
        """Return the named loss, to be minimized, ``[N]``."""
        return self.cross_entropy(logits) if name == "cross_entropy" else self.margin(logits)

    def cross_entropy(self, logits: Tensor) -> Tensor:
        """Softmax cross-entropy of the target, or minus that of the true class, in nats.

        Written as softplus of the log-odds against the class. Unlike log-softmax it keeps a gradient, and
        differences, when the softmax of float32 logits has saturated at 1.
        """
        chosen, others = self._split(logits)
        value = F.softplus(others.logsumexp(1) - chosen)
        return value if self.targeted else -value

    def margin(self, logits: Tensor) -> Tensor:
        """Best other logit minus the target's, or true logit minus the best other; negative on success."""
        chosen, others = self._split(logits)
        best = others.amax(1)
        return best - chosen if self.targeted else chosen - best

    def log_odds(self, logits: Tensor, floor: float = 1e-10) -> Tensor:
        """Log of the probability outside the criterion over that inside it, both raised by ``floor``, float64.

        For a target t: log(sum of p_c over c != t) - log(p_t). Source: maerz2023, section 4.4, the
        objective of the BOBYQA attack.
        """
        probabilities = logits.double().softmax(1)
        chosen = probabilities.gather(1, self.classes[:, None]).squeeze(1)
        others = probabilities.scatter(1, self.classes[:, None], 0.0).sum(1)
        value = (others + floor).log() - (chosen + floor).log()
        return value if self.targeted else -value

    def _split(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit of each criterion's class ``[N]`` and all logits with that one at minus infinity."""
        own = F.one_hot(self.classes, logits.shape[1]).bool()
        return logits.gather(1, self.classes[:, None]).squeeze(1), logits.masked_fill(own, -torch.inf)
