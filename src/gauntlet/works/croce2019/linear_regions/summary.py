"""How far each attack stays behind the best one (croce2019, Table 1)."""

from __future__ import annotations

import numpy as np
import pandas as pd


def gaps(accuracies: np.ndarray) -> np.ndarray:
    """Return each attack's robust accuracy minus the lowest of all attacks in the setting, ``[..., attacks]``."""
    difference: np.ndarray = accuracies - accuracies.min(-1, keepdims=True)
    return difference


def difference_to_best(accuracies: pd.DataFrame) -> pd.DataFrame:
    """Compare each attack's robust accuracy with the lowest of all attacks in the same setting.

    Args:
        accuracies: columns ``dataset``, ``model``, ``eps``, ``attack``, ``robust_accuracy``, one row per cell
            of Tables 2 to 4. Rows with eps 0 (clean accuracy) are left out.

    Returns:
        One row per dataset and attack, in the order of their first appearance: ``mean`` and ``max`` of the
        differences over the settings (model and eps), and ``settings``, how many there are.
    """
    attacked = accuracies[accuracies["eps"] > 0]
    best = attacked.groupby(["dataset", "model", "eps"])["robust_accuracy"].transform("min")
    differences = attacked.assign(difference=attacked["robust_accuracy"] - best)
    grouped = differences.groupby(["dataset", "attack"], sort=False)["difference"]
    return grouped.agg(mean="mean", max="max", settings="size").reset_index()
