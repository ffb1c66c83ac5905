"""The state of an unfinished training on disk: written after every epoch, removed at the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gauntlet.runtime.files import atomic_path, fingerprint
from gauntlet.runtime.job import log

STATE = "resume.pt"
"""No declared output of a rule, so that the workflow engine keeps it when a job fails."""


def save_state(
    folder: Path,
    specification: Mapping[str, Any],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: list[dict[str, Any]],
) -> None:
    """Write the state after an epoch, atomically: tensors, numbers and text only."""
    state = {
        "specification": fingerprint(dict(specification)),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": history,
    }
    with atomic_path(folder / STATE) as temporary:
        torch.save(state, temporary)


def load_state(
    folder: Path, specification: Mapping[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer
) -> list[dict[str, Any]]:
    """Bring model and optimizer to where an unfinished training of this specification stopped.

    Returns:
        The history of the finished epochs; empty where there is no such training.
    """
    file = folder / STATE
    if not file.is_file():
        return []
    state = torch.load(file, map_location="cpu", weights_only=True)
    if state["specification"] != fingerprint(dict(specification)):
        log(f"{file} belongs to another specification; training starts anew")
        return []
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    log(f"going on after epoch {len(state['history'])}, from {file}")
    return state["history"]


def discard_state(folder: Path) -> None:
    """Remove the state of a finished training."""
    (folder / STATE).unlink(missing_ok=True)
