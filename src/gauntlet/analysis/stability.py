"""Perturbation stability: how often a prediction stays what it was under an attack (chen2021, chapter 5).

An image is robust if the network is right on it and its prediction does not change in the ball. Stability asks for
the second alone, whatever the true class. It comes from two predictions for each image, before and after an attack
that was run anyway. As an attack may fail, it is an upper estimate.
"""

from __future__ import annotations

import pandas as pd

from gauntlet.analysis.intervals import Interval, share
from gauntlet.analysis.results import Results
from gauntlet.errors import DataError

NATURAL, ROBUST, STABLE = "natural_accuracy", "robust_accuracy", "perturbation_stability"
"""The three shares, by the names of the published tables."""


def under_attack(clean: Results, attacked: Results) -> pd.DataFrame:
    """Return what becomes of each image under an attack, by sample.

    Args:
        clean: the procedure ``clean`` of an evaluation.
        attacked: an untargeted attack of the same evaluation that steps on misclassified images as well, as ``pgd``
            does: one that leaves them as they are would count them all as stable.

    Returns:
        Booleans: ``natural_accuracy``, the class is right unperturbed; ``robust_accuracy``, it is, and the attack
        failed; ``perturbation_stability``, the class is the same before and after the attack.

    Raises:
        LookupError: the two are not of one evaluation, whose network and samples they must share.
        DataError: the attack leaves misclassified images alone, or the three contradict each other.

    Source: chen2021, section 5.3.1, equation 5.3.1.
    """
    Results(pd.concat([clean.procedures, attacked.procedures]), clean.tables).label("evaluation")
    natural = clean.column("prediction") == clean.column("label")
    _refuse_idle(attacked, natural)
    joined = pd.DataFrame(
        {
            NATURAL: natural,
            ROBUST: natural & ~attacked.column("success").astype(bool),
            STABLE: clean.column("prediction") == attacked.column("prediction"),
        }
    )
    # An image that is right before and after has one class; one that is right and stable withstood the attack.
    if not (joined[ROBUST] == (joined[NATURAL] & joined[STABLE])).all():
        raise DataError(
            f"{attacked.described()}: on some images success, prediction and the clean prediction contradict each "
            "other; stability needs an attack whose success is a wrong class"
        )
    return joined


def shares_under_attack(clean: Results, attacked: Results) -> dict[str, Interval]:
    """Return natural accuracy, robust accuracy and stability in percent, each with its interval over images.

    They obey robust <= natural, robust <= stability, and stability <= robust + (100 - natural).

    Args:
        clean: see `under_attack`.
        attacked: likewise.
    """
    joined = under_attack(clean, attacked)
    return {name: share(joined[name]).scaled(100) for name in (NATURAL, ROBUST, STABLE)}


def _refuse_idle(attacked: Results, natural: pd.Series) -> None:
    """Refuse an attack that took no step on any misclassified image."""
    steps = attacked.column("iterations")[~natural]
    if len(steps) and (steps == 0).all():
        raise DataError(
            f"{attacked.described()} leaves misclassified images as they are, so that all of them would count as "
            "stable; stability needs an attack that steps on every image, such as pgd or mi_fgsm without early_stop"
        )
