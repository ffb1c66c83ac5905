"""Frank-Wolfe attack from queries: the gradient is estimated (chen2021, Algorithms 2 and 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.fixed_budget.frank_wolfe import MomentumStart, averaged, frank_wolfe_step
from gauntlet.attacks.geometry.norms import per_image
from gauntlet.attacks.objectives import cross_entropy
from gauntlet.attacks.score_based.base import IterativeScoreBasedAttack, ScoreBasedState
from gauntlet.attacks.score_based.gradient_estimate import Directions, estimate_gradient
from gauntlet.contracts import PROCEDURES
from gauntlet.setting_types import PositiveInt, Radius, Share

_PLATEAU_WINDOW = 5
_PLATEAU_SHARE = 0.999


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class FrankWolfeBlackBox(IterativeScoreBasedAttack):
    """Frank-Wolfe on the cross-entropy with an average of estimated gradients, in the linf ball.

    Settings:
        pairs: b, directions per estimate; each costs two queries.
        pixel_step: delta, root mean square change per pixel of a probe.
        directions: sphere (option I) or gaussian (option II).
        step_size: share gamma of the way to the vertex, in [0, 1].
        momentum: beta of the gradient average, in [0, 1].
        momentum_start: gradient spends one estimate more before the first step, as printed; zero does not.
        plateau_decay: once the loss of the tested iterate is above 0.999 times that of four steps before,
            let gamma fall with the square root of the steps since (not part of the printed algorithm).

    Source: chen2021, section 2.3, Algorithms 2 and 3. Of the settings only b = 25 is published.
    """

    name: ClassVar[str] = "frank_wolfe_blackbox"
    pairs: PositiveInt = 25
    pixel_step: Radius = 0.01
    directions: Directions = "gaussian"
    step_size: Share = 0.1
    momentum: Share = 0.99
    momentum_start: MomentumStart = "gradient"
    plateau_decay: bool = False

    def queries_of_step(self, iteration: int) -> int:
        """One estimate, two in the first step if the average starts at one."""
        estimates = 2 if iteration == 0 and self.momentum_start == "gradient" else 1
        return 2 * self.pairs * estimates

    def start(self, state: ScoreBasedState) -> dict[str, Tensor]:
        """Remember the gradient average, the last losses, and since when the step size falls."""
        count = len(state.clean)
        return {
            "average": torch.zeros_like(state.clean),
            "losses": state.clean.new_full((count, _PLATEAU_WINDOW), torch.inf),
            "decaying": state.clean.new_zeros(count),
        }

    def step(self, state: ScoreBasedState, memory: dict[str, Tensor], rows: Tensor, iteration: int) -> Tensor:
        """Estimate, average, move."""
        images = state.findings.images[rows]
        if iteration == 0 and self.momentum_start == "gradient":
            memory["average"][rows] = self._estimate(state, images, rows, 0)
        gradient = self._estimate(state, images, rows, iteration + 1)
        average = averaged(gradient, memory["average"][rows], self.momentum, self.momentum_start)
        memory["average"][rows] = average
        step_size = per_image(self.step_size * (memory["decaying"][rows] + 1).rsqrt(), images)
        return frank_wolfe_step(images, state.clean[rows], average, "linf", self.eps, step_size)

    def learn(self, state: ScoreBasedState, memory: dict[str, Tensor], rows: Tensor, logits: Tensor) -> None:
        """Watch the loss for a plateau."""
        if not self.plateau_decay:
            return
        losses = memory["losses"][rows].roll(-1, 1)
        losses[:, -1] = cross_entropy(state.criterion.rows(rows), logits)
        memory["losses"][rows] = losses
        decaying = memory["decaying"][rows]
        flat = losses[:, 0].isfinite() & (losses[:, -1] > _PLATEAU_SHARE * losses[:, 0])
        memory["decaying"][rows] = decaying + ((decaying > 0) | flat)

    def _estimate(self, state: ScoreBasedState, images: Tensor, rows: Tensor, draw: int) -> Tensor:
        gradient, _ = estimate_gradient(
            state.cross_entropy,
            images,
            rows,
            state.rng,
            draw,
            pairs=self.pairs,
            pixel_step=self.pixel_step,
            directions=self.directions,
            largest_pass=state.oracle.largest_pass,
        )
        return gradient
