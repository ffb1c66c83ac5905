"""Pairs of an image and a target class: which were attacked, and how many reached their target.

A pair whose clean image is misclassified is not attacked. Several pairs may have one image; they are not independent.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from gauntlet.analysis.intervals import Interval, share
from gauntlet.analysis.queries import queries_to_success
from gauntlet.analysis.results import Results

ATTACK, WITHOUT_NOISE, CORNERS = "BOBYQA", "BOBYQA without noise", "random corners"
"""Labels: the attack, the same with queries that add no noise, one draw of random corners of the ball."""


def queries_of_pairs(run: Results) -> pd.Series:
    """Return the queries until success of each attacked pair, NaN for never."""
    return queries_to_success(run)[run.correct]


def confirmed_queries(run: Results) -> pd.Series:
    """Return the queries until success of each attacked pair, NaN where the final image is not the target's.

    A network that adds noise is judged by its vote over many draws, since a lucky draw is no success.
    """
    queries = queries_of_pairs(run)
    if "smoothed_prediction" not in run.rows:
        return queries
    confirmed = at_target(run, "smoothed_prediction")
    return queries.where(confirmed.reindex(queries.index, fill_value=False))


def images_of(pairs: pd.Series) -> np.ndarray:
    """Return the image of each pair, the cluster that is resampled."""
    return pairs.index.get_level_values("index").to_numpy()


def success_rate(run: Results, limit: float = np.inf) -> Interval:
    """Return the share of pairs that reached their target within so many queries."""
    queries = queries_of_pairs(run)
    # A comparison with NaN is false: what never succeeds does not at any number of queries.
    return share(queries <= limit, clusters=images_of(queries))


def at_target(run: Results, column: str = "prediction") -> pd.Series:
    """Return whether each pair's final image is given to the target; empty if its class was not recorded."""
    classes = run.column(column)[run.correct].dropna()
    return classes == classes.index.get_level_values("target")


def common_pairs(*values: pd.Series) -> list[pd.Series]:
    """Return the values of the pairs that are in all series, in one order."""
    together = pd.concat(values, axis=1, join="inner").sort_index()
    return [together.iloc[:, position] for position in range(len(values))]
