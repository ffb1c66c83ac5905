"""Confidence intervals for shares and their differences, in closed form.

Images are the sampling unit. Where several rows belong to one image (its targets, its repetitions), pass the
image of each row as ``clusters``. Shares get score intervals, which stay honest at 0 and 1, where a bootstrap
collapses to a point; means, quantiles and everything else are in ``gauntlet.analysis.bootstrap``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

LEVEL = 0.95
"""Confidence level of every interval unless said otherwise."""


class Interval(NamedTuple):
    """A point estimate with its confidence interval; arrays where the input was one."""

    estimate: float
    low: float
    high: float

    def scaled(self, factor: float) -> Interval:
        """Multiply by a positive factor, such as 100 for percent."""
        return Interval(self.estimate * factor, self.low * factor, self.high * factor)

    def columns(self) -> dict[str, float]:
        """Return the columns of a reproduced number beside a published one: ``reproduced``, ``ci_low``, ``ci_high``."""
        return {"reproduced": self.estimate, "ci_low": self.low, "ci_high": self.high}


def corrected_level(comparisons: int, level: float = LEVEL) -> float:
    """Return the level of each of several intervals that hold together at ``level`` (Bonferroni).

    A claim that something happens in one setting of many needs it; a claim about all settings does not, since
    it is supported only if every part is.
    """
    if comparisons < 1:
        raise ValueError(f"there is at least one comparison; found {comparisons}")
    return 1 - (1 - level) / comparisons


def wilson(successes: ArrayLike, total: ArrayLike, level: float = LEVEL) -> Interval:
    """Return a share with its Wilson score interval; NaN throughout where ``total`` is 0."""
    count, size = _counts(successes, total)
    z = special.ndtri((1 + level) / 2)
    centre = (count + z**2 / 2) / (size + z**2)
    reach = z / (size + z**2) * np.sqrt(count * (size - count) / size + z**2 / 4)
    # The bounds at no and at all successes are exact in theory and off by rounding in practice.
    return _interval(
        count / size, np.where(count == 0, 0.0, centre - reach), np.where(count == size, 1.0, centre + reach)
    )


def _counts(successes: ArrayLike, total: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both as floats of one shape; an empty sample becomes NaN, so that nothing is claimed of it."""
    count, size = np.broadcast_arrays(np.asarray(successes, dtype=float), np.asarray(total, dtype=float))
    if (count > size).any() or (count < 0).any():
        raise ValueError("successes must lie between 0 and the total")
    return count, np.where(size > 0, size, np.nan)


def _interval(estimate: Any, low: Any, high: Any) -> Interval:
    """Turn zero-dimensional arrays into numbers; an unknown estimate has no bounds."""
    low, high = (np.where(np.isnan(estimate), np.nan, bound) for bound in (low, high))
    return Interval(estimate[()], low[()], high[()])


def share(hits: ArrayLike, *, clusters: ArrayLike | None = None, level: float = LEVEL) -> Interval:
    """Return the share of true entries with its Wilson interval, at an effective size where rows share images.

    The sample size is divided by the design effect: the variance of the share over clusters (linearized ratio
    estimator) relative to that of as many independent entries, at least 1. Where all entries are equal and
    the design effect unknown, each cluster counts once. Unlike a bootstrap the interval never collapses;
    with one entry per cluster it is the plain Wilson interval.

    Args:
        hits: booleans ``[n]``.
        clusters: the image of each entry, where images have several.
        level: confidence level.
    """
    flags, groups = checked_sample(np.asarray(hits, dtype=bool), clusters)
    size = len(flags)
    number = len(np.unique(groups))
    if number == size:
        return wilson(flags.sum(), size, level)
    rate = flags.mean()
    effective = float(number)
    if 0 < rate < 1 and number > 1:
        residuals = np.bincount(groups, weights=flags - rate)
        variance = number / (number - 1) * float(residuals @ residuals) / size**2
        effective = size / max(variance * size / (rate * (1 - rate)), 1.0)
    return wilson(rate * effective, effective, level)


def paired_share_difference(
    first: ArrayLike, second: ArrayLike, *, clusters: ArrayLike | None = None, level: float = LEVEL
) -> Interval:
    """Return the difference of two shares over the same images, with Newcombe's score interval.

    The Wilson bounds of both shares are combined with the correlation of the pairs (Newcombe 1998, Statistics
    in Medicine 17:2635, method 10). It keeps a positive width when no pair differs, unlike a bootstrap. Where
    several rows share an image, whole images are resampled instead; then, if no row differs, the reach is that
    of no event in so many images.

    Args:
        first: booleans ``[n]``, such as "classified correctly" under one attack; or ``[images, settings]``, whose
            shares are averaged over the settings.
        second: booleans of the same images under another, shaped alike.
        clusters: the image of each entry, where images have several.
        level: confidence level.
    """
    one, two = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if one.shape != two.shape:
        raise ValueError(f"paired samples have one length; found {one.shape} and {two.shape}")
    if not len(one):
        return Interval(np.nan, np.nan, np.nan)
    if one.ndim == 2:
        clusters = np.repeat(np.arange(len(one)), one.shape[1])
        one, two = one.ravel(), two.ravel()
    if clusters is not None and len(np.unique(np.asarray(clusters))) < len(one):
        if not np.array_equal(one, two):
            # Imported here because the bootstrap is made of these intervals.
            from gauntlet.analysis.bootstrap import paired_difference

            return paired_difference(one, two, clusters=clusters, level=level)
        none = share(np.zeros(len(one)), clusters=clusters, level=level)
        return Interval(0.0, -none.high, none.high)
    both, neither = np.sum(one & two), np.sum(~one & ~two)
    only_one, only_two = np.sum(one & ~two), np.sum(~one & two)
    margins = float(one.sum()) * float((~one).sum()) * float(two.sum()) * float((~two).sum())
    agreement = float(both * neither - only_one * only_two)
    if agreement > 0:
        agreement = max(agreement - len(one) / 2, 0.0)
    correlation = agreement / np.sqrt(margins) if margins > 0 else 0.0
    a, b = wilson(one.sum(), len(one), level), wilson(two.sum(), len(two), level)
    difference = a.estimate - b.estimate

    def reach(x: float, y: float) -> float:
        return float(np.sqrt(max(x**2 - 2 * correlation * x * y + y**2, 0.0)))

    return Interval(
        difference,
        difference - reach(a.estimate - a.low, b.high - b.estimate),
        difference + reach(a.high - a.estimate, b.estimate - b.low),
    )


def share_difference(
    successes: int, total: int, other_successes: int, other_total: int, level: float = LEVEL
) -> Interval:
    """Return the difference of two shares over different images, with Newcombe's hybrid score interval."""
    a, b = wilson(successes, total, level), wilson(other_successes, other_total, level)
    difference = a.estimate - b.estimate
    return Interval(
        difference,
        difference - float(np.hypot(a.estimate - a.low, b.high - b.estimate)),
        difference + float(np.hypot(a.high - a.estimate, b.estimate - b.low)),
    )


def checked_sample(
    values: ArrayLike, clusters: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the sample and the number of each entry's cluster (its own position without clusters)."""
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1:
        raise ValueError(f"a sample is one-dimensional; found shape {sample.shape}")
    if np.isnan(sample).any():
        raise ValueError(
            f"{int(np.isnan(sample).sum())} of {len(sample)} values are NaN; drop or count them first"
        )
    if clusters is None:
        return sample, np.arange(len(sample))
    codes = pd.factorize(np.asarray(clusters))[0]
    if len(codes) != len(sample):
        raise ValueError(f"{len(sample)} values, but clusters for {len(codes)}")
    return sample, codes
