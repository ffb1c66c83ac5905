"""NAttack: learns the mean of a Gaussian around which adversarial examples lie (Li et al., 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.geometry.norms import project_onto_ball_and_box
from gauntlet.attacks.score_based.base import IterativeScoreBasedAttack, ScoreBasedState
from gauntlet.contracts import PROCEDURES
from gauntlet.setting_types import Number, PositiveInt, Radius

_INSIDE = 1 - 1e-6  # keeps black and white pixels at a finite argument of tanh


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class NAttack(IterativeScoreBasedAttack):
    """Follow the natural gradient of the expected hinge of the margin under N(mu, sigma^2).

    The Gaussian lives in the argument of a tanh that maps to the image box; its samples are projected onto
    the linf ball. Rewards are standardized within each image's population.

    Settings:
        population: samples per step, one query each.
        spread: sigma.
        learning_rate: of mu.
        test_every: steps between two tests of the image at mu.

    Source: baseline of chen2021, section 2.5; Li et al. (2019), with the margin between log-probabilities.
    """

    name: ClassVar[str] = "nattack"
    population: PositiveInt = 300
    spread: Radius = 0.1
    learning_rate: Number = 0.008
    test_every: PositiveInt = 10

    def queries_of_step(self, iteration: int) -> int:
        """The population."""
        return self.population

    def tested(self, iteration: int) -> bool:
        """Test after the first step and then every ``test_every`` steps."""
        return iteration % self.test_every == 0

    def start(self, state: ScoreBasedState) -> dict[str, Tensor]:
        """Remember mu, near 0 at first."""
        clean = state.clean
        rows = torch.arange(len(clean), device=clean.device)
        return {"mean": 0.001 * state.rng.normal(rows, 0, tuple(clean.shape[1:])).to(clean.dtype)}

    def step(self, state: ScoreBasedState, memory: dict[str, Tensor], rows: Tensor, iteration: int) -> Tensor:
        """Sample the population of so many images at a time as fit into a pass; move their means."""
        shape = tuple(state.clean.shape[1:])
        images = torch.empty_like(state.clean[rows])
        group = max(1, state.oracle.largest_pass // self.population)
        for begin in range(0, len(rows), group):
            part = rows[begin : begin + group]
            clean, mean = state.clean[part], memory["mean"][part].flatten(1)
            noise = state.rng.normal(part, iteration + 1, (self.population, math.prod(shape)))
            noise = noise.to(clean.dtype)
            samples = self._image(
                clean[:, None], (mean[:, None] + self.spread * noise).view(-1, self.population, *shape)
            )
            owners = part.repeat_interleave(self.population)
            logits = state.oracle.scores(samples.flatten(0, 1), owners)
            hinge = state.criterion.rows(owners).margin(logits).clamp(0, 1000).view(-1, self.population)
            spread, level = torch.std_mean(-hinge / 2, 1, keepdim=True, correction=0)
            advantage = (-hinge / 2 - level) / (spread + 1e-7)
            rate = self.learning_rate / (self.population * self.spread)
            mean = mean + rate * torch.bmm(advantage[:, None], noise).squeeze(1)
            memory["mean"][part] = mean.view(-1, *shape)
            images[begin : begin + group] = self._image(clean, mean.view(-1, *shape))
        return images

    def _image(self, clean: Tensor, argument: Tensor) -> Tensor:
        """Map ``argument`` to an image: tanh into the box, shifted so that 0 is the clean image; project."""
        shift = ((2 * clean - 1) * _INSIDE).atanh()
        images = ((shift + argument).tanh() + 1) / 2
        return project_onto_ball_and_box(images, clean.expand_as(images), "linf", self.eps)
