"""Differences between attacks with intervals over images, in the shapes that the claims of the work need.

All attacks of an evaluation run on the same images, and so do the defended networks: every difference is paired.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gauntlet.reporting.claims import Verdict, direction
from gauntlet.reporting.inputs import EvaluationResult
from gauntlet.reporting.resampling import Estimate, bootstrap
from gauntlet.reporting.statistics import paired_difference, paired_share_difference
from gauntlet.works.chen2021.black_box.observations import charged, found, observed, settings


def more_often(name: str, first: np.ndarray, second: np.ndarray, *, points: float = 0.0) -> Verdict:
    """Decide whether one share exceeds another, over the same images, by more than so many points."""
    interval = paired_share_difference(first, second).scaled(100)
    return direction(f"{name}, points", *interval, threshold=points)


def more_on_average(name: str, first: np.ndarray, second: np.ndarray) -> Verdict:
    """Decide whether one mean exceeds another over the same images."""
    return direction(name, *paired_difference(first, second))


def query_columns(result: EvaluationResult, procedure: str) -> np.ndarray:
    """Return queries until success, NaN for failures, ``[images]``."""
    return observed(result, procedure)["queries_to_success"].to_numpy(dtype=float)


def succeeded(result: EvaluationResult, procedure: str) -> np.ndarray:
    """Say for which images a query attack succeeded."""
    return found(observed(result, procedure))


def queries_of_all(result: EvaluationResult, procedure: str) -> np.ndarray:
    """Return queries with failures charged the limit."""
    return charged(observed(result, procedure), settings(result, procedure)["budget"])


def statistic_of_successes(
    columns: Sequence[np.ndarray], statistic: Callable[..., np.floating]
) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    """Return the function that applies a statistic to the entries of each column that are no NaN."""

    def apply(rows: Sequence[np.ndarray]) -> np.ndarray:
        kept = [row[~np.isnan(row)] for row in rows]
        return np.array([statistic(values) if len(values) else np.nan for values in kept])

    return apply


def difference_among_successes(
    name: str,
    result: EvaluationResult,
    first: str,
    second: str,
    statistic: Callable[..., np.floating] = np.mean,
) -> Verdict:
    """Decide whether an attack needs more queries than another, each over its own successes.

    The two populations differ; images are resampled jointly.
    """
    columns = [query_columns(result, procedure) for procedure in (first, second)]
    apply = statistic_of_successes(columns, statistic)

    def gap(rows: Sequence[np.ndarray]) -> float:
        one, two = apply(rows)
        return float(one - two)

    if any(np.isnan(column).all() for column in columns):
        lacking = [p for p, column in zip((first, second), columns, strict=True) if np.isnan(column).all()]
        return Verdict("inconclusive", f"{name}: {' and '.join(lacking)} never succeeded.")
    return direction(name, *bootstrap(gap, columns).ends)


def rate_by(rows: Sequence[np.ndarray], limit: float) -> np.ndarray:
    """Return each attack's success rate after ``limit`` queries, as fractions."""
    return np.array([np.mean(np.nan_to_num(row, nan=np.inf) <= limit) for row in rows])


def ratio_of_means(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Return mean(first) / mean(second) over the same images, resampled jointly."""
    return bootstrap(lambda rows: float(rows[0].mean() / rows[1].mean()), [first, second])
