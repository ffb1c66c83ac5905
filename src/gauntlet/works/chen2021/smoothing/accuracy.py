"""Which images the networks of chapter 6 get right, and which of them still under attack (chen2021)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gauntlet.analysis.bootstrap import Estimate, bootstrap_means
from gauntlet.analysis.results import Results
from gauntlet.analysis.robustness import robust_at

PGD = "PGD-100"
BACKWARD = "Backward Smoothing"
"""The method of the work with the settings of its main tables."""
FAST = ("Fast AT", "Fast AT (2-step)", "Fast AT (GradAlign)", "Fast TRADES", "Fast TRADES (2-step)")
"""The other methods that attack in one or two steps."""


def withstands(attack: Results) -> pd.Series:
    """Return whether each image is right unperturbed and under an attack, at the radius that it was run at."""
    return robust_at(attack, float(attack.label("radius")))


def by_method(results: Results, ball: str = "usual") -> dict[str, pd.Series]:
    """Return what each method's network withstands of PGD with 100 steps at a radius, by sample."""
    return {
        method: withstands(attack) for method, attack in results.where(attack=PGD, ball=ball).groups("method")
    }


def by_setting(results: Results, usual: Any) -> dict[Any, Results]:
    """Return the attacks on one data set's networks of Backward Smoothing by the setting that is varied.

    Args:
        results: of networks of which all but the usual one have the label ``printed``.
        usual: the usual one's setting.
    """
    attacks = results.where(attack=PGD, ball="usual")
    if "printed" not in attacks.procedures:
        return {usual: attacks.one()}
    return {usual: attacks.one(printed=None), **dict(attacks.groups("printed"))}


def accuracies(outcomes: list[pd.Series]) -> Estimate:
    """Return shares in percent, one for each network; the images are resampled for all at once."""
    return bootstrap_means(100 * np.column_stack([each.to_numpy(dtype=float) for each in outcomes]))
