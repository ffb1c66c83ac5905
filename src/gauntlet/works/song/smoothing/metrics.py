"""Certified accuracy and average certified radius, from tables with one row per certified image.

A table has the columns ``index``, ``label``, ``prediction`` (-1 where the certificate abstains) and
``radius`` (l2, pixel scale). An image earns its radius only if its prediction is right; wrong and abstained
images earn nothing. Shares are fractions, not percent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray


class Estimate(NamedTuple):
    """A mean over images with its standard error, which is NaN for a single image."""

    value: float
    standard_error: float


def certified_accuracy(frame: pd.DataFrame, radii: Sequence[float]) -> pd.DataFrame:
    """Return the share of images that are right and certified at each radius.

    Source: song, section 5.1; radius 0 gives its column ACC.

    Returns:
        Columns ``radius``, ``certified_accuracy`` and ``standard_error``, one row per radius.
    """
    right = _right(frame)
    certified = right[:, None] & (frame["radius"].to_numpy()[:, None] >= np.asarray(radii, dtype=float))
    estimates = [_mean(column.astype(float)) for column in certified.T]
    return pd.DataFrame(
        {
            "radius": np.asarray(radii, dtype=float),
            "certified_accuracy": [estimate.value for estimate in estimates],
            "standard_error": [estimate.standard_error for estimate in estimates],
        }
    )


def earned_radii(frame: pd.DataFrame) -> pd.Series:
    """Return each image's radius, 0 where its prediction is not right, indexed by the image's ``index``."""
    return pd.Series(
        np.where(_right(frame), frame["radius"].to_numpy(), 0.0),
        index=pd.Index(frame["index"], name="index"),
        name="earned_radius",
    )


def average_certified_radius(frame: pd.DataFrame) -> Estimate:
    """Return the mean earned radius (ACR), the area under the curve of certified accuracy."""
    return _mean(earned_radii(frame).to_numpy())


def average_certified_radius_gain(first: pd.DataFrame, second: pd.DataFrame) -> Estimate:
    """Return the ACR of ``first`` minus that of ``second`` with the standard error of the paired difference.

    Raises:
        ValueError: the tables are not about the same images.
    """
    one, two = earned_radii(first).sort_index(), earned_radii(second).sort_index()
    if not one.index.equals(two.index):
        raise ValueError("a paired comparison needs the same images in both tables")
    return _mean((one - two).to_numpy())


def average_certified_radius_bounds(
    radii: Sequence[float], accuracies: Sequence[float], largest: float
) -> tuple[float, float]:
    """Bound the ACR that a row of certified accuracies leaves possible.

    Between two radii the curve falls from one accuracy to the next; from ``largest`` on it is 0.

    Args:
        radii: increasing, from 0.
        accuracies: certified accuracy at each, as fractions.
        largest: the largest radius that the certificate can give.
    """
    grid, heights = np.asarray(radii, dtype=float), np.asarray(accuracies, dtype=float)
    steps = np.diff(np.minimum(grid, largest))
    tail = max(largest - grid[-1], 0.0) * heights[-1]
    return float(steps @ heights[1:]), float(steps @ heights[:-1] + tail)


def largest_radius(sigma: float, n: int, alpha: float) -> float:
    """Return the radius that n unanimous hard votes certify: ``sigma * Phi^-1(alpha^(1/n))``."""
    from scipy.special import ndtri

    return float(sigma * ndtri(alpha ** (1.0 / n)))


def dissent_allowed(radius: float, sigma: float, n: int, alpha: float) -> float:
    """Return how much of the dissent that a radius allows is left to n draws, between 0 and 1.

    A radius r needs the probability ``p = Phi(r / sigma)``, so without sampling error a share ``1 - p`` of the votes
    may dissent. Of n votes fewer may: the Clopper-Pearson bound of the others must still reach p.
    """
    from scipy.special import ndtr
    from scipy.stats import binom

    dissent = float(ndtr(-radius / sigma))
    # The bound reaches p where that many votes or more have at most the probability alpha under p.
    needed = binom.isf(alpha, n, 1.0 - dissent) + 1
    return max(n - float(needed), 0.0) / n / dissent


def _right(frame: pd.DataFrame) -> NDArray[np.bool_]:
    return (frame["prediction"] == frame["label"]).to_numpy()


def _mean(values: NDArray[np.float64]) -> Estimate:
    if not len(values):
        return Estimate(float("nan"), float("nan"))
    spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return Estimate(float(values.mean()), float(spread))
