"""Comparisons that give verdicts: two numbers over the same images, or several at once by a joint bootstrap.

A statement about several numbers is supported if it holds in at least 95 % of the resamples and contradicted if in
at most 5 %. All numbers are resampled together, so that a ranking of many attacks needs no further correction; a claim
that something happens somewhere does, and gets it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gauntlet.analysis.bootstrap import Estimate, bootstrap, paired_difference
from gauntlet.analysis.intervals import LEVEL, Interval, corrected_level, paired_share_difference
from gauntlet.analysis.queries import queries_to_success, succeeded
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import Decision, Verdict, above, all_of, not_testable, within

SAME = 1e-9
"""Numbers closer than this are equal."""


def more_often(name: str, first: pd.Series, second: pd.Series, *, points: float = 0.0) -> Verdict:
    """Decide whether one share exceeds another, over the same images, by more than so many points."""
    return above(f"{name}, points", paired_share_difference(first, second).scaled(100), points)


def more_on_average(name: str, first: pd.Series, second: pd.Series) -> Verdict:
    """Decide whether one mean exceeds another over the same images."""
    return above(name, paired_difference(first, second))


def succeeds_more_often(name: str, first: Results, second: Results, *, points: float = 0.0) -> Verdict:
    """Decide whether one query attack succeeds on more images than another, by more than so many points."""
    return more_often(name, succeeded(first), succeeded(second), points=points)


def more_queries_where_successful(
    name: str, first: Results, second: Results, statistic: Callable[..., np.floating] = np.mean
) -> Verdict:
    """Decide whether an attack needs more queries than another, each over its own successes.

    The two populations differ; images are resampled jointly.
    """
    attacks = [queries_to_success(each).to_numpy() for each in (first, second)]
    for each, queries in zip((first, second), attacks, strict=True):
        if np.isnan(queries).all():
            return not_testable(f"{name}: {each.described()} never succeeded.")

    def gap(rows: Sequence[np.ndarray]) -> float:
        one, two = (row[~np.isnan(row)] for row in rows)
        return float(statistic(one) - statistic(two)) if len(one) and len(two) else np.nan

    return above(name, bootstrap(gap, attacks).interval())


def ratio_of_means(first: pd.Series, second: pd.Series) -> Estimate:
    """Return mean(first) / mean(second) over the same images, resampled jointly."""
    rows = [first.to_numpy(dtype=float), second.to_numpy(dtype=float)]
    return bootstrap(lambda pair: float(pair[0].mean() / pair[1].mean()), rows)


def holds(
    name: str,
    estimate: Estimate,
    statement: Callable[[NDArray[np.float64]], bool | np.bool_],
    *,
    unless: Callable[[NDArray[np.float64]], bool | np.bool_] | None = None,
) -> Verdict:
    """Judge a statement about the entries of an estimate.

    Args:
        name: the statement with the numbers it is about; begins the reason.
        estimate: the numbers.
        statement: whether it is true of such numbers.
        unless: what speaks against a contradiction even where the statement is not true, such as a tie.
    """
    share = estimate.share_where(statement)
    decision: Decision = "inconclusive"
    if share >= LEVEL:
        decision = "supported"
    elif (estimate.share_where(unless) if unless else share) <= 1 - LEVEL:
        decision = "contradicted"
    return Verdict(
        decision,
        f"{name}: true in {100 * share:.0f} % of the resamples.",
        {f"{name}, share of resamples": share},
    )


def lowest(name: str, estimate: Estimate, names: Sequence[str], candidate: str) -> Verdict:
    """Judge whether one entry is below all others; being level with the lowest decides nothing.

    Args:
        name: what the entries are, such as ``mean l1 norm on MNIST``.
        estimate: one entry per name.
        names: of the entries.
        candidate: the name that the claim says is lowest.
    """
    ours = list(names).index(candidate)
    others = np.arange(len(names)) != ours
    rival = int(np.flatnonzero(others)[np.argmin(estimate.value[others])])
    return holds(
        f"{name}: {candidate} {estimate.value[ours]:.4g} below the lowest other, "
        f"{names[rival]} {estimate.value[rival]:.4g}",
        estimate,
        lambda values: values[ours] < values[others].min() - SAME,
        unless=lambda values: values[ours] <= values[others].min() + SAME,
    )


def everywhere_within(name: str, intervals: Sequence[Interval], between: tuple[float, float]) -> Verdict:
    """Judge whether every number lies in a range: all intervals inside support, one outside contradicts."""
    bottom, top = between
    parts = [within(f"{name}, the farthest of {len(intervals)}", each, between) for each in intervals]
    farthest = max(
        range(len(parts)),
        key=lambda number: max(intervals[number].high - top, bottom - intervals[number].low),
    )
    return replace(parts[farthest], decision=all_of(parts).decision)


def everywhere_above(name: str, estimate: Estimate, threshold: float = 0.0) -> Verdict:
    """Judge whether every entry exceeds a threshold.

    All intervals above the threshold support. One below contradicts only if it stays there when the intervals of all
    entries hold together at 95 % (see `corrected_level`): of many entries some interval falls below by chance.
    """
    estimates, lows, _ = (np.ravel(ends) for ends in estimate.interval())
    highs = np.ravel(estimate.interval(corrected_level(estimate.value.size)).high)
    decisive = highs if highs.min() < threshold else lows
    worst = int(decisive.argmin())
    exceeding = int((estimates > threshold).sum())
    least_clear = Interval(float(estimates[worst]), float(lows[worst]), float(highs[worst]))
    return above(
        f"{name}, above {threshold:g} at {exceeding} of {len(lows)}, least at", least_clear, threshold
    )


def somewhere_above(name: str, estimate: Estimate, threshold: float = 0.0) -> Verdict:
    """Judge whether any entry exceeds a threshold, which the largest of many noisy entries does too easily.

    The entries' intervals hold together at 95 % (see `corrected_level`): one above the threshold supports, all
    below contradict.
    """
    interval = estimate.interval(corrected_level(estimate.value.size))
    estimates, lows, highs = (np.ravel(ends) for ends in interval)
    best = int(lows.argmax())
    largest = Interval(float(estimates[best]), float(lows[best]), float(highs.max()))
    return above(f"{name}, the clearest of {len(lows)}", largest, threshold)


def ordered(name: str, estimate: Estimate, names: Sequence[str]) -> Verdict:
    """Judge whether the entries rise (or stay) in the order in which they are given."""
    listed = ", ".join(f"{each} {value:.4g}" for each, value in zip(names, estimate.value, strict=True))
    return holds(f"{name}: {listed} in this order", estimate, lambda values: (np.diff(values) >= -SAME).all())
