"""RayS: decision-based attack that searches the directions {-1, +1}^D (chen2021, Algorithms 5 and 6)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.decision_based.base import DecisionBasedAttack, DecisionBasedState
from gauntlet.attacks.decision_based.trace import Trace, trace_marks
from gauntlet.contracts import PROCEDURES
from gauntlet.setting_types import Number

_FINEST_STAGE = 40  # beyond any image's size: all blocks have one pixel long before


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class RayS(DecisionBasedAttack):
    """Flip the signs of ever smaller blocks of the direction; keep a flip that brings the boundary nearer.

    A new direction first faces one query at the best radius so far (the fast check) and is dropped unless
    that point is adversarial; only then its radius is searched by bisection. Every image keeps its own place
    in the algorithm and asks one query per round, so that all of them share one pass. Deterministic.

    Settings:
        tolerance: bisection ends when the l2 radius is known to this length.
        hierarchical: halve the blocks from the whole image on (Algorithm 6); otherwise flip single
            coordinates from the start (Algorithm 4).

    Further columns: ``linf_at_iteration_<i>``, the best distance after i directions.

    Source: chen2021, section 3.3. The printed bisection tests the end of the interval instead of its middle
    and the printed loops skip the last block; both are corrected. Before the first success the radius is
    infinite, and the point tested is the corner of the image box that the direction leads to. A budget that
    ends within a bisection leaves the adversarial end of its interval.
    """

    name: ClassVar[str] = "rays"
    tolerance: Number = 1e-3
    hierarchical: bool = True

    def attack(self, state: DecisionBasedState, rows: Tensor) -> None:
        """Send one query per running image and round: a fast check or a midpoint."""
        device, shape = state.clean.device, state.clean.shape
        clean = state.clean.flatten(1)[rows]
        size = clean.shape[1]
        diagonal = math.sqrt(size)
        pixels = torch.arange(size, device=device)
        by_iteration = Trace(trace_marks(state.oracle.budget), state.best)
        wrong = state.best == 0
        by_iteration.note(wrong.nonzero().squeeze(1), torch.ones_like(state.best[wrong]), state.best[wrong])

        sign = torch.ones_like(clean)
        radius = torch.full((len(rows),), torch.inf, dtype=torch.float64, device=device)
        low, high = torch.zeros_like(radius), radius.clone()
        stage = torch.full_like(rows, 0 if self.hierarchical else _FINEST_STAGE)
        block = torch.zeros_like(rows)
        bisecting = torch.zeros_like(rows, dtype=torch.bool)

        while len(rows):
            length = ((size - 1) >> stage.clamp(max=_FINEST_STAGE)) + 1  # ceil(D / 2^s)
            begin = block * length
            end = (begin + length).clamp(max=size)
            flipped = (pixels >= begin[:, None]) & (pixels < end[:, None])
            direction = torch.where(flipped, -sign, sign)
            asked = torch.where(bisecting, (low + high) / 2, radius).clamp(max=diagonal)
            point = torch.addcmul(clean, direction, (asked / diagonal).to(clean.dtype)[:, None])
            crossed = state.crossed(point.view(-1, *shape[1:]), rows)

            # Bisection keeps ``high`` adversarial; a passed fast check opens the interval [0, radius].
            low = torch.where(bisecting & ~crossed, asked, torch.where(bisecting, low, 0.0))
            high = torch.where(crossed, asked, high)
            bisecting = bisecting | crossed
            out = state.oracle.remaining(rows) == 0
            done = ~bisecting | (high - low <= self.tolerance) | out
            nearer = done & bisecting & (high < radius)
            state.findings.iterations[rows] += done
            if nearer.any():
                radius = torch.where(nearer, high, radius)
                sign = torch.where(nearer[:, None], direction, sign)
                step = (high[nearer] / diagonal).to(clean.dtype)[:, None] * direction[nearer]
                state.offer((clean[nearer] + step).view(-1, *shape[1:]), rows[nearer])
                found = rows[nearer]
                by_iteration.note(found, state.findings.iterations[found], state.best[found])

            bisecting = bisecting & ~done
            high = torch.where(done, radius, high)
            last = done & (end == size)
            stage = stage + last
            block = torch.where(last, 0, block + done)
            going = self.running(state, rows)
            if not going.all():
                rows, clean, sign, radius, low, high, stage, block, bisecting = (
                    part[going] for part in (rows, clean, sign, radius, low, high, stage, block, bisecting)
                )
        state.findings.columns |= by_iteration.columns("linf_at_iteration")
