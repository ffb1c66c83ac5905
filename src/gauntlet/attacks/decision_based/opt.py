"""OPT and Sign-OPT: hard-label attacks that descend the radius of a direction (Cheng et al., 2019, 2020)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.decision_based.base import DecisionBasedAttack, DecisionBasedState
from gauntlet.attacks.decision_based.boundary_radius import BoundaryRadius, unit
from gauntlet.attacks.geometry.norms import per_image
from gauntlet.contracts import PROCEDURES
from gauntlet.setting_types import NonNegativeInt, Number, PositiveInt, Radius

_FIRST_RATE = 0.2
_RESET_RATE = 1.0
_START_TOLERANCE = 1e-5
_PROBE_TOLERANCE_SHARE = 1 / 500


@dataclass
class _Descent:
    """The running images of one attack: their directions, radii, line-search rates and probe lengths."""

    rows: Tensor
    theta: Tensor
    radius: Tensor
    rate: Tensor
    probe: Tensor

    def keep(self, mask: Tensor) -> _Descent:
        return _Descent(*(getattr(self, name)[mask] for name in ("rows", "theta", "radius", "rate", "probe")))


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
        descent = _Descent(
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
            descent = _Descent(descent.rows, theta, radius, rate.where(~stuck, _RESET_RATE), probe)
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
        descent: _Descent,
        tolerance: Tensor,
        draw: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Estimate the gradient of the radius in theta.

        Returns:
            The gradients, and the best probe with its radius (infinity where probes have no radius).
        """

    @staticmethod
    def _offer(state: DecisionBasedState, descent: _Descent) -> None:
        points = state.clean[descent.rows] + per_image(descent.radius, descent.theta) * descent.theta
        state.offer(points, descent.rows)


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class OPT(RadiusDescent):
    """Estimate the gradient by finite differences of the radius along random changes of the direction.

    Source: baseline of chen2021, section 3.4; linf version of Cheng et al. (2019). The authors' code ends a
    run at ``least_improvement`` 0.005, which leaves most of the budget unused.
    """

    name: ClassVar[str] = "opt"
    initial_directions: PositiveInt = 10
    probe_length: Radius = 0.01
    probes: PositiveInt = 5

    smallest_rate: ClassVar[float] = 1e-4
    smallest_probe: ClassVar[float] = 5e-5

    def estimate(
        self,
        state: DecisionBasedState,
        boundary: BoundaryRadius,
        descent: _Descent,
        tolerance: Tensor,
        draw: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Measure the radius of every probe; all probes of all images are searched side by side."""
        shape = tuple(state.clean.shape[1:])
        count, probes = len(descent.rows), self.probes
        changes = state.rng.normal(descent.rows, draw, (probes, *shape)).to(state.clean.dtype)
        changes = unit(changes.view(-1, *shape)).view(count, probes, *shape)
        length = descent.probe.to(changes.dtype)[:, None, None, None, None]
        probed = unit((descent.theta[:, None] + length * changes).view(-1, *shape))
        radii = boundary.local(
            probed,
            descent.rows.repeat_interleave(probes),
            descent.radius.repeat_interleave(probes),
            tolerance.repeat_interleave(probes),
        ).view(count, probes)
        # A probe that never meets the boundary says nothing about the slope.
        slopes = torch.where(
            radii.isfinite(), (radii - descent.radius[:, None]) / descent.probe[:, None], 0.0
        )
        gradient = torch.bmm(slopes[:, None].to(changes.dtype), changes.flatten(2)).view(-1, *shape) / probes
        lowest, place = radii.min(1)
        best = probed.view(count, probes, *shape)[torch.arange(count, device=place.device), place]
        return gradient, best, lowest


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class SignOPT(RadiusDescent):
    """Estimate the gradient from the signs of the radius's changes, one query each.

    Source: baseline of chen2021, section 3.4; linf version of Cheng et al. (2020).
    """

    name: ClassVar[str] = "sign_opt"
    initial_directions: PositiveInt = 100
    probe_length: Radius = 0.001
    probes: PositiveInt = 200

    smallest_rate: ClassVar[float] = 1e-6
    smallest_probe: ClassVar[float] = 1e-8

    @property
    def price(self) -> int:
        """One query per probe and one for the line search."""
        return self.probes + 1

    def estimate(
        self,
        state: DecisionBasedState,
        boundary: BoundaryRadius,
        descent: _Descent,
        tolerance: Tensor,
        draw: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Ask whether each probe crosses the boundary at the present radius: if so, its radius is smaller."""
        shape = tuple(state.clean.shape[1:])
        gradient = torch.empty_like(descent.theta)
        group = max(1, state.oracle.largest_pass // self.probes)
        for begin in range(0, len(descent.rows), group):
            part = descent.keep(
                torch.arange(begin, min(begin + group, len(descent.rows)), device=descent.rows.device)
            )
            changes = state.rng.normal(part.rows, draw, (self.probes, *shape)).to(state.clean.dtype)
            changes = unit(changes.view(-1, *shape)).view(-1, self.probes, *shape)
            length = part.probe.to(changes.dtype)[:, None, None, None, None]
            probed = unit((part.theta[:, None] + length * changes).view(-1, *shape))
            crossed = boundary.crossed(
                probed, part.radius.repeat_interleave(self.probes), part.rows.repeat_interleave(self.probes)
            )
            signs = torch.where(crossed, -1.0, 1.0).view(-1, 1, self.probes).to(changes.dtype)
            gradient[begin : begin + group] = (
                torch.bmm(signs, changes.flatten(2)).view(-1, *shape) / self.probes
            )
        return gradient, descent.theta, torch.full_like(descent.radius, torch.inf)
