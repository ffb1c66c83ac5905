"""SignHunter: divide and conquer over the signs of the gradient (Al-Dujaili and O'Reilly, 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.geometry.norms import project_onto_ball_and_box
from gauntlet.attacks.objectives import ObjectiveLoss, objective
from gauntlet.attacks.score_based.base import ScoreBasedAttack, ScoreBasedState
from gauntlet.contracts import PROCEDURES


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class SignHunter(ScoreBasedAttack):
    """Flip the signs of ever smaller chunks of a perturbation of size eps; keep a flip that lowers the loss.

    Starts at plus eps everywhere (one query); every flip costs one query, and every query is a success test.
    After the level of single pixels the search begins anew, from plus eps, around the image it has come to;
    its points are projected onto the ball and the image box. Deterministic.

    Settings:
        loss: what is descended.

    Source: attack of chen2021, section 3.4, on robust models; Al-Dujaili and O'Reilly (2020).
    """

    name: ClassVar[str] = "sign_hunter"
    loss: ObjectiveLoss = "cross_entropy"

    def attack(self, state: ScoreBasedState, rows: Tensor) -> None:
        """Flip the same chunk of every running image at once."""
        oracle, findings = state.oracle, state.findings
        shape = state.clean.shape
        clean = state.clean.flatten(1)[rows]
        centre, sign = clean, torch.ones_like(clean)
        lowest = clean.new_full((len(rows),), torch.inf)
        size = clean.shape[1]
        level, chunk = -1, 0  # level -1 is the start: nothing is flipped
        while True:
            going = oracle.remaining(rows) > 0
            if not going.all():
                rows, clean, centre, sign, lowest = (
                    part[going] for part in (rows, clean, centre, sign, lowest)
                )
            if len(rows) == 0:
                return
            length = math.ceil(size / 2**level) if level >= 0 else 0
            begin, end = chunk * length, min(size, (chunk + 1) * length)
            sign[:, begin:end] *= -1
            point = project_onto_ball_and_box(centre + self.eps * sign, clean, "linf", self.eps)
            logits = oracle.scores(point.view(-1, *shape[1:]), rows)
            criterion = state.criterion.rows(rows)
            loss, reached = objective(criterion, logits, self.loss), criterion.met_by(logits)
            findings.iterations[rows] += 1
            kept = (loss < lowest) | reached
            lowest = torch.where(kept, loss, lowest)
            findings.images[rows[kept]] = point[kept].view(-1, *shape[1:])
            findings.succeed(rows[reached], oracle.queries[rows[reached]])
            sign[:, begin:end] *= torch.where(kept, 1.0, -1.0)[:, None].to(sign.dtype)

            chunk += 1
            if level < 0 or end == size:
                level, chunk = level + 1, 0
                if level > math.ceil(math.log2(size)):
                    centre, level = findings.images[rows].flatten(1), -1
                    sign, lowest = torch.ones_like(sign), torch.full_like(lowest, torch.inf)
            rows, clean, centre, sign, lowest = (
                part[~reached] for part in (rows, clean, centre, sign, lowest)
            )
