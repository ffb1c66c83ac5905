"""Confidence bounds on what a finite number of noise draws says about a smoothed classifier.

All bounds are one-sided: each holds with probability at least ``1 - alpha``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def clopper_pearson_lower(successes: ArrayLike, draws: int, alpha: float) -> Floats:
    """Bound a binomial probability from below, exactly: the alpha-quantile of Beta(k, n - k + 1); 0 at k = 0.

    Source: the bound of CERTIFY (song, section 5.1; Cohen, Rosenfeld and Kolter 2019).
    """
    from scipy.special import betaincinv

    count = np.asarray(successes, dtype=np.float64)
    # The quantile is undefined at k = 0; it is computed at 1 there and replaced.
    some = np.maximum(count, 1.0)
    return np.where(count > 0, betaincinv(some, draws - some + 1.0, alpha), 0.0)


def clopper_pearson_upper(successes: ArrayLike, draws: int, alpha: float) -> Floats:
    """Bound a binomial probability from above, exactly; 1 where every draw succeeded."""
    return 1.0 - clopper_pearson_lower(draws - np.asarray(successes, dtype=np.float64), draws, alpha)


def bernstein_lower(total: ArrayLike, squares: ArrayLike, draws: int, alpha: float) -> Floats:
    """Bound the mean of draws in [0, 1] from below by the empirical Bernstein inequality; at least 0.

    ``mean - sqrt(2 V log(2 / alpha) / n) - 7 log(2 / alpha) / (3 (n - 1))`` with the sample variance V.

    Args:
        total: sum of the draws.
        squares: sum of their squares.
        draws: number n of draws; a single one bounds nothing.
        alpha: failure probability.

    Source: the soft certificate of MACER, which maerz2023 refers to after theorem 3.8; inequality of Maurer
    and Pontil 2009.
    """
    sums = np.asarray(total, dtype=np.float64)
    if draws < 2:
        return np.zeros_like(sums)
    variance = np.maximum(np.asarray(squares, dtype=np.float64) - sums**2 / draws, 0.0) / (draws - 1)
    confidence = np.log(2.0 / alpha)
    slack = np.sqrt(2.0 * variance * confidence / draws) + 7.0 * confidence / (3.0 * (draws - 1))
    return np.maximum(sums / draws - slack, 0.0)


def bernstein_upper(total: ArrayLike, squares: ArrayLike, draws: int, alpha: float) -> Floats:
    """Bound the mean of draws in [0, 1] from above: the lower bound of their complements, turned round."""
    sums, second = np.asarray(total, dtype=np.float64), np.asarray(squares, dtype=np.float64)
    return 1.0 - bernstein_lower(draws - sums, draws - 2.0 * sums + second, draws, alpha)


def fair_coin_p_value(first: ArrayLike, second: ArrayLike) -> Floats:
    """Return the two-sided p-value of ``first`` against ``second`` votes under equal probabilities.

    By symmetry it is twice the upper tail ``P[X >= max]`` of Binomial(first + second, 1/2), at most 1.
    """
    from scipy.special import betainc

    larger, smaller = np.maximum(first, second), np.minimum(first, second)
    tail = betainc(np.maximum(larger, 1), smaller + 1.0, 0.5)
    return np.where(larger > smaller, np.minimum(2.0 * tail, 1.0), 1.0)


def certified_radius(lower: ArrayLike, upper: ArrayLike, sigma: float) -> Floats:
    """Return the l2 radius ``sigma / 2 (Phi^-1(pA) - Phi^-1(pB))``; 0 where pA < pB.

    Args:
        lower: lower bound pA on the smoothed probability of the returned class.
        upper: upper bound pB on that of every other class.
        sigma: standard deviation of the noise, in pixel scale.

    Source: song, equation 2.6; maerz2023, theorem 3.8.
    """
    from scipy.special import ndtri

    at_least, at_most = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    certified = at_least >= at_most
    # Where nothing is certified the bounds may be 0 and 1, whose quantiles are infinite.
    gap = ndtri(np.where(certified, at_least, 0.5)) - ndtri(np.where(certified, at_most, 0.5))
    return sigma / 2.0 * gap
