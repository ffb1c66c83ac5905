"""NES attack: projected steps along the sign of an estimated gradient (Ilyas et al., 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.gradient_estimate import estimate_gradient
from gauntlet.attacks.norms import per_image, project_onto_ball_and_box
from gauntlet.attacks.query_attack import IterativeScoreAttack, ScoreSearch
from gauntlet.contracts import PROCEDURES
from gauntlet.values import PositiveInt, Radius, Share

_PLATEAU_WINDOW = 5


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class NES(IterativeScoreAttack):
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

    def start(self, search: ScoreSearch) -> dict[str, Tensor]:
        """Remember the gradient average, the last losses and the step size."""
        count = len(search.clean)
        return {
            "average": torch.zeros_like(search.clean),
            "losses": search.clean.new_full((count, _PLATEAU_WINDOW), torch.inf),
            "step_size": search.clean.new_full((count,), self.step_size),
        }

    def step(self, search: ScoreSearch, state: dict[str, Tensor], rows: Tensor, iteration: int) -> Tensor:
        """Estimate, average, adapt the step, move."""
        images = search.findings.images[rows]
        gradient, losses = estimate_gradient(
            search.cross_entropy,
            images,
            rows,
            search.streams,
            iteration,
            pairs=self.pairs,
            pixel_step=self.pixel_step,
            directions="gaussian",
            largest_pass=search.oracle.largest_pass,
        )
        average = self.momentum * state["average"][rows] + (1 - self.momentum) * gradient
        state["average"][rows] = average
        step_size = per_image(self._adapted(state, rows, losses), images)
        moved = images - step_size * average.sign()
        return project_onto_ball_and_box(moved, search.clean[rows], "linf", self.eps)

    def _adapted(self, state: dict[str, Tensor], rows: Tensor, losses: Tensor) -> Tensor:
        """Return the step sizes ``[n]`` after the plateau rule."""
        window = state["losses"][rows].roll(-1, 1)
        window[:, -1] = losses
        # Infinity marks places that are still empty.
        flat = window[:, 0].isfinite() & (window[:, -1] > window[:, 0])
        step_size = state["step_size"][rows]
        step_size = torch.where(flat, (step_size / 2).clamp(min=self.smallest_step), step_size)
        window[flat] = torch.inf
        state["losses"][rows] = window
        state["step_size"][rows] = step_size
        return step_size
