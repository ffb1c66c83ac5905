"""Cost of query attacks: queries to the first success, and success rates after so many of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gauntlet.analysis.results import Results


def queries_to_success(results: Results) -> pd.Series:
    """Return each image's queries when the one selected attack first succeeded, NaN for never, by sample."""
    return results.column("queries_to_success").astype(float)


def succeeded(results: Results, queries: float | None = None) -> pd.Series:
    """Return whether the attack succeeded within so many queries (within its budget if None), by sample."""
    spent = queries_to_success(results)
    # A comparison with NaN is false: what never succeeds does not at any number of queries.
    return spent.notna() if queries is None else spent <= queries


def charged(results: Results) -> pd.Series:
    """Return each image's queries, failures charged the attack's whole budget, by sample."""
    return queries_to_success(results).fillna(results.settings["budget"])


def success_rates(queries: NDArray[np.float64], limits: Sequence[float]) -> NDArray[np.float64]:
    """Return the share of images that succeeded after each number of queries, ``[limits]``.

    Args:
        queries: to success, NaN for never, ``[N]``.
        limits: numbers of queries.
    """
    found = np.sort(queries[~np.isnan(queries)])
    return np.searchsorted(found, np.asarray(limits), side="right") / len(queries)
