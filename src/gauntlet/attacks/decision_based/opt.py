"""OPT: the gradient of a direction's radius by finite differences (Cheng et al., 2019)."""

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
        descent: Descent,
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
