"""Square attack: random square-shaped changes of size eps (Andriushchenko et al., 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.geometry.norms import project_onto_ball_and_box
from gauntlet.attacks.objectives import ObjectiveLoss, objective
from gauntlet.attacks.score_based.base import ScoreBasedAttack, ScoreBasedState
from gauntlet.contracts import PROCEDURES
from gauntlet.setting_types import Share

_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Queries of 10,000 after which the share of pixels that a square covers is halved."""


def square_side(iteration: int, budget: int, share: float, height: int, width: int) -> int:
    """Return the side of the squares of this iteration: the root of their share of the image, at least 1."""
    progress = int(iteration / budget * 10_000)
    halved = share / 2 ** sum(progress > mark for mark in _HALVINGS)
    return min(max(round((halved * height * width) ** 0.5), 1), height, width)


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class Square(ScoreBasedAttack):
    """Start from vertical stripes of +-eps; set random squares to +-eps and keep what lowers the loss.

    Every query is a success test. Written here and not taken from a library, because the squares are drawn
    per image and the budget holds to the query.

    Settings:
        loss: what is descended.
        initial_share: share of the pixels that the first squares cover.

    Source: attack of chen2021, section 3.4, on robust models; Andriushchenko et al. (2019), linf version.
    """

    name: ClassVar[str] = "square"
    loss: ObjectiveLoss = "margin"
    initial_share: Share = 0.3

    def attack(self, state: ScoreBasedState, rows: Tensor) -> None:
        """Try one square of the same side, at its own place, on every running image at once."""
        oracle, findings = state.oracle, state.findings
        channels, height, width = state.clean.shape[1:]
        down = torch.arange(height, device=rows.device)
        across = torch.arange(width, device=rows.device)
        clean = state.clean[rows]
        current, lowest = clean, clean.new_full((len(rows),), torch.inf)
        iteration = 0
        while True:
            going = oracle.remaining(rows) > 0
            if not going.all():
                rows, clean, current, lowest = (part[going] for part in (rows, clean, current, lowest))
            if len(rows) == 0:
                return
            if iteration == 0:
                stripes = state.rng.signs(rows, 0, (channels, 1, width)).to(clean.dtype)
                point = (clean + self.eps * stripes).clamp(0, 1)
            else:
                side = square_side(iteration - 1, self.budget, self.initial_share, height, width)
                draws = state.rng.uniform(rows, iteration, (2 + channels,)).to(clean.dtype)
                top = (draws[:, 0] * (height - side + 1)).long()[:, None]
                left = (draws[:, 1] * (width - side + 1)).long()[:, None]
                vertical = (down >= top) & (down < top + side)
                horizontal = (across >= left) & (across < left + side)
                inside = (vertical[:, :, None] & horizontal[:, None, :])[:, None]
                color = torch.where(draws[:, 2:] < 0.5, -2 * self.eps, 2 * self.eps)[:, :, None, None]
                point = project_onto_ball_and_box(current + inside * color, clean, "linf", self.eps)
            logits = oracle.scores(point, rows)
            criterion = state.criterion.rows(rows)
            loss, reached = objective(criterion, logits, self.loss), criterion.met_by(logits)
            kept = (loss < lowest) | reached
            lowest = torch.where(kept, loss, lowest)
            current = torch.where(kept[:, None, None, None], point, current)
            findings.iterations[rows] += 1
            findings.images[rows[kept]] = point[kept]
            findings.succeed(rows[reached], oracle.queries[rows[reached]])
            rows, clean, current, lowest = (part[~reached] for part in (rows, clean, current, lowest))
            iteration += 1
