"""The local Lipschitz constant of the loss, estimated along an attack (chen2021, section 5.4.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gauntlet.attacks.objectives import class_loss
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Outcome, Procedure, Task
from gauntlet.defences.ascent import climb
from gauntlet.defences.starts import GaussianStart, Start
from gauntlet.defences.trades import divergences
from gauntlet.errors import ConfigurationError
from gauntlet.setting_types import PositiveInt, Radius


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class LocalLipschitz(Procedure):
    """Measure the largest l1 norm of the loss's input gradient among the iterates of an attack.

    The supremum of that norm over the linf ball is the Lipschitz constant of an image's loss in linf. Sign steps
    that climb the loss approach it from below. The gradient is that of each image's own loss, not of a mean
    over the batch, so that no value depends on the batch's size. Defences that climb such a loss write the mean
    over their batches into the history; this measures a network that is there, image by image.

    Column ``local_lipschitz``: nats per unit of linf distance in pixel scale. The work plots the mean over images.

    Settings:
        eps: radius of the ball in pixel scale.
        steps: iterates at which the gradient is taken, the start among them.
        step_size: length of a step in pixel scale.
        start: the first iterate, a mapping with a ``name``.
        loss: ``divergence``, KL(F(x) || F(x')), which TRADES climbs, or ``cross_entropy`` of the true class.

    Source: chen2021, Lemma 5.4.1, section 5.4.2 and Figure 5.4.
    """

    name: ClassVar[str] = "local_lipschitz"
    eps: Radius = 0.031
    steps: PositiveInt = 10
    step_size: Radius = 0.007
    start: Start = field(default_factory=GaussianStart)
    loss: Literal["divergence", "cross_entropy"] = "divergence"

    def __post_init__(self) -> None:
        """Refuse to climb the divergence from where it has no gradient."""
        if self.loss == "divergence" and self.start.name == "clean":
            raise ConfigurationError(
                "the divergence has no gradient at the clean image, so that the estimate would be 0",
                key="start.name",
                found="clean",
                valid="another start, or the loss cross_entropy",
            )

    def cost(self, task: Task) -> Cost:
        """One pass either way per iterate and as the start takes, one for the clean answer of the divergence."""
        passes = self.start.passes + self.steps
        return Cost(forward=passes + (self.loss == "divergence"), backward=passes)

    def run(self, model: Classifier, batch: Batch) -> Outcome:
        """Return the column ``local_lipschitz``."""
        value = self._value(model, batch)
        ascent = climb(
            model, batch, value, self.start, eps=self.eps, step_size=self.step_size, steps=self.steps
        )
        return Outcome({"local_lipschitz": ascent.steepest})

    def _value(self, model: Classifier, batch: Batch) -> Callable[[Tensor], Tensor]:
        """Return what maps the logits of iterates ``[N, K]`` to their losses ``[N]``."""
        if self.loss == "cross_entropy":
            return lambda logits: class_loss(logits, batch.labels, "cross_entropy")
        with torch.no_grad():
            answer = model(batch.images)
        return lambda logits: divergences(answer, logits)
