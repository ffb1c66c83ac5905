"""The bootstrap: images are resampled, whole clusters of rows where images repeat, seeds where there are several.

Intervals are percentile intervals from order statistics, so that infinite replicates (an attack that never
succeeded) stay comparable. A replicate that is not defined (NaN) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gauntlet.analysis.intervals import LEVEL, Interval, checked_sample

RESAMPLES = 2000
"""Bootstrap resamples unless said otherwise."""

_CELLS_AT_ONCE = 2_000_000

Statistic = Callable[..., "np.ndarray | float"]


@dataclass(frozen=True)
class Estimate:
    """A statistic, of any shape, with its bootstrap distribution.

    Attributes:
        value: on the sample itself.
        replicates: ``[resamples, *value.shape]``.
    """

    value: NDArray[np.float64]
    replicates: NDArray[np.float64]

    def interval(self, level: float = LEVEL) -> Interval:
        """Return the percentile interval, elementwise for a statistic with several entries."""
        return _percentile(self.value, self.replicates, level)

    def map(self, function: Callable[[NDArray[np.float64]], np.ndarray | float]) -> Estimate:
        """Return a function of the statistic with the same resamples."""
        return Estimate(
            np.asarray(function(self.value), dtype=float),
            np.stack([np.asarray(function(replicate), dtype=float) for replicate in self.replicates]),
        )

    def share_where(self, holds: Callable[[NDArray[np.float64]], bool | np.bool_]) -> float:
        """Return the share of the resamples in which a statement about the statistic holds."""
        return float(np.mean([bool(holds(replicate)) for replicate in self.replicates]))


def bootstrap(
    statistic: Statistic,
    *groups: Sequence[np.ndarray] | np.ndarray,
    clusters: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Resample images and recompute a statistic.

    Args:
        statistic: called with one argument per group, shaped as the group is.
        groups: an array with one row per image, or a list of arrays that share their images row by row
            (paired). Images of different groups are resampled independently.
        clusters: the image of each row, where images have several rows; of a single group only.
        resamples: number of resamples.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    members = None
    if clusters is not None:
        if len(groups) != 1:
            raise ValueError("clusters are of one group; found " + str(len(groups)))
        codes = np.unique(np.asarray(clusters), return_inverse=True)[1]
        members = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    replicates = []
    for _ in range(resamples):
        drawn = []
        for group in groups:
            arrays = [group] if isinstance(group, np.ndarray) else list(group)
            if members is not None:
                rows = np.concatenate([members[i] for i in generator.integers(0, len(members), len(members))])
            else:
                rows = generator.integers(0, len(arrays[0]), len(arrays[0]))
            drawn.append(
                arrays[0][rows] if isinstance(group, np.ndarray) else [array[rows] for array in arrays]
            )
        replicates.append(np.asarray(statistic(*drawn), dtype=float))
    return Estimate(np.asarray(statistic(*groups), dtype=float), np.stack(replicates))


def bootstrap_means(values: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Resample images and average: `bootstrap` with the mean over images as its statistic, many times as fast.

    Args:
        values: ``[images, ...]``.
        resamples: number of resamples.
        seed: of the draws.

    Returns:
        The means, shaped as an image's values are.
    """
    rows = np.asarray(values, dtype=float)
    flat = rows.reshape(len(rows), -1)
    replicates = np.concatenate(
        [counts @ flat / len(rows) for counts in _resampled_counts(len(rows), resamples, seed)]
    )
    return Estimate(rows.mean(0), replicates.reshape(resamples, *rows.shape[1:]))


def bootstrap_means_over_seeds(runs: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Resample trainings and images, and average: `bootstrap_over_seeds` with the mean, many times as fast.

    Args:
        runs: ``[seeds, images, ...]``; all seeds were evaluated on the same images. NaN entries are left out.
        resamples: number of resamples.
        seed: of the draws.

    Returns:
        The means, shaped as an image's values are.
    """
    values = np.asarray(runs, dtype=float)
    flat = values.reshape(*values.shape[:2], -1)
    known = (~np.isnan(flat)).astype(float)
    parts = [np.where(known > 0, flat, 0.0)]
    if not known.all():
        parts.append(known)
    seeds = np.concatenate(list(_resampled_counts(len(flat), resamples, seed))).astype(float)
    replicates: list[NDArray[np.float64]] = []
    for images in _resampled_counts(flat.shape[1], resamples, seed + 1):
        drawn = seeds[len(replicates) :][: len(images)]
        weights = images.astype(float)
        sums = [
            sum(drawn[:, [number]] * (weights @ run) for number, run in enumerate(part)) for part in parts
        ]
        count = sums[1] if len(parts) > 1 else float(flat.shape[0] * flat.shape[1])
        with np.errstate(invalid="ignore"):
            replicates.extend(sums[0] / count)
    with np.errstate(invalid="ignore"):
        average = parts[0].sum((0, 1)) / known.sum((0, 1))
    shape = values.shape[2:]
    return Estimate(average.reshape(shape), np.stack(replicates).reshape(resamples, *shape))


def bootstrap_over_seeds(
    statistic: Callable[[np.ndarray], np.ndarray | float],
    runs: ArrayLike,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Resample trainings and, within the same resample, images; then recompute a statistic.

    For claims about a way of training: its seeds vary more than the images do.

    Args:
        statistic: of an array shaped as ``runs``.
        runs: ``[seeds, images, ...]``; all seeds were evaluated on the same images.
        resamples: number of resamples.
        seed: of the draws.
    """
    values = np.asarray(runs)
    generator = np.random.default_rng(seed)
    replicates = []
    for _ in range(resamples):
        seeds = generator.integers(0, values.shape[0], values.shape[0])
        images = generator.integers(0, values.shape[1], values.shape[1])
        replicates.append(np.asarray(statistic(values[seeds][:, images]), dtype=float))
    return Estimate(np.asarray(statistic(values), dtype=float), np.stack(replicates))


def mean(
    values: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the mean with its percentile bootstrap interval."""
    sample, groups = checked_sample(values, clusters)
    if not len(sample):
        return Interval(np.nan, np.nan, np.nan)
    sums = np.bincount(groups, weights=sample)
    sizes = np.bincount(groups).astype(float)
    replicates = np.concatenate(
        [counts @ sums / (counts @ sizes) for counts in _resampled_counts(len(sizes), resamples, seed)]
    )
    return _percentile(float(sample.mean()), replicates, level)


def quantile(
    values: ArrayLike,
    probability: float,
    *,
    clusters: ArrayLike | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return a quantile (linear interpolation) with its percentile bootstrap interval.

    Infinite values are allowed: a quantile that falls on one is infinite.
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"a probability lies in [0, 1]; found {probability}")
    sample, groups = checked_sample(values, clusters)
    if not len(sample):
        return Interval(np.nan, np.nan, np.nan)
    order = np.argsort(sample, kind="stable")
    ordered, owner = sample[order], groups[order]
    whole = np.ones((1, groups.max() + 1), dtype=np.int64)
    replicates = np.concatenate(
        [
            _weighted_quantile(ordered, counts.astype(np.int32)[:, owner], probability)
            for counts in _resampled_counts(groups.max() + 1, resamples, seed, width=len(sample))
        ]
    )
    return _percentile(float(_weighted_quantile(ordered, whole[:, owner], probability)[0]), replicates, level)


def median(
    values: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the median with its percentile bootstrap interval."""
    return quantile(values, 0.5, clusters=clusters, level=level, resamples=resamples, seed=seed)


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return mean(first - second) over the same images, with its paired bootstrap interval."""
    one, two = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if one.shape != two.shape:
        raise ValueError(f"paired samples have one length; found {one.shape} and {two.shape}")
    return mean(one - two, clusters=clusters, level=level, resamples=resamples, seed=seed)


def _resampled_counts(
    clusters: int, resamples: int, seed: int, width: int | None = None
) -> Iterator[NDArray[np.int64]]:
    """Yield how often each cluster is drawn, ``[resamples, clusters]``, in blocks of bounded size."""
    generator = np.random.default_rng(seed)
    block = max(1, _CELLS_AT_ONCE // max(clusters, width or 0))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = generator.integers(clusters, size=(size, clusters)) + np.arange(size)[:, None] * clusters
        yield np.bincount(drawn.ravel(), minlength=size * clusters).reshape(size, clusters)


def _weighted_quantile(
    ordered: NDArray[np.float64], weights: NDArray[np.integer], probability: float
) -> NDArray[np.float64]:
    """Quantile of each sample in which ``ordered[i]`` occurs ``weights[:, i]`` times, ``[resamples]``."""
    reached = np.cumsum(weights, axis=1, dtype=np.int32)
    position = (reached[:, -1] - 1) * probability
    below = np.floor(position)
    # Each row of ``reached`` ascends: a search in it looks at far fewer entries than a comparison with all of them.
    neighbors = np.stack([below, below + 1], axis=1).astype(np.int32)
    places = [row.searchsorted(pair, side="right") for row, pair in zip(reached, neighbors, strict=True)]
    lower, upper = ordered[np.minimum(places, len(ordered) - 1)].T
    step = position - below
    with np.errstate(invalid="ignore"):
        between = lower + step * (upper - lower)
    return np.where((lower == upper) | (step == 0), lower, between)


def _percentile(value: ArrayLike, replicates: NDArray[np.float64], level: float) -> Interval:
    estimate = np.asarray(value, dtype=float)
    low = np.nanquantile(replicates, (1 - level) / 2, axis=0, method="lower")
    high = np.nanquantile(replicates, (1 + level) / 2, axis=0, method="higher")
    if estimate.ndim == 0:
        return Interval(float(estimate), float(low), float(high))
    return Interval(estimate, low, high)  # type: ignore[arg-type]
