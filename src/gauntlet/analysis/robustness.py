"""Images that withstand an attack at a radius: one definition for all works.

An image withstands an attack if the network is right on it unperturbed and the attack found nothing within the
radius. What that means depends on the attack's family:

- An attack that minimizes the perturbation answers for every radius by one distance per image.
- An attack with a fixed budget answers for the radius that it was run at. Where it was run with several step sizes,
  the one counts that leaves the fewest images, for each radius and number of restarts.
- A decision-based attack that goes on to its last query answers for every radius like the first.

With restarts, the first restart that succeeded (or the distance after so many) is recorded, so that one run
answers for every smaller number of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from gauntlet.analysis.results import Results

ANY_RADIUS = ("minimum_norm", "decision_based")
"""Families whose attacks answer for every radius."""


def radii(results: Results) -> list[float]:
    """Return the radii that fixed-budget attacks among the results were run at, ascending."""
    return sorted(map(float, results.procedures["radius"].dropna().unique()))


def answers_for(results: Results, radius: float) -> Results:
    """Return the procedures of one attack that tell which images withstand it at a radius; maybe none."""
    minimizes = results.procedures["radius"].isna() | results.procedures["family"].isin(ANY_RADIUS)
    at_radius = np.isclose(results.procedures["radius"].astype(float), radius, rtol=1e-9)
    return Results(results.procedures[minimizes.to_numpy() | at_radius], results.tables)


def robust_at(results: Results, radius: float, *, restarts: int | None = None) -> pd.Series:
    """Return whether each image withstands an attack at a radius, by sample.

    Args:
        results: one attack on one model; several procedures if it was run per radius or with several step sizes.
        radius: in pixel scale, in the attack's norm (pixels for l0).
        restarts: how many restarts the attack is given; all that were run if None.

    Raises:
        LookupError: no procedure was run at this radius.
    """
    return strongest_at(results, radius, restarts=restarts)[1]


def strongest_at(
    results: Results, radius: float, *, restarts: int | None = None
) -> tuple[Results, pd.Series]:
    """Return the procedure that leaves the fewest images at a radius, with whether each image withstands it."""
    answering = answers_for(results, radius)
    if not len(answering):
        raise LookupError(f"no attack of {results.described()} was run at the radius {radius:g}")
    found = [
        (procedure, procedure.correct & ~_broken(procedure, radius, restarts))
        for procedure in answering.each()
    ]
    return min(found, key=lambda each: each[1].sum())


def robust_accuracies(
    results: Results, radii: Sequence[float], *, restarts: int | None = None
) -> pd.DataFrame:
    """Return whether each image withstands an attack: a row per sample, a column per radius."""
    if len(results) == 1 and results.label("family") in ANY_RADIUS:
        sizes = distances(results, restarts=restarts)
        return pd.DataFrame({radius: results.correct & ~(sizes <= radius) for radius in radii})
    return pd.concat(
        {radius: robust_at(results, radius, restarts=restarts) for radius in radii}, axis=1, join="inner"
    )


def distances(results: Results, *, restarts: int | None = None) -> pd.Series:
    """Return each image's smallest adversarial perturbation that an attack found, by sample.

    In the attack's norm, pixel scale; l0 counts pixels. 0 for images that are misclassified unperturbed, infinite
    where nothing was found.

    Args:
        results: one attack that minimizes, or a decision-based one.
        restarts: how many restarts the attack is given; all that were run if None.
    """
    rows, name = results.rows, results.label("distance")
    if results.label("family") == "decision_based":
        sizes = results.column(name)
    else:
        after = f"{results.label('norm')}_after_{restarts}"
        sizes = results.column(after if restarts is not None and after in rows else name)
        sizes = sizes.where(rows["success"].to_numpy(dtype=bool), np.inf)
    return sizes.fillna(np.inf).where(results.correct, 0.0).astype(float)


def distance_trace(results: Results, counted: Literal["iteration", "query"]) -> pd.DataFrame:
    """Return each image's smallest perturbation as a decision-based attack goes on.

    Returns:
        A row per sample and a column per recorded number of iterations or queries, ascending; 0 for images that are
        misclassified unperturbed, infinite where no boundary was met yet.
    """
    prefix = f"linf_at_{counted}_"
    names = {
        int(str(name).removeprefix(prefix)): str(name)
        for name in results.rows.columns
        if str(name).startswith(prefix)
    }
    return pd.DataFrame(
        {
            mark: results.column(names[mark]).fillna(np.inf).where(results.correct, 0.0)
            for mark in sorted(names)
        }
    )


def mean_distance(sizes: pd.DataFrame | pd.Series | np.ndarray) -> np.ndarray:
    """Return the mean over the images that an attack succeeded on; infinite if there are none.

    Args:
        sizes: perturbation sizes ``[N, ...]``; NaN (not attacked) and infinite (not found) entries do not count.
    """
    values = np.asarray(sizes, dtype=float)
    found = np.isfinite(values)
    count = found.sum(0)
    total = np.where(found, values, 0.0).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.inf)


def _broken(procedure: Results, radius: float, restarts: int | None) -> pd.Series:
    """Whether an attack found an adversarial image within the radius, by sample."""
    if procedure.label("family") in ANY_RADIUS:
        return distances(procedure, restarts=restarts) <= radius
    if restarts is not None and "restart" in procedure.rows:
        first = procedure.column("restart")
        return (first >= 0) & (first <= restarts)
    return procedure.column("success").astype(bool)
