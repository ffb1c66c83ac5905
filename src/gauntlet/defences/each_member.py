"""Train the members of an ensemble, each by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from gauntlet.architectures.ensemble import AveragedNetworks
from gauntlet.contracts import DEFENCES, AnyDefence, Batch, Cost, Defence, Loss, Progress, Task
from gauntlet.errors import ConfigurationError


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class EachMember(Defence):
    """Apply a defence to every member of an ensemble and add up the losses.

    Members share no parameter, so that each gets the gradient of its own loss alone: this trains them
    independently, from their own initial weights and with their own noise, on the same sequence of batches.

    Settings:
        defence: how one member is trained.

    Source: song, section 5.1 (three networks, each trained by consistency regularization).
    """

    name: ClassVar[str] = "each_member"
    defence: AnyDefence

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return the sum of the members' losses; logits and parts are averaged over the members.

        Raises:
            ConfigurationError: the network is no ensemble.
        """
        ensembles = [module for module in model.modules() if isinstance(module, AveragedNetworks)]
        if not ensembles:
            raise ConfigurationError(
                "the defence each_member trains an ensemble", key="architecture.name", valid="ensemble"
            )
        (ensemble,) = ensembles
        losses = []
        for number in range(len(ensemble.members)):
            with ensemble.only(number):
                losses.append(self.defence.loss(model, batch, progress))
        return Loss(
            torch.stack([loss.value for loss in losses]).sum(),
            torch.stack([loss.logits for loss in losses]).mean(0),
            {part: torch.stack([loss.parts[part] for loss in losses]).mean(0) for part in losses[0].parts},
        )

    def cost(self, task: Task) -> Cost:
        """Passes per image, in units of the ensemble's own pass, which goes through every member."""
        return self.defence.cost(task)
