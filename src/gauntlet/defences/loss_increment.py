"""The increment of the loss by the attack inside a training, step by step (chen2021, Figure 6.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from gauntlet.contracts import DEFENCES, AnyDefence, Batch, Cost, Defence, Loss, Progress, Task
from gauntlet.errors import ConfigurationError


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class LossIncrement(Defence):
    """Measure by how much the attack of a defence raises the cross-entropy of each batch.

    A negative increment tells that a one-step attack has overshot. The network is measured in eval mode as it
    is before the update; its training is not changed, but takes two passes longer.

    History: ``loss_increment`` is the mean over the epoch, ``lowest_increment_at_end`` its smallest batch mean.

    Settings:
        defence: one that learns from attacked images.

    Source: chen2021, section 6.3 and Figure 6.1.
    """

    name: ClassVar[str] = "loss_increment"
    defence: AnyDefence

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return the defence's loss with the increment as a part.

        Raises:
            ConfigurationError: the defence does not attack.
        """
        loss = self.defence.loss(model, batch, progress)
        if loss.perturbed is None:
            raise ConfigurationError(
                "the increment of an attack is measured, and this defence has none",
                key="defence.defence.name",
                found=self.defence.name,
                valid="a defence that learns from attacked images",
            )
        model.eval()
        with torch.no_grad():
            clean, attacked = (
                F.cross_entropy(model(images), batch.labels) for images in (batch.images, loss.perturbed)
            )
        model.train()
        increment = (attacked - clean).float()
        lowest = increment
        if progress.step * progress.epochs != progress.epoch * progress.steps:  # not the epoch's first update
            lowest = torch.minimum(progress.state["lowest_increment"], increment)
        return replace(
            loss,
            parts={**loss.parts, "loss_increment": increment},
            state={**loss.state, "lowest_increment": lowest},
        )

    def cost(self, task: Task) -> Cost:
        """The defence, and a pass for clean and attacked images each."""
        return self.defence.cost(task) + Cost(forward=2)
