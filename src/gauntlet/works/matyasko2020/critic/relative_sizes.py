"""Sizes of perturbations relative to the image, by network, defence and attack: the measure rho_adv of eq. 4.9."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gauntlet.analysis import relative_robustness
from gauntlet.analysis.results import Results

ATTACKS = {"DeepFool": "DeepFool", "CarliniWagner": "C&W", "high_confidence": "high confidence"}
"""Headings of the attacks in the order of the work's table."""

DEFENCES = {
    "none": "no defence",
    "AT": "AT",
    "VAT": "VAT",
    "margin_l2": "margin",
    "adversary_critic": "critic",
}
"""Words for the defences, in the order of the work's table."""


def relative_sizes(results: Results, attack: str) -> pd.Series:
    """Return ||r|| / ||x|| in l2 by sample, NaN where an attack found nothing.

    A failed attack that leaves its last point behind counts with it, as in the work; one that leaves the image as
    it was does not count. Images that are misclassified as they are count with what the attack did to them.

    Args:
        results: of one network.
        attack: label of the attack.
    """
    found = results.one(attack=attack)
    sizes = relative_robustness.relative_sizes(found, results.one(attack="clean"))
    nothing = ~found.column("success").astype(bool) & (sizes == 0)
    return sizes.mask(nothing)


def runs_of(results: Results, attack: str) -> NDArray[np.float64]:
    """Return the relative sizes of one network and defence under one attack, ``[runs, images]``."""
    return np.stack([relative_sizes(each, attack).to_numpy() for _, each in results.groups("run")])


def by_defence(results: Results, defences: Sequence[str], attack: str) -> NDArray[np.float64]:
    """Return the relative sizes of one network under one attack, ``[runs, images, defences]``."""
    return np.stack([runs_of(results.where(defence=defence), attack) for defence in defences], axis=2)
