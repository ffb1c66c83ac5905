"""Watermark attack: a translucent mark, placed where it misleads the network (Jiang et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from gauntlet.attacks.base import Attack, Perturbed
from gauntlet.attacks.criterion import unmet
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Task, ThreatModel
from gauntlet.setting_types import PositiveInt

MARK = ("#...#", ".#.#.", "..#..", ".#.#.", "#...#")
"""The mark: a cross of five by five cells."""

Opacity = Annotated[float, Field(gt=0, le=1)]


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class Watermark(Attack):
    """Blend a white mark into the image at random places and opacities; keep the best of them.

    The network is asked for its scores only. An image leaves with the first marks that fool it; otherwise it
    keeps the mark under which it is the nearest to success.

    Settings:
        cell: pixels per side of each of the mark's five by five cells.
        opacity: range that the share of white in the mark is drawn from.
        budget: marks tried per image.
        at_once: marks of an image per pass.

    Source: song, section 2.2.2 (Figure 2.6). The attack named there searches by basin hopping.
    """

    name: ClassVar[str] = "watermark"
    cell: PositiveInt = 3
    opacity: tuple[Opacity, Opacity] = (0.3, 0.7)
    budget: PositiveInt = 400
    at_once: PositiveInt = 20

    @property
    def threat_model(self) -> ThreatModel:
        """Scores, and no norm: the mark itself is the bound."""
        return ThreatModel("score_based", "scores", None, None, "l2")

    def cost(self, task: Task) -> Cost:
        """One pass per mark and one each to look before and after."""
        return Cost(forward=self.budget + 2)

    @torch.no_grad()
    def find(self, model: Classifier, batch: Batch) -> Perturbed:
        """Try marks on all images in lock-step."""
        images, queries = batch.images.clone(), torch.ones_like(batch.labels)
        rows, criterion = unmet(model, batch), batch.criterion
        least = batch.images.new_full((len(batch),), torch.inf)
        for start in range(0, self.budget, self.at_once):
            if len(rows) == 0:
                break
            count = min(self.at_once, self.budget - start)
            marked = self._marked(batch.images[rows], count, batch.generator)
            margin = criterion.rows(rows.repeat_interleave(count)).margin(model(marked.flatten(0, 1)))
            value, best = margin.unflatten(0, (len(rows), count)).min(1)
            queries[rows] += count
            better = value < least[rows]
            images[rows[better]] = marked[better, best[better]]
            least[rows[better]] = value[better]
            rows = rows[value >= -criterion.confidence]
        return Perturbed(images, queries - 1, queries)

    def _marked(self, images: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """Put ``count`` marks on every image, each on a copy of its own: ``[N, count, C, H, W]``."""
        (total, _, height, width), device = images.shape, images.device
        pattern = torch.tensor([[cell == "#" for cell in line] for line in MARK], device=device)
        pattern = pattern.repeat_interleave(self.cell, 0).repeat_interleave(self.cell, 1)[:height, :width]
        low, high = self.opacity
        draws = torch.rand((3, total, count, 1, 1), generator=generator, device=device)
        top = (draws[0] * (height - pattern.shape[0] + 1)).long()
        left = (draws[1] * (width - pattern.shape[1] + 1)).long()
        down = torch.arange(height, device=device)[:, None] - top
        across = torch.arange(width, device=device)[None, :] - left
        inside = (down >= 0) & (down < pattern.shape[0]) & (across >= 0) & (across < pattern.shape[1])
        white = pattern[down.clamp(0, pattern.shape[0] - 1), across.clamp(0, pattern.shape[1] - 1)] & inside
        share = white * (low + (high - low) * draws[2])
        return torch.lerp(images[:, None], torch.ones_like(images)[:, None], share[:, :, None])
