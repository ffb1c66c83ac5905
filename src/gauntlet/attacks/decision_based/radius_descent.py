"""Descent of the radius of a direction, shared by OPT and Sign-OPT."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.decision_based.base import DecisionBasedAttack, DecisionBasedState
from gauntlet.attacks.decision_based.boundary_radius import BoundaryRadius
from gauntlet.attacks.geometry.norms import per_image
from gauntlet.setting_types import NonNegativeInt, Number, PositiveInt, Radius

_FIRST_RATE = 0.2
_RESET_RATE = 1.0
_START_TOLERANCE = 1e-5
_PROBE_TOLERANCE_SHARE = 1 / 500


@dataclass
class Descent:
    """The running images of one attack: their directions, radii, line-search rates and probe lengths."""

    rows: Tensor
    theta: Tensor
    radius: Tensor
    rate: Tensor
    probe: Tensor

    def keep(self, mask: Tensor) -> Descent:
        """Return the state of some images only."""
        return Descent(*(getattr(self, name)[mask] for name in ("rows", "theta", "radius", "rate", "probe")))


@dataclass(frozen=True, kw_only=True)
class RadiusDescent(DecisionBasedAttack):
    """Start from the best of some Gaussian directions; descend its radius by estimated gradients.

    Settings:
        initial_directions: Gaussian directions tried at the start.
        probe_length: linf length by which a probe changes the direction, at first.
        probes: random changes of the direction per gradient estimate.
        iterations: most gradient steps, 0 for no limit but the budget.
        least_improvement: an image also stops after a step that shortens its radius by less (0: never).
    """

    initial_directions: PositiveInt
    probe_length: Radius
    probes: PositiveInt
    iterations: NonNegativeInt = 1000
    least_improvement: Number = 0.0

    smallest_rate: ClassVar[float]
    smallest_probe: ClassVar[float]

    def attack(self, state: DecisionBasedState, rows: Tensor) -> None:
        """Iterate in lock-step: estimate, line search, shorten the probe where no rate helps any more."""
        boundary = BoundaryRadius(state)
        theta, radius = boundary.of_random_directions(rows, self.initial_directions, _START_TOLERANCE, 0)
        descent = Descent(
            rows,
            theta,
            radius,
            torch.full_like(radius, _FIRST_RATE),
            torch.full_like(radius, self.probe_length),
        )
        descent = descent.keep(radius.isfinite())
        self._offer(state, descent)
        draw = self.initial_directions
        iteration = 0
        while not self.iterations or iteration < self.iterations:
            descent = descent.keep(self.running(state, descent.rows, self.price))
            if len(descent.rows) == 0:
                return
            state.findings.iterations[descent.rows] += 1
            tolerance = descent.probe * _PROBE_TOLERANCE_SHARE
            gradient, probed, probed_radius = self.estimate(state, boundary, descent, tolerance, draw)
            theta, radius, rate = boundary.line_search(
                descent.theta, descent.radius, gradient, descent.rate, tolerance, descent.rows
            )
            by_probe = probed_radius < radius
            theta = torch.where(by_probe[:, None, None, None], probed, theta)
            radius = torch.where(by_probe, probed_radius, radius)
            gained = descent.radius - radius
            stuck = rate < self.smallest_rate
            probe = torch.where(stuck, descent.probe * 0.1, descent.probe)
            descent = Descent(descent.rows, theta, radius, rate.where(~stuck, _RESET_RATE), probe)
            self._offer(state, descent)
            ended = (gained < self.least_improvement) | (stuck & (probe < self.smallest_probe))
            descent = descent.keep(~ended)
            draw += 1
            iteration += 1

    @property
    def price(self) -> int:
        """Queries that must be left for another gradient estimate to begin."""
        return 1

    @abstractmethod
    def estimate(
        self,
        state: DecisionBasedState,
        boundary: BoundaryRadius,
        descent: Descent,
        tolerance: Tensor,
        draw: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Estimate the gradient of the radius in theta.

        Returns:
            The gradients, and the best probe with its radius (infinity where probes have no radius).
        """

    @staticmethod
    def _offer(state: DecisionBasedState, descent: Descent) -> None:
        points = state.clean[descent.rows] + per_image(descent.radius, descent.theta) * descent.theta
        state.offer(points, descent.rows)
