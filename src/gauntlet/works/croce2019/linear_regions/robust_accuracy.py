"""Robust accuracies as Tables 1 to 7 compare them: by model, radius and attack (croce2019, section 5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gauntlet.analysis.bootstrap import Estimate, bootstrap_means
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.results import Results
from gauntlet.analysis.robustness import radii, robust_accuracies

OURS = "ours"
"""The linear region attack's name in the tables."""

STATISTICS = ("mean", "max")
"""Rows of `gap_statistics`."""


@dataclass(frozen=True)
class Standing:
    """The images of one data set that withstand each attack, in every setting: a model at a radius.

    Attributes:
        robust: bool ``[N, settings, attacks]``.
        settings: model and radius of each setting.
        attacks: names of the columns.
    """

    robust: NDArray[np.bool_]
    settings: list[tuple[str, float]]
    attacks: list[str]

    def of(self, attack: str) -> NDArray[np.float64]:
        """Return one attack's column as 0 and 1, ``[N, settings]``."""
        return self.robust[..., self.attacks.index(attack)].astype(float)

    @property
    def ours(self) -> int:
        """Position of the linear region attack."""
        return self.attacks.index(OURS)

    @property
    def others(self) -> list[int]:
        """Positions of its competitors."""
        return [position for position in range(len(self.attacks)) if position != self.ours]

    def accuracies(self) -> Estimate:
        """Return the robust accuracy in every setting under every attack, ``[settings, attacks]``."""
        return bootstrap_means(self.robust)

    def advantage(self, accuracy: np.ndarray) -> NDArray[np.float64]:
        """Return, per setting, the best competitor's robust accuracy minus that of the linear region attack."""
        return accuracy[:, self.others].min(1) - accuracy[:, self.ours]


def attacked(inputs: ArtefactInputs, results: Results, column: str) -> pd.DataFrame:
    """Return whether each image withstands the attack of a column of the tables: by sample and radius."""
    restarts = inputs.settings["columns"][column]
    attack = results.where(attack="PGD" if restarts else column)
    return robust_accuracies(attack, radii(results), restarts=restarts)


def as_run(inputs: ArtefactInputs, results: Results) -> dict[str, str]:
    """Return each column with the restarts or iterations that its attack had here, for a table's header."""
    named = {}
    for column, restarts in inputs.settings["columns"].items():
        named[column] = column
        if restarts:
            named[column] = f"PGD, {restarts:,} restart{'s' if restarts > 1 else ''}"
        elif column.startswith("CW"):
            attack = next(results.where(attack=column).each())
            named[column] = f"CW, {attack.settings['settings']['steps']:,} iterations"
    return named


def standing(inputs: ArtefactInputs, results: Results) -> Standing:
    """Return which images of a data set withstand each attack, for every model at the radii that PGD was run at.

    Raises:
        LookupError: no model was evaluated.
    """
    models = dict(results.groups("model"))
    if not models:
        raise LookupError("no model of this kind was evaluated")
    columns = list(inputs.settings["columns"])
    robust = [
        np.stack([attacked(inputs, of_model, column) for column in columns], 2)
        for of_model in models.values()
    ]
    settings = [(name, radius) for name, of_model in models.items() for radius in radii(of_model)]
    return Standing(np.concatenate(robust, 1), settings, columns)


def gaps(accuracies: np.ndarray) -> NDArray[np.float64]:
    """Return each attack's robust accuracy minus the lowest of all attacks in the setting, ``[..., attacks]``."""
    difference: np.ndarray = accuracies - accuracies.min(-1, keepdims=True)
    return difference


def gap_statistics(accuracies: np.ndarray) -> NDArray[np.float64]:
    """Return the mean and the largest gap of each attack over the settings, ``[2, attacks]`` (Table 1).

    Args:
        accuracies: ``[settings, attacks]``.
    """
    behind = gaps(accuracies)
    return np.stack([behind.mean(0), behind.max(0)])
