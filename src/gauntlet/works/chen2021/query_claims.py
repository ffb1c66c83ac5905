"""Differences between attacks on the same images, in the shapes that the claims of chapters 2 and 3 need.

All attacks of an evaluation run on the same images, and so do the defended networks: every difference is paired.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from gauntlet.analysis.bootstrap import Estimate, bootstrap, paired_difference
from gauntlet.analysis.intervals import paired_share_difference
from gauntlet.analysis.queries import queries_to_success
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import Verdict, above


def more_often(name: str, first: pd.Series, second: pd.Series, *, points: float = 0.0) -> Verdict:
    """Decide whether one share exceeds another, over the same images, by more than so many points."""
    return above(f"{name}, points", paired_share_difference(first, second).scaled(100), points)


def more_on_average(name: str, first: pd.Series, second: pd.Series) -> Verdict:
    """Decide whether one mean exceeds another over the same images."""
    return above(name, paired_difference(first, second))


def ratio_of_means(first: pd.Series, second: pd.Series) -> Estimate:
    """Return mean(first) / mean(second) over the same images, resampled jointly."""
    rows = [first.to_numpy(dtype=float), second.to_numpy(dtype=float)]
    return bootstrap(lambda pair: float(pair[0].mean() / pair[1].mean()), rows)


def more_queries_where_successful(
    name: str,
    results: Results,
    first: str,
    second: str,
    statistic: Callable[..., np.floating] = np.mean,
) -> Verdict:
    """Decide whether an attack needs more queries than another, each over its own successes.

    The two populations differ; images are resampled jointly.
    """
    columns = {
        method: queries_to_success(results.one(method=method)).to_numpy() for method in (first, second)
    }
    lacking = [method for method, column in columns.items() if np.isnan(column).all()]
    if lacking:
        return Verdict("inconclusive", f"{name}: {' and '.join(lacking)} never succeeded.")

    def gap(rows: Sequence[np.ndarray]) -> float:
        one, two = (row[~np.isnan(row)] for row in rows)
        return float(statistic(one) - statistic(two)) if len(one) and len(two) else np.nan

    return above(name, bootstrap(gap, list(columns.values())).interval())
