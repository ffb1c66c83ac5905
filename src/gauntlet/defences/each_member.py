"""Train the members of an ensemble, each by itself on batches of its own."""

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
    independently, each from its own initial weights, on images in its own order and augmentation, with its
    own noise.

    Settings:
        defence: how one member is trained.

    Source: song, sections 4.2 and 5.1 (three networks, each trained by consistency regularization).
    """

    name: ClassVar[str] = "each_member"
    defence: AnyDefence

    def streams(self, model: nn.Module) -> int:
        """Return the number of members: each learns from its own order of the images.

        Raises:
            ConfigurationError: the network is no ensemble.
        """
        return len(_ensemble_in(model).members)

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return the sum of the members' losses, each on its part of the batch; the parts are their means.

        Raises:
            ConfigurationError: the network is no ensemble, or a member's defence has a state.
        """
        ensemble = _ensemble_in(model)
        losses = []
        for number, rows in enumerate(
            torch.arange(len(batch), device=batch.labels.device).chunk(len(ensemble.members))
        ):
            with ensemble.only(number):
                losses.append(self.defence.loss(model, batch.select(rows), progress))
        if losses[0].state:
            raise ConfigurationError(
                "members of an ensemble would share the state of their defence",
                key="defence.defence.name",
                found=self.defence.name,
                valid="a defence without a state",
            )
        return Loss(
            torch.stack([loss.value for loss in losses]).sum(),
            torch.cat([loss.logits for loss in losses]),
            {part: torch.stack([loss.parts[part] for loss in losses]).mean(0) for part in losses[0].parts},
        )

    def cost(self, task: Task) -> Cost:
        """Passes per image, in units of the ensemble's own pass, which goes through every member."""
        return self.defence.cost(task)


def _ensemble_in(model: nn.Module) -> AveragedNetworks:
    """Return the ensemble, which may lie behind layers that its members share."""
    for module in model.modules():
        if isinstance(module, AveragedNetworks):
            return module
    raise ConfigurationError(
        "the defence each_member trains an ensemble", key="architecture.name", valid="ensemble"
    )
