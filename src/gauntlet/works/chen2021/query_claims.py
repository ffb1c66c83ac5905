"""A comparison that the claims of chapters 2 and 3 share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gauntlet.analysis.bootstrap import bootstrap
from gauntlet.analysis.queries import queries_to_success
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import Verdict, above


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
