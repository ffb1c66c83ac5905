"""Width adjusted regularization: the weight of the robust loss follows a ratio (chen2021, Algorithm 8)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import nn

from gauntlet.contracts import DEFENCES, AnyDefence, Batch, Cost, Defence, Loss, Progress, Task
from gauntlet.defences.regularization import LOSS_RATIO, NATURAL_LOSS, ROBUST_LOSS
from gauntlet.errors import ConfigurationError
from gauntlet.setting_types import Radius


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class WidthAdjusted(Defence):
    """Weigh the robust loss so that the natural loss stays a fixed number of times as large.

    Before each update lambda grows by ``rate * (target_ratio - natural / robust)``, from 0 and never below it: it
    rises while the robust loss is too large. Both losses are those of the batch, the robust one unweighted.

    History: ``strength`` is lambda's mean over the epoch, ``strength_at_end`` its last value.

    Settings:
        defence: one whose loss has a natural and a robust term, such as trades; its own strength has no effect.
        target_ratio: zeta, measured once on a thin network.
        rate: alpha.

    Source: chen2021, Algorithm 8, with one update per batch where its box prints one per image.
    """

    name: ClassVar[str] = "width_adjusted"
    defence: AnyDefence
    target_ratio: Radius = 30.0
    rate: Radius = 0.1

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return ``natural + lambda * robust``.

        Raises:
            ConfigurationError: the defence does not have the two terms.
        """
        loss = self.defence.loss(model, batch, progress)
        if ROBUST_LOSS not in loss.parts:
            raise ConfigurationError(
                "the weight of a robust loss is adjusted, and this defence has none",
                key="defence.defence.name",
                found=self.defence.name,
                valid="trades or generalized_adversarial_training",
            )
        natural, robust = loss.parts[NATURAL_LOSS], loss.parts[ROBUST_LOSS]
        with torch.no_grad():
            before = progress.state.get("strength", torch.zeros_like(robust))
            strength = (before + self.rate * (self.target_ratio - loss.parts[LOSS_RATIO])).clamp(min=0)
        return replace(
            loss,
            value=natural + strength * robust,
            parts={**loss.parts, "strength": strength},
            state={**loss.state, "strength": strength},
        )

    def cost(self, task: Task) -> Cost:
        """That of the defence."""
        return self.defence.cost(task)
