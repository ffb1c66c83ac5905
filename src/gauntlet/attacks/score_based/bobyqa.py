"""BOBYQA attack: model-based derivative-free optimization, block by block (maerz2023, section 4.4)."""

from __future__ import annotations

from bisect import bisect_right
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gauntlet.attacks.objectives import log_odds
from gauntlet.attacks.score_based.base import ScoreBasedAttack, ScoreBasedState
from gauntlet.attacks.score_based.bobyqa_lifting import Lifting, WeightOrder, draw_order
from gauntlet.attacks.score_based.bobyqa_solver import Solver, first_points
from gauntlet.contracts import PROCEDURES
from gauntlet.errors import ConfigurationError
from gauntlet.setting_types import NonNegativeInt, Number, PositiveInt, Radius

_CHECKS = 2  # after the solver: its best point once more, and that point rounded
_DRAWS_PER_SUBPROBLEM = 1 << 12


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class BOBYQA(ScoreBasedAttack):
    """Minimize the log-odds against the target over the coefficients of a few image blocks at a time.

    Each sub-problem takes the next blocks of a random order that prefers contrast, and hands their
    coefficients to Py-BOBYQA with linear models. Its best point, or that point with every pixel moved to
    the nearer bound if that is lower, is where the next sub-problem starts. Blocks get smaller by a fixed
    schedule. The solvers of all images run side by side, and their queries share a pass.

    Queries: the solver's evaluations and two checks per sub-problem (the solver's best point once more, and
    the rounded one). All points of a solver's first linear model are sent at once; an image that succeeds
    has ``queries_to_success`` up to and including the first success in the solver's order, while
    ``queries`` holds all that were sent. A solver gets fewer evaluations where the budget ends; an image
    whose budget does not cover a first model is left.

    Settings:
        subproblem_size: most variables of a sub-problem, q.
        grids: blocks per side and channel, level by level (at most the image's own side).
        starts: number of the sub-problem at which each level begins; a level whose blocks are used up before
            the next one begins draws a new order.
        evaluation_share: the solver's evaluations are this times q, rounded down.
        first_radius: trust radius to start with, in coefficients of [-1, 1].
        last_radius: trust radius to end with.
        block_index: how contrasts are assigned to blocks.
        noise: standard deviation of Gaussian noise that every query adds, in pixel scale: one draw from a
            smoothed classifier. Success then means that of the one noisy query.
        confirmations: noisy draws, not charged, whose most frequent class says how the smoothed classifier
            judges the final image; recorded as ``smoothed_prediction`` if there are any.

    Source: maerz2023, section 4.4, after Ughi et al. (2020); q, radii and schedule are those of the
    published code for 32 x 32 images.
    """

    name: ClassVar[str] = "bobyqa"
    budget: PositiveInt = 3000
    subproblem_size: PositiveInt = 20
    grids: tuple[PositiveInt, ...] = (2, 4, 8, 16, 32, 32)
    starts: tuple[NonNegativeInt, ...] = (0, 1, 4, 14, 28, 56)
    evaluation_share: Radius = 1.3
    first_radius: Radius = 2 / 3
    last_radius: Radius = 1 / 3
    block_index: WeightOrder = "aligned"
    noise: Number = 0.0
    confirmations: NonNegativeInt = 0

    def __post_init__(self) -> None:
        """Refuse a schedule that does not say when each level begins."""
        rising = all(first < second for first, second in zip(self.starts, self.starts[1:], strict=False))
        if len(self.grids) != len(self.starts) or self.starts[:1] != (0,) or not rising:
            raise ConfigurationError(
                "the schedule of a BOBYQA attack does not fit its grids",
                key="starts",
                found=self.starts,
                valid=f"{len(self.grids)} rising numbers, the first 0",
            )

    def attack(self, state: ScoreBasedState, rows: Tensor) -> None:
        """Work through the sub-problems in lock-step, then ask the smoothed classifier about the results."""
        self._descend(state, rows)
        if self.confirmations:
            state.findings.columns["smoothed_prediction"] = self._smoothed_prediction(state)

    def _smoothed_prediction(self, state: ScoreBasedState) -> Tensor:
        """Return the class that most noisy draws of each final image get, int64 ``[N]``."""
        images = state.findings.images
        rows = torch.arange(len(images), device=images.device)
        # No sub-problem of a search within the budget reaches these draws.
        first = _DRAWS_PER_SUBPROBLEM * (self.budget + 1)
        votes = torch.zeros(0)
        for draw in range(first, first + self.confirmations):
            noise = self.noise * state.rng.normal(rows, draw, tuple(images.shape[1:])).to(images.dtype)
            logits = state.oracle.scores(images + noise, rows, charged=False)
            votes = torch.zeros_like(logits, dtype=torch.int64) if draw == first else votes
            votes.scatter_add_(1, logits.argmax(1, keepdim=True), torch.ones_like(rows)[:, None])
        return votes.argmax(1)

    def _descend(self, state: ScoreBasedState, rows: Tensor) -> None:
        channels, height, width = state.clean.shape[1:]
        order = torch.empty(0, 0)
        level, position = -1, 0
        subproblem = 0
        if len(rows) == 0:
            return
        with ThreadPoolExecutor(max_workers=len(rows)) as executor:
            while True:
                current = bisect_right(self.starts, subproblem) - 1
                grid = min(self.grids[current], height, width)
                count = channels * grid * grid
                renew = current != level or position >= count
                size = min(self.subproblem_size, count if renew else count - position)
                going = state.oracle.remaining(rows) >= size + 1 + _CHECKS
                rows, order = rows[going], order if renew else order[going]
                if len(rows) == 0:
                    return
                if renew:
                    level, position = current, 0
                    draw = _DRAWS_PER_SUBPROBLEM * subproblem
                    images = state.findings.images[rows]
                    order = draw_order(images, grid, rows, state.rng, draw, self.block_index)
                blocks = order[:, position : position + size]
                running = self._solve(state, rows, blocks, grid, subproblem, executor)
                rows, order = rows[running], order[running]
                position += size
                subproblem += 1

    def _solve(
        self,
        state: ScoreBasedState,
        rows: Tensor,
        blocks: Tensor,
        grid: int,
        subproblem: int,
        executor: Executor,
    ) -> Tensor:
        """Solve one sub-problem for every image; return which images go on, bool ``[n]``."""
        findings, size = state.findings, blocks.shape[1]
        findings.iterations[rows] += 1
        lifting = Lifting.of(findings.images[rows], state.clean[rows], self.eps, blocks, grid)
        evaluations = (state.oracle.remaining(rows) - _CHECKS).clamp(max=int(self.evaluation_share * size))
        draws = iter(range(_DRAWS_PER_SUBPROBLEM * subproblem + 1, _DRAWS_PER_SUBPROBLEM * (subproblem + 1)))
        places = torch.arange(len(rows), device=rows.device)
        running = torch.ones_like(rows, dtype=torch.bool)

        starts = lifting.still.double().cpu().numpy()
        points = np.stack([first_points(start, self.first_radius) for start in starts])
        values, reached = self._ask(state, lifting, points, rows, places, next(draws))
        running &= ~reached
        best = points[np.arange(len(rows)), values.argmin(1)]
        solvers = {
            place: Solver(points[place], values[place], (self.first_radius, self.last_radius), most)
            for place, most in enumerate(evaluations.tolist())
            if running[place] and most > size + 1
        }
        for solver in solvers.values():
            solver.start(executor)

        while solvers:
            asked: dict[int, np.ndarray] = {}
            for place, solver in list(solvers.items()):
                reply = solver.wait()
                if isinstance(reply, tuple):
                    best[place] = reply[0]
                    del solvers[place]
                else:
                    asked[place] = reply
            if not asked:
                break
            places = torch.tensor(list(asked), device=rows.device)
            points = np.stack(list(asked.values()))[:, None]
            values, reached = self._ask(state, lifting, points, rows[places], places, next(draws))
            running[places[reached]] = False
            for place, value, done in zip(asked, values[:, 0], reached.tolist(), strict=True):
                solvers[place].answer(None if done else float(value))
                if done:
                    del solvers[place]

        places = running.nonzero().squeeze(1)
        if len(places):
            running[places[self._update(state, lifting, best, rows[places], places, next(draws))]] = False
        return running

    def _update(
        self,
        state: ScoreBasedState,
        lifting: Lifting,
        best: np.ndarray,
        rows: Tensor,
        places: Tensor,
        draw: int,
    ) -> Tensor:
        """Move to the better of the solver's point and its rounded version; say who succeeds."""
        points = torch.from_numpy(best).to(rows.device)[places, None]
        final = lifting.lift(points, places)[:, 0]
        both = torch.stack([final, lifting.rounded(final, places)], 1)
        values, reached = self._evaluate(state, both, rows, draw)
        chosen = torch.where(reached.any(1), reached.long().argmax(1), values.argmin(1))
        state.findings.images[rows] = both[torch.arange(len(rows), device=rows.device), chosen]
        return reached.any(1)

    def _ask(
        self,
        state: ScoreBasedState,
        lifting: Lifting,
        points: np.ndarray,
        rows: Tensor,
        places: Tensor,
        draw: int,
    ) -> tuple[np.ndarray, Tensor]:
        """Evaluate points ``[n, k, q]``; keep the first success of each image; say who has one, ``[n]``."""
        images = lifting.lift(torch.from_numpy(points).to(rows.device), places)
        values, reached = self._evaluate(state, images, rows, draw)
        first = reached.long().argmax(1)
        done = reached.any(1)
        state.findings.images[rows[done]] = images[done, first[done]]
        return values.cpu().numpy(), done

    def _evaluate(
        self, state: ScoreBasedState, images: Tensor, rows: Tensor, draw: int
    ) -> tuple[Tensor, Tensor]:
        """Query ``[n, k, C, H, W]``; return objectives and successes ``[n, k]``; note first successes."""
        many, shape = images.shape[1], tuple(images.shape[2:])
        before = state.oracle.queries[rows]
        queried = images
        if self.noise > 0:
            queried = images + self.noise * state.rng.normal(rows, draw, (many, *shape)).to(images.dtype)
        owners = rows.repeat_interleave(many)
        logits = state.oracle.scores(queried.flatten(0, 1), owners)
        criterion = state.criterion.rows(owners)
        reached = criterion.met_by(logits).view(-1, many)
        done = reached.any(1)
        state.findings.succeed(rows[done], (before + reached.long().argmax(1) + 1)[done])
        return log_odds(criterion, logits).view(-1, many), reached
