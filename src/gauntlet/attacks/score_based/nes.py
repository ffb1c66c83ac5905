"""NES attack: projected steps along the sign of an estimated gradient (Ilyas et al., 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.geometry.norms import per_image, project_onto_ball_and_box
from gauntlet.attacks.score_based.base import IterativeScoreBasedAttack, ScoreBasedState
from gauntlet.attacks.score_based.gradient_estimate import estimate_gradient
from gauntlet.contracts import PROCEDURES
from gauntlet.setting_types import PositiveInt, Radius, Share

_PLATEAU_WINDOW = 5


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class NES(IterativeScoreBasedAttack):
    """Step along the sign of an average of Gaussian gradient estimates; halve the step on a plateau.

    The step is halved when the newest of the last five mean probe losses is above the oldest; the window
    then starts anew.

    Settings:
        pairs: antithetic pairs of probes per step; each costs two queries.
        pixel_step: sigma, standard deviation of a probe's change per pixel.
        momentum: weight of the old average of gradients against the new estimate.
        step_size: length of the first steps in pixel scale.
        smallest_step: halving ends here.

    Source: baseline "NES-PGD" of chen2021, section 2.5; settings of Ilyas et al. (2018).
    """

    name: ClassVar[str] = "nes"
    pairs: PositiveInt = 25
    pixel_step: Radius = 0.001
    momentum: Share = 0.9
    step_size: Radius = 0.01
    smallest_step: Radius = 5e-5

    def queries_of_step(self, iteration: int) -> int:
        """One estimate."""
        return 2 * self.pairs

    def start(self, state: ScoreBasedState) -> dict[str, Tensor]:
        """Remember the gradient average, the last losses and the step size."""
        count = len(state.clean)
        return {
            "average": torch.zeros_like(state.clean),
            "losses": state.clean.new_full((count, _PLATEAU_WINDOW), torch.inf),
            "step_size": state.clean.new_full((count,), self.step_size),
        }

    def step(self, state: ScoreBasedState, memory: dict[str, Tensor], rows: Tensor, iteration: int) -> Tensor:
        """Estimate, average, adapt the step, move."""
        images = state.findings.images[rows]
        gradient, losses = estimate_gradient(
            state.cross_entropy,
            images,
            rows,
            state.rng,
            iteration,
            pairs=self.pairs,
            pixel_step=self.pixel_step,
            directions="gaussian",
            largest_pass=state.oracle.largest_pass,
        )
        average = self.momentum * memory["average"][rows] + (1 - self.momentum) * gradient
        memory["average"][rows] = average
        step_size = per_image(self._adapted(memory, rows, losses), images)
        moved = images - step_size * average.sign()
        return project_onto_ball_and_box(moved, state.clean[rows], "linf", self.eps)

    def _adapted(self, memory: dict[str, Tensor], rows: Tensor, losses: Tensor) -> Tensor:
        """Return the step sizes ``[n]`` after the plateau rule."""
        window = memory["losses"][rows].roll(-1, 1)
        window[:, -1] = losses
        # Infinity marks places that are still empty.
        flat = window[:, 0].isfinite() & (window[:, -1] > window[:, 0])
        step_size = memory["step_size"][rows]
        step_size = torch.where(flat, (step_size / 2).clamp(min=self.smallest_step), step_size)
        window[flat] = torch.inf
        memory["losses"][rows] = window
        memory["step_size"][rows] = step_size
        return step_size
