"""Query counts, success curves and boundary distances, from the rows of query attacks.

Every function takes the rows of one procedure on one model: one row per image, with the columns that query
attacks record (see ``gauntlet.attacks.score_based.base`` and ``gauntlet.attacks.decision_based.base``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

FARTHEST = 1.0
"""linf distance that stands for an image whose boundary was never met: the image box has side 1."""


@dataclass(frozen=True)
class QueryCounts:
    """How many queries an attack took.

    Attributes:
        success_rate: share of the attacked images, in percent.
        mean_of_successes: queries until success, over the successes; NaN without any.
        median_of_successes: the same.
        mean_of_all: over all images, failures charged the whole budget.
        images: number of attacked images.
    """

    success_rate: float
    mean_of_successes: float
    median_of_successes: float
    mean_of_all: float
    images: int


def query_counts(rows: pd.DataFrame, budget: int) -> QueryCounts:
    """Summarize the queries of one attack.

    The mean over all equals rate * mean of successes + (1 - rate) * budget, which the published tables obey.

    Args:
        rows: with ``queries_to_success``, NaN for failures.
        budget: what a failure is charged.

    Source: chen2021, Tables 2.3 and 2.5 (means), 3.1 to 3.4 (means and medians of successes).
    """
    queries = rows["queries_to_success"]
    found = queries.dropna()
    return QueryCounts(
        success_rate=100 * len(found) / len(rows),
        mean_of_successes=float(found.mean()),
        median_of_successes=float(found.median()),
        mean_of_all=float(queries.fillna(budget).mean()),
        images=len(rows),
    )


def success_curve(rows: pd.DataFrame, queries: Sequence[float]) -> pd.DataFrame:
    """Return the attack success rate, in percent, after each of so many ``queries``.

    Columns: ``queries``, ``success_rate``. Source: chen2021, Figures 2.1 and 3.2.
    """
    found = np.sort(rows["queries_to_success"].dropna().to_numpy())
    successes = np.searchsorted(found, np.asarray(queries), side="right")
    return pd.DataFrame({"queries": list(queries), "success_rate": 100 * successes / len(rows)})


def boundary_distances(rows: pd.DataFrame) -> pd.Series:
    """Return each image's distance to the nearest boundary point found, in pixel scale.

    0 for images that the model gets wrong unperturbed; ``FARTHEST`` where no boundary was met.
    """
    distances = rows["best_linf"].where(rows["correct"], 0.0)
    return distances.where(np.isfinite(distances), FARTHEST)


@dataclass(frozen=True)
class BoundaryDistance:
    """Average decision boundary distance.

    Attributes:
        adbd: mean distance over all images, in pixel scale.
        unmet: number of images whose boundary was never met.
    """

    adbd: float
    unmet: int


def average_decision_boundary_distance(rows: pd.DataFrame) -> BoundaryDistance:
    """Average the distance to the boundary over all images, misclassified ones included.

    Only rows of an attack without early stop give a distance that does not depend on eps.
    Source: chen2021, section 3.4.
    """
    unmet = rows["correct"] & ~np.isfinite(rows["best_linf"])
    return BoundaryDistance(adbd=float(boundary_distances(rows).mean()), unmet=int(unmet.sum()))


def robust_accuracy_at(rows: pd.DataFrame, eps: float) -> float:
    """Return the share of all images, in percent, whose nearest boundary point is farther than ``eps``."""
    return float(100 * (boundary_distances(rows) > eps).mean())


def distance_trace(rows: pd.DataFrame, eps: float, prefix: str = "linf_at_iteration") -> pd.DataFrame:
    """Return how the boundary distance and the robust accuracy fall as the attack goes on.

    Args:
        rows: with the columns ``<prefix>_<mark>``.
        eps: radius of the robust accuracy.
        prefix: ``linf_at_iteration`` or ``linf_at_query``.

    Returns:
        One row per mark, in order: ``position``, ``adbd`` in pixel scale, ``robust_accuracy`` in percent.

    Source: chen2021, Figure 3.3.
    """
    columns = [str(name) for name in rows.columns if str(name).startswith(f"{prefix}_")]
    names = {int(name.removeprefix(f"{prefix}_")): name for name in columns}
    found = []
    for mark in sorted(names):
        at_mark = rows.assign(best_linf=rows[names[mark]])
        found.append(
            {
                "position": mark,
                "adbd": average_decision_boundary_distance(at_mark).adbd,
                "robust_accuracy": robust_accuracy_at(at_mark, eps),
            }
        )
    return pd.DataFrame(found, columns=["position", "adbd", "robust_accuracy"])


@dataclass(frozen=True)
class Iterations:
    """How many steps a white-box attack took, and how far it went.

    Attributes:
        success_rate: share of the attacked images, in percent.
        mean_of_all: steps over all images, failures charged ``steps``.
        mean_of_successes: steps over the successes; NaN without any.
        distortion: mean linf distance of the successes, in pixel scale.
    """

    success_rate: float
    mean_of_all: float
    mean_of_successes: float
    distortion: float


def iterations(rows: pd.DataFrame, steps: int) -> Iterations:
    """Summarize a white-box attack that stops at its first success.

    Source: chen2021, Tables 2.1, 2.2 and 2.4; both readings of the mean are given.
    """
    success = rows["success"].astype(bool)
    taken = rows["iterations"]
    return Iterations(
        success_rate=float(100 * success.mean()),
        mean_of_all=float(taken.where(success, steps).mean()),
        mean_of_successes=float(taken[success].mean()),
        distortion=float(rows.loc[success, "linf"].mean()),
    )
