"""HopSkipJump: decision-based attack along the boundary's estimated normal (Chen et al., 2020)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.decision_based.base import DecisionBasedAttack, DecisionBasedState
from gauntlet.attacks.geometry.norms import lengths, per_image
from gauntlet.contracts import PROCEDURES
from gauntlet.setting_types import NonNegativeInt, PositiveInt, Radius

_BLEND_TOLERANCE = 1e-3
_MOST_BISECTIONS = 60
_MOST_HALVINGS = 40
_PROBES_AT_ONCE = 128


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class HopSkipJump(DecisionBasedAttack):
    """Walk along the boundary: probe its normal with random labels, step along its sign, project back.

    Written here and not taken from a library, because queries are counted per image and the budget holds to
    the query. An image whose budget ends keeps the nearest adversarial image it has. A success counts at the
    end of an iteration: what the first projection finds costs the first iteration too.

    Settings:
        initial_probes: probes of the first estimate; the k-th has sqrt(k) times as many.
        most_probes: and no more than this.
        first_probe_radius: l2 length of the first probes; later D theta times the distance.
        start_trials: most uniform random images tried for a start.
        iterations: most steps, 0 for no limit but the budget.

    Source: baseline of chen2021, section 3.4; linf version of Chen et al. (2020) with gamma = 1, that is
    theta = 1 / D^2.
    """

    name: ClassVar[str] = "hop_skip_jump"
    initial_probes: PositiveInt = 100
    most_probes: PositiveInt = 10_000
    first_probe_radius: Radius = 0.1
    start_trials: PositiveInt = 1000
    iterations: NonNegativeInt = 0

    def attack(self, state: DecisionBasedState, rows: Tensor) -> None:
        """Start, then estimate, step and project in lock-step."""
        rows, points = self._start(state, rows)
        points = self._projected(state, points, rows)
        state.keep(points, rows)
        size = state.clean.shape[1:].numel()
        iteration = 1
        draw = self.start_trials
        while not self.iterations or iteration <= self.iterations:
            probes = min(int(self.initial_probes * math.sqrt(iteration)), self.most_probes)
            going = self.running(state, rows, probes + 1)
            rows, points = rows[going], points[going]
            if len(rows) == 0:
                return
            state.findings.iterations[rows] += 1
            distance = self._distance(state, points, rows)
            radius = torch.full_like(distance, self.first_probe_radius) if iteration == 1 else distance / size
            normal = self._normal(state, points, rows, radius, probes, draw)
            points = self._stepped(state, points, rows, normal.sign(), distance / math.sqrt(iteration))
            points = self._projected(state, points, rows)
            state.offer(points, rows)
            draw += -(-probes // _PROBES_AT_ONCE)
            iteration += 1

    def _start(self, state: DecisionBasedState, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Blend each image with adversarial noise, as little as keeps it adversarial; drop who finds none."""
        clean = state.clean
        noise = torch.zeros_like(clean[rows])
        found = torch.zeros_like(rows, dtype=torch.bool)
        for trial in range(self.start_trials):
            places = (~found & (state.oracle.remaining(rows) > 0)).nonzero().squeeze(1)
            if len(places) == 0:
                break
            noise[places] = state.rng.uniform(rows[places], trial, tuple(clean.shape[1:])).to(clean.dtype)
            found[places] = state.crossed(noise[places], rows[places])
        rows, noise = rows[found], noise[found]

        def blend(share: Tensor, part: Tensor) -> Tensor:
            return torch.lerp(clean[rows[part]], noise[part], per_image(share, noise))

        share = self._bisected(
            state, rows, blend, torch.ones(len(rows), device=rows.device), _BLEND_TOLERANCE
        )
        return rows, blend(share, torch.arange(len(rows), device=rows.device))

    def _projected(self, state: DecisionBasedState, points: Tensor, rows: Tensor) -> Tensor:
        """Clip to the smallest linf ball around the clean image that keeps the points adversarial."""
        size = points.shape[1:].numel()
        distance = self._distance(state, points, rows)

        def clipped(radius: Tensor, part: Tensor) -> Tensor:
            clean = state.clean[rows[part]]
            reach = per_image(radius, clean)
            return torch.clamp(points[part], clean - reach, clean + reach)

        tolerance = torch.minimum(distance / size**2, torch.full_like(distance, 1 / size**2))
        radius = self._bisected(state, rows, clipped, distance, tolerance)
        nearer = (radius < distance).nonzero().squeeze(1)
        return points.index_copy(0, nearer, clipped(radius[nearer], nearer))

    def _bisected(
        self,
        state: DecisionBasedState,
        rows: Tensor,
        at: Callable[[Tensor, Tensor], Tensor],
        high: Tensor,
        tolerance: Tensor | float,
    ) -> Tensor:
        """Return the smallest adversarial parameter in [0, high], float64 ``[n]``, of a family of images.

        ``at`` maps parameters and places among ``rows`` to images; those at ``high`` are adversarial.
        """
        high = high.to(torch.float64, copy=True)
        low = torch.zeros_like(high)
        tolerance = torch.as_tensor(tolerance, dtype=high.dtype, device=high.device).expand_as(high)
        for _ in range(_MOST_BISECTIONS):
            open_ = (high - low > tolerance) & (state.oracle.remaining(rows) > 0)
            places = open_.nonzero().squeeze(1)
            if len(places) == 0:
                break
            middle = (low[places] + high[places]) / 2
            crossed = state.crossed(at(middle, places), rows[places])
            high[places[crossed]] = middle[crossed]
            low[places[~crossed]] = middle[~crossed]
        return high

    def _normal(
        self, state: DecisionBasedState, points: Tensor, rows: Tensor, radius: Tensor, probes: int, draw: int
    ) -> Tensor:
        """Average the probes' directions, weighted by whether they cross minus the share that does."""
        shape = tuple(points.shape[1:])
        normal = torch.empty_like(points)
        group = max(1, state.oracle.largest_pass // min(probes, _PROBES_AT_ONCE))
        for begin in range(0, len(rows), group):
            part = slice(begin, begin + group)
            weighted = torch.zeros_like(points[part]).flatten(1)
            plain = torch.zeros_like(weighted)
            balance = torch.zeros_like(weighted[:, 0])
            for offset, first in enumerate(range(0, probes, _PROBES_AT_ONCE)):
                count = min(_PROBES_AT_ONCE, probes - first)
                noise = state.rng.uniform(rows[part], draw + offset, (count, *shape)).to(points.dtype) * 2 - 1
                noise = noise / noise.flatten(2).norm(dim=2)[:, :, None, None, None]
                length = radius[part].to(points.dtype)[:, None, None, None, None]
                probed = (points[part, None] + length * noise).clamp_(0, 1)
                noise = ((probed - points[part, None]) / length).flatten(2)
                crossed = state.crossed(probed.view(-1, *shape), rows[part].repeat_interleave(count))
                signs = torch.where(crossed, 1.0, -1.0).to(points.dtype).view(-1, 1, count)
                weighted += torch.bmm(signs, noise).squeeze(1)
                plain += noise.sum(1)
                balance += signs.sum((1, 2))
            # All probes on one side: their plain mean, towards the adversarial side.
            share = (balance / probes)[:, None]
            one_sided = share.abs() == 1
            normal[part] = torch.where(one_sided, weighted, weighted - share * plain).view(-1, *shape)
        return normal

    def _stepped(
        self, state: DecisionBasedState, points: Tensor, rows: Tensor, step: Tensor, length: Tensor
    ) -> Tensor:
        """Move along ``step``, halving the length until the point is adversarial; else stay."""
        length = length.clone()
        moved = points.clone()
        places = torch.arange(len(rows), device=rows.device)
        for _ in range(_MOST_HALVINGS):
            places = places[state.oracle.remaining(rows[places]) > 0]
            if len(places) == 0:
                break
            trial = (points[places] + per_image(length[places], points) * step[places]).clamp_(0, 1)
            crossed = state.crossed(trial, rows[places])
            moved[places[crossed]] = trial[crossed]
            places = places[~crossed]
            length[places] /= 2
        return moved

    @staticmethod
    def _distance(state: DecisionBasedState, points: Tensor, rows: Tensor) -> Tensor:
        return lengths(points - state.clean[rows], "linf")
