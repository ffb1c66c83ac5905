"""Bandits attack with time and data priors (Ilyas et al., 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.attacks.geometry.norms import lengths, per_image, project_onto_ball_and_box
from gauntlet.attacks.score_based.base import IterativeScoreBasedAttack, ScoreBasedState
from gauntlet.contracts import PROCEDURES
from gauntlet.setting_types import Number, PositiveInt, Radius


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class Bandits(IterativeScoreBasedAttack):
    """Carry a coarse guess of the gradient from step to step and correct it by two queries each time.

    The guess v lives on a grid of tiles (the data prior) and outlives steps (the time prior). It is kept as
    the argument of a hyperbolic tangent, in which the exponentiated-gradient update is an addition and
    cannot get stuck at +-1.

    Settings:
        tiles: side of the grid; it is stretched to the image.
        probe_step: eta, l2 length of a probe.
        exploration: spread of the random change of v in a probe.
        prior_rate: rate of the exponentiated-gradient update.
        step_size: length of a step of the image in pixel scale.

    Source: baseline "Bandit" of chen2021, section 2.5; defaults of Ilyas et al. (2019) for linf.
    """

    name: ClassVar[str] = "bandits"
    tiles: PositiveInt = 50
    probe_step: Radius = 0.1
    exploration: Radius = 1.0
    prior_rate: Number = 100.0
    step_size: Radius = 0.01

    def queries_of_step(self, iteration: int) -> int:
        """One antithetic pair."""
        return 2

    def start(self, state: ScoreBasedState) -> dict[str, Tensor]:
        """Remember the argument of the guess, zero at first."""
        count, channels, height, width = state.clean.shape
        grid = (count, channels, min(self.tiles, height), min(self.tiles, width))
        return {"argument": state.clean.new_zeros(grid)}

    def step(self, state: ScoreBasedState, memory: dict[str, Tensor], rows: Tensor, iteration: int) -> Tensor:
        """Probe, correct the guess, move along its sign."""
        images, argument = state.findings.images[rows], memory["argument"][rows]
        guess = argument.tanh()
        shape = tuple(guess.shape[1:])
        noise = state.rng.normal(rows, iteration, shape).to(guess.dtype)
        noise *= self.exploration / math.sqrt(math.prod(shape))
        above, below = self._losses(state, images, torch.stack([guess + noise, guess - noise], 1), rows)
        slope = (above - below) / (self.probe_step * self.exploration)
        argument = argument + self.prior_rate * per_image(slope, noise) * noise
        memory["argument"][rows] = argument
        moved = images - self.step_size * self._stretched(argument.tanh(), images).sign()
        return project_onto_ball_and_box(moved, state.clean[rows], "linf", self.eps)

    def _losses(
        self, state: ScoreBasedState, images: Tensor, tiles: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Probe along both directions of each image in one pass; ``tiles`` are ``[n, 2, C, t, t]``."""
        both = images.repeat_interleave(2, 0)
        direction = self._stretched(tiles.flatten(0, 1), both)
        length = per_image(lengths(direction, "l2"), direction).clamp(min=torch.finfo(images.dtype).tiny)
        probes = both + self.probe_step * direction / length
        above, below = state.cross_entropy(probes, rows.repeat_interleave(2)).view(-1, 2).unbind(1)
        return above, below

    @staticmethod
    def _stretched(tiles: Tensor, images: Tensor) -> Tensor:
        if tiles.shape == images.shape:
            return tiles
        return F.interpolate(tiles, size=images.shape[2:], mode="nearest")
