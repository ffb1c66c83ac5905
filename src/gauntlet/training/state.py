"""The state of a training: all that an epoch changes, and its copy on disk while the training is unfinished."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gauntlet.contracts import Companion
from gauntlet.errors import DataError
from gauntlet.runtime.checksums import discard, readable, sealed_path
from gauntlet.runtime.files import fingerprint
from gauntlet.runtime.job import log

STATE = "resume.pt"
"""No declared output of a rule, so that the workflow engine keeps it when a job fails."""


@dataclass
class TrainingState:
    """All that an epoch changes.

    Attributes:
        model: the network that is updated.
        optimizer: holds its parameters.
        average: a copy of the network whose weights are the moving average of its own, or None.
        defence: the defence's own state, scalars on the device by name.
        companions: the networks that the defence trains beside the model, by name.
        history: one row per finished epoch.
        chosen_epoch: the best epoch so far, from 1, by what the training chooses by; None if it does not choose.
        chosen_weights: of that epoch, by name.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: nn.Module | None = None
    defence: dict[str, Tensor] = field(default_factory=dict)
    companions: dict[str, Companion] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    chosen_epoch: int | None = None
    chosen_weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def network(self) -> nn.Module:
        """The network that is measured and kept: the average where there is one."""
        return self.model if self.average is None else self.average

    @property
    def diverged(self) -> bool:
        """Whether the loss of the last epoch is no longer a finite number."""
        return bool(self.history) and not math.isfinite(self.history[-1]["loss"])

    def start_average(self) -> None:
        """Average weights from now on, beginning with the present ones."""
        self.average = copy.deepcopy(self.model).requires_grad_(False)

    @torch.no_grad()
    def update_average(self, decay: float, step: int) -> None:
        """Move the average towards the network after an update.

        Args:
            decay: share of the old average that is kept.
            step: number of finished updates; the first ones are forgotten faster, as 10 / (10 + step).
        """
        if self.average is None:
            return
        decay = min(decay, step / (10 + step))
        for mean, own in zip(
            self.average.state_dict().values(), self.model.state_dict().values(), strict=True
        ):
            if mean.is_floating_point():
                mean.lerp_(own, 1 - decay)
            else:
                mean.copy_(own)

    def choose(self, column: str) -> None:
        """Keep the weights of the epoch that just ended if the column of the history says that it is the best."""
        values = [row[column] for row in self.history if row.get(column) is not None]
        if self.history[-1].get(column) is not None and (len(values) == 1 or values[-1] > max(values[:-1])):
            self.chosen_epoch = len(self.history)
            self.chosen_weights = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}

    def save(self, folder: Path, specification: Mapping[str, Any]) -> None:
        """Write the state after an epoch, atomically: tensors, numbers and text only."""
        state = {
            "specification": _identity(specification),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "defence": self.defence,
            "companions": {
                name: {
                    "network": companion.network.state_dict(),
                    "optimizer": companion.optimizer.state_dict(),
                }
                for name, companion in self.companions.items()
            },
            "history": self.history,
            "chosen_epoch": self.chosen_epoch,
            "chosen_weights": self.chosen_weights,
        }
        with sealed_path(folder / STATE) as temporary:
            torch.save(state, temporary)

    def load(self, folder: Path, specification: Mapping[str, Any], device: torch.device) -> bool:
        """Go to where an unfinished training of this specification stopped; False where there is none.

        A damaged state counts as none, and is removed.
        """
        file = folder / STATE
        if not file.is_file():
            return False
        try:
            with readable(file):
                stored = torch.load(file, map_location="cpu", weights_only=True)
        except DataError as error:
            discard(file, error)
            return False
        if stored["specification"] != _identity(specification):
            log(f"{file} belongs to another specification; training starts anew")
            return False
        self.model.load_state_dict(stored["model"])
        self.optimizer.load_state_dict(stored["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(stored["average"])
        self.defence = {name: value.to(device) for name, value in stored["defence"].items()}
        for name, companion in self.companions.items():
            companion.network.load_state_dict(stored["companions"][name]["network"])
            companion.optimizer.load_state_dict(stored["companions"][name]["optimizer"])
        self.history = stored["history"]
        self.chosen_epoch, self.chosen_weights = stored["chosen_epoch"], stored["chosen_weights"]
        log(f"going on after epoch {len(self.history)}, from {file}")
        return True


def discard_state(folder: Path) -> None:
    """Remove the state of a finished training."""
    (folder / STATE).unlink(missing_ok=True)


def _identity(specification: Mapping[str, Any]) -> str:
    """Identify what a training does; not what is expected of it, which may change after days of training."""
    training = {key: value for key, value in specification["training"].items() if key != "expect"}
    return fingerprint({**specification, "training": training})
