"""Defences that attack the network in every training step: how it is attacked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from gauntlet.contracts import Batch, Defence
from gauntlet.models import frozen


@dataclass(frozen=True, kw_only=True)
class AttackingDefence(Defence):
    """A defence that attacks the network before it learns.

    Settings:
        attack_precision: of the passes of the attack. ``float32`` computes as the works' attacks do, also where
            the network learns in bfloat16; ``training`` takes the precision of the training.
    """

    attack_precision: Literal["float32", "training"] = "float32"

    @contextmanager
    def attacking(
        self, model: nn.Module, batch: Batch, mode: Literal["eval", "train"] = "eval"
    ) -> Iterator[None]:
        """Ready the network for an attack, and for learning again afterwards.

        Its parameters are frozen meanwhile: mixed precision would otherwise remember their half-precision
        copies from passes without gradients, and learning would not reach the parameters behind them.

        Args:
            model: the network, in train mode before and after.
            batch: the images that are attacked.
            mode: in which the network is attacked.
        """
        model.train(mode == "train")
        full = torch.autocast(batch.images.device.type, enabled=False)
        with frozen(model), full if self.attack_precision == "float32" else nullcontext():
            yield
        model.train()
