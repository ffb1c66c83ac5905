"""The radius at which a direction crosses the boundary, by local search; shared by OPT and Sign-OPT."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gauntlet.attacks.decision_based.base import DecisionBasedState
from gauntlet.attacks.geometry.norms import lengths, per_image

_GROWTH = 1.01
_SHRINKING = 0.99
_FARTHEST = 20.0
_LONGEST_LINE_SEARCH = 15

Radii = Callable[[Tensor, Tensor, Tensor], Tensor]


def unit(directions: Tensor) -> Tensor:
    """Scale each direction ``[n, C, H, W]`` to linf length 1."""
    return directions / per_image(lengths(directions, "linf"), directions)


class BoundaryRadius:
    """Measures g(theta): the linf length at which direction theta leaves the true class.

    Args:
        state: the batch under attack.
    """

    def __init__(self, state: DecisionBasedState) -> None:
        self._state = state

    def crossed(self, directions: Tensor, radii: Tensor, rows: Tensor) -> Tensor:
        """Ask at one point per direction, bool ``[n]``."""
        points = self._state.clean[rows] + per_image(radii, directions) * directions
        return self._state.crossed(points, rows)

    def local(self, directions: Tensor, rows: Tensor, start: Tensor, tolerance: Tensor) -> Tensor:
        """Search outwards or inwards from ``start`` in steps of 1 %, then bisect.

        Args:
            directions: ``[n, C, H, W]`` of linf length 1.
            rows: the image of each, sorted, repeats allowed, ``[n]``.
            start: radius to begin at, float64 ``[n]``.
            tolerance: length at which bisection ends, float64 ``[n]``.

        Returns:
            An adversarial radius per direction, float64 ``[n]``; infinity if none was met within 20, or
            before the image's budget was spent.
        """
        low, high = start.clone(), torch.full_like(start, torch.inf)
        outwards = torch.zeros_like(rows, dtype=torch.bool)
        inwards = torch.zeros_like(outwards)
        places = self._granted(torch.arange(len(rows), device=rows.device), rows)
        crossed = self.crossed(directions[places], start[places], rows[places])
        inwards[places[crossed]] = True
        outwards[places[~crossed]] = True
        high[places[crossed]] = start[places[crossed]]

        reach = start * _GROWTH
        places = outwards.nonzero().squeeze(1)
        while len(places := self._granted(places, rows)):
            crossed = self.crossed(directions[places], reach[places], rows[places])
            high[places[crossed]] = reach[places[crossed]]
            places = places[~crossed]
            low[places] = reach[places]
            reach[places] *= _GROWTH
            places = places[reach[places] <= _FARTHEST]

        reach = start * _SHRINKING
        places = inwards.nonzero().squeeze(1)
        while len(places := self._granted(places, rows)):
            crossed = self.crossed(directions[places], reach[places], rows[places])
            low[places[~crossed]] = reach[places[~crossed]]
            places = places[crossed]
            high[places] = reach[places]
            reach[places] *= _SHRINKING
        return self.bisected(directions, rows, low, high, tolerance)

    def bisected(
        self, directions: Tensor, rows: Tensor, low: Tensor, high: Tensor, tolerance: Tensor
    ) -> Tensor:
        """Halve the intervals [low, high] with finite, adversarial upper ends until the tolerance."""
        low, high = low.clone(), high.clone()
        open_ = high.isfinite() & (low < high)
        places = open_.nonzero().squeeze(1)
        while True:
            places = places[(high - low)[places] > tolerance[places]]
            places = self._granted(places, rows)
            if len(places) == 0:
                return high
            middle = (low[places] + high[places]) / 2
            crossed = self.crossed(directions[places], middle, rows[places])
            high[places[crossed]] = middle[crossed]
            low[places[~crossed]] = middle[~crossed]

    def of_random_directions(
        self, rows: Tensor, count: int, tolerance: float, first_draw: int
    ) -> tuple[Tensor, Tensor]:
        """Keep the best of ``count`` Gaussian directions.

        A direction is dropped after one query unless it is adversarial at the best radius so far (before
        the first success: at its own length).

        Returns:
            Directions of linf length 1 ``[n, C, H, W]`` and their radii, float64 ``[n]``, infinity for none.
        """
        state = self._state
        clean = state.clean
        best = torch.zeros_like(clean[rows])
        radius = torch.full((len(rows),), torch.inf, dtype=torch.float64, device=rows.device)
        for draw in range(first_draw, first_draw + count):
            places = self._granted(torch.arange(len(rows), device=rows.device), rows)
            noise = state.rng.normal(rows[places], draw, tuple(clean.shape[1:])).to(clean.dtype)
            high = torch.minimum(radius[places], lengths(noise, "linf").double())
            noise = unit(noise)
            crossed = self.crossed(noise, high, rows[places])
            places, noise, high = places[crossed], noise[crossed], high[crossed]
            high = self.bisected(
                noise, rows[places], torch.zeros_like(high), high, torch.full_like(high, tolerance)
            )
            nearer = high < radius[places]
            radius[places[nearer]] = high[nearer]
            best[places[nearer]] = noise[nearer]
        return best, radius

    def line_search(
        self, theta: Tensor, radius: Tensor, gradient: Tensor, rate: Tensor, tolerance: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Move theta against ``gradient``: double the rate while that helps, else quarter it until it does.

        Args:
            theta: directions of linf length 1, ``[n, C, H, W]``, of distinct images.
            radius: their radii, float64 ``[n]``.
            gradient: of the radius in theta, same shape as theta.
            rate: of the step, float64 ``[n]``.
            tolerance: of the radii measured on the way, float64 ``[n]``.
            rows: the images, sorted, ``[n]``.

        Returns:
            The best directions, their radii and the rates that the search ended with.
        """
        best, lowest, rate = theta.clone(), radius.clone(), rate.clone()

        def improve(places: Tensor) -> Tensor:
            """Try the current rate; return the places where it lowered the radius."""
            moved = unit(theta[places] - per_image(rate[places], theta) * gradient[places])
            found = self.local(moved, rows[places], lowest[places], tolerance[places])
            better = found < lowest[places]
            best[places[better]], lowest[places[better]] = moved[better], found[better]
            return places[better]

        places = torch.arange(len(rows), device=rows.device)
        for _ in range(_LONGEST_LINE_SEARCH):
            tried = places
            places = improve(tried)
            rate[tried] *= 2
            if len(places) == 0:
                break
        places = (lowest >= radius).nonzero().squeeze(1)
        for _ in range(_LONGEST_LINE_SEARCH):
            if len(places) == 0:
                break
            rate[places] *= 0.25
            better = improve(places)
            places = places[~torch.isin(places, better)]
        return best, lowest, rate

    def _granted(self, places: Tensor, rows: Tensor) -> Tensor:
        """Return those of the ``places`` whose images can pay for one more query each."""
        return places[self._state.oracle.granted(rows[places])]
