"""Restarts: run from new random starts on the images that no run has succeeded on yet."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.base import FixedBudgetAttack, Perturbed
from gauntlet.attacks.criterion import unmet
from gauntlet.contracts import Batch, Classifier, Cost, Task
from gauntlet.setting_types import PositiveInt, Radius


@dataclass(frozen=True, kw_only=True)
class RestartedAttack(FixedBudgetAttack):
    """An attack of ``steps`` steps from a random start; images that it fails on are attacked again.

    Settings:
        step_size: length of one step.
        steps: steps of one run.
        restarts: most runs per image; an image leaves at its first success.

    Columns: ``restart``, the number of the first restart that succeeded (0 for images that are a success as
    they are, -1 for images that withstand all), so that one evaluation answers for every smaller number.
    """

    step_size: Radius
    steps: PositiveInt = 40
    restarts: PositiveInt = 1

    side_by_side: ClassVar[int]
    """Runs (an image in one restart) that share a pass, at most, unless the batch itself is larger."""

    @abstractmethod
    def run_once(self, model: Classifier, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Run from random starts; return final images, success and steps taken, one per image of the batch."""

    def cost(self, task: Task) -> Cost:
        """All restarts on images that withstand them."""
        return Cost(2 + self.restarts * (self.steps + 1), self.restarts * self.steps)

    def find(self, model: Classifier, batch: Batch) -> Perturbed:
        """Return the first adversarial images found; of images that withstand all restarts, the last iterate."""
        robust = unmet(model, batch)
        images = batch.images.clone()
        restart = torch.zeros_like(batch.labels).index_fill(0, robust, -1)
        iterations, queries = torch.zeros_like(batch.labels), torch.ones_like(batch.labels)
        done = 0
        while done < self.restarts and len(robust):
            together = min(self.restarts - done, max(1, self.side_by_side // len(robust)))
            rows = robust.repeat(together)
            found, success, steps = self.run_once(model, batch.select(rows))
            iterations.index_add_(0, rows, steps)
            queries.index_add_(0, rows, steps + 1)
            # The first restart that succeeds; the last one where none does.
            by_restart = success.view(together, -1)
            first = torch.where(by_restart.any(0), by_restart.long().argmax(0), together - 1)
            chosen = first * len(robust) + torch.arange(len(robust), device=rows.device)
            images[robust] = found[chosen]
            hit = success[chosen]
            restart[robust[hit]] = done + 1 + first[hit]
            robust = robust[~hit]
            done += together
        return Perturbed(images, iterations, queries, {"restart": restart})
