"""Certified radii: what each image earns, certified accuracy and the average certified radius.

A certificate has the columns ``prediction`` (-1 where it abstains) and ``radius`` (l2, pixel scale). An image earns
its radius only if its prediction is right. What is by sample is in the order of the images' positions, so that two
models pair up whatever order they were certified in.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from gauntlet.analysis.bootstrap import mean, paired_difference
from gauntlet.analysis.intervals import Interval, paired_share_difference, share
from gauntlet.analysis.results import Results

MOST_DRAWS = 1000
"""Votes of which half a one keeps shares away from 0 and 1."""


def earned_radii(results: Results) -> pd.Series:
    """Return each image's certified radius, 0 where the prediction is wrong or withheld, by sample."""
    return results.column("radius").where(_right(results), 0.0).astype(float).sort_index()


def average_certified_radius(results: Results) -> Interval:
    """Return the mean earned radius (ACR), the area under the curve of certified accuracy."""
    return mean(earned_radii(results))


def average_certified_radius_gain(first: Results, second: Results) -> Interval:
    """Return the ACR of one model minus that of another, paired over their images."""
    return paired_difference(*_paired(earned_radii(first), earned_radii(second)))


def certified_at(results: Results, radius: float) -> pd.Series:
    """Return whether each image's prediction is right and certified at a radius, by sample."""
    return (_right(results) & (results.column("radius") >= radius)).sort_index()


def certified_accuracy(results: Results, radius: float) -> Interval:
    """Return the share of images that are right and certified at a radius."""
    return share(certified_at(results, radius))


def certified_accuracy_gain(first: Results, second: Results, radius: float) -> Interval:
    """Return the certified accuracy of one model minus that of another, paired over their images."""
    return paired_share_difference(*_paired(certified_at(first, radius), certified_at(second, radius)))


def certified_accuracy_curve(results: Results, radii: ArrayLike) -> NDArray[np.float64]:
    """Return the certified accuracy at each of many radii, without intervals."""
    right = _right(results)
    ordered = np.sort(results.column("radius")[right])
    return (len(ordered) - np.searchsorted(ordered, np.asarray(radii), side="left")) / len(right)


def largest_radius(sigma: float, n: int, alpha: float) -> float:
    """Return the radius that n unanimous votes certify: ``sigma * Phi^-1(alpha^(1/n))`` (Cohen et al. 2019)."""
    return float(sigma * ndtri(alpha ** (1.0 / n)))


def dissent_allowed(radius: float, sigma: float, n: int, alpha: float) -> float:
    """Return how much of the dissent that a radius allows is left to n draws, between 0 and 1.

    A radius r needs the probability ``p = Phi(r / sigma)``, so without sampling error a share ``1 - p`` of the votes
    may dissent. Of n votes fewer may: the Clopper-Pearson bound of the others must still reach p.
    """
    from scipy.stats import binom

    dissent = float(ndtr(-radius / sigma))
    # The bound reaches p where that many votes or more have at most the probability alpha under p.
    needed = binom.isf(alpha, n, 1.0 - dissent) + 1
    return max(n - float(needed), 0.0) / n / dissent


def estimation_error(probability: NDArray[np.float64], draws: int, sigma: float) -> NDArray[np.float64]:
    """Return the expected absolute error of the radius estimated from few votes, per image.

    The estimate is sigma Phi^-1 of the share of votes. Shares and probabilities stay half a vote of ``MOST_DRAWS``
    away from 0 and 1, where the radius is infinite.

    Args:
        probability: of the true class under noise, ``[N]``.
        draws: votes.
        sigma: of the noise.
    """
    from scipy.stats import binom

    counts = np.arange(draws + 1)
    estimates = sigma * ndtri(_inside(counts / draws))
    truth = sigma * ndtri(_inside(probability))
    weights = binom.pmf(counts[None], draws, probability[:, None])
    return (weights * np.abs(estimates[None] - truth[:, None])).sum(1)


def _inside(share: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(share, 0.5 / MOST_DRAWS, 1 - 0.5 / MOST_DRAWS)


def _right(results: Results) -> pd.Series:
    return results.column("prediction") == results.column("label")


def _paired(first: pd.Series, second: pd.Series) -> tuple[pd.Series, pd.Series]:
    if not first.index.equals(second.index):
        raise ValueError("a paired comparison needs the same images on both sides")
    return first, second
