"""Sign-OPT: the gradient of a direction's radius from signs alone (Cheng et al., 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.decision_based.base import DecisionBasedState
from gauntlet.attacks.decision_based.boundary_radius import BoundaryRadius, unit
from gauntlet.attacks.decision_based.radius_descent import Descent, RadiusDescent
from gauntlet.contracts import PROCEDURES
from gauntlet.setting_types import PositiveInt, Radius


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
        descent: Descent,
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
