"""What was observed: the rows of one procedure with the columns that chapters 2 and 3 need, and their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from gauntlet.reporting.inputs import EvaluationResult
from gauntlet.reporting.statistics import Interval, mean, median, wilson
from gauntlet.works.chen2021.black_box.metrics import boundary_distances

WHITE_BOX = {"fgsm": "FGSM", "pgd": "PGD", "mi-fgsm": "MI-FGSM", "fw": "FW", "zero": "FW, average from zero"}
BLACK_BOX = {
    "nes": "NES-PGD", "bandits": "Bandit", "nattack": "NAttack", "fw-sphere": "FW, sphere",
    "fw-gaussian": "FW, Gaussian",
}  # fmt: skip
LABELS = {
    "opt": "OPT", "opt-stopped": "OPT, own stop", "sign-opt": "SignOPT", "hsja": "HSJA", "rays": "RayS",
    "pgd": "PGD",
}  # fmt: skip
ROBUST = {
    "sign-opt": ("SignOPT", "hard-label"), "hsja": ("HSJA", "hard-label"), "rays": ("RayS", "hard-label"),
    "sign-hunter": ("SignHunter", "black-box"), "square": ("Square", "black-box"),
    "pgd-20": ("PGD-20", "white-box"), "cw-20": ("CW-20", "white-box"),
    "pgd-100": ("PGD-100", "white-box"), "cw-100": ("CW-100", "white-box"),
}  # fmt: skip
"""Display name (and kind of access) of each procedure, in the order of the tables."""
HARD_LABEL = ("sign-opt", "hsja", "rays")
"""The attacks of Tables 3.5 to 3.9 that measure a distance."""

DEFENCES = {
    "adversarial-training": "Adversarial Training", "trades": "TRADES", "sense": "SENSE",
    "feature-scattering": "Feature-Scattering", "adversarial-interpolation": "Adversarial Interpolation",
}  # fmt: skip
"""The defences of Tables 3.5 to 3.9 in their order."""


def attack_name(attack: str, variant: Any) -> str:
    """Turn the published attack and its variant into a display name of ours."""
    if not attack.startswith("FW"):
        return {"Nattack": "NAttack"}.get(attack, attack)
    option = re.search("sphere|gaussian", str(variant).lower())
    return f"FW, {option[0].replace('gauss', 'Gauss')}" if option else "FW"


def observed(result: EvaluationResult, procedure: str) -> pd.DataFrame:
    """Return the rows of a procedure in the order of the samples.

    An attack that never succeeded keeps its column ``queries_to_success``.
    """
    rows = result.rows(procedure)
    if rows.empty:
        raise KeyError(f"{result.path.stem} holds no procedure {procedure}")
    if "queries_to_success" not in rows:
        rows = rows.assign(queries_to_success=np.nan)
    return rows


def settings(result: EvaluationResult, procedure: str) -> Mapping[str, Any]:
    """Return the settings that a procedure ran with."""
    return result.specification["procedures"][procedure]


def found(rows: pd.DataFrame) -> np.ndarray:
    """Say for each image whether a query attack reached its goal within eps and budget."""
    return rows["queries_to_success"].notna().to_numpy()


def charged(rows: pd.DataFrame, budget: int) -> np.ndarray:
    """Return each image's queries, failures charged the whole budget."""
    return rows["queries_to_success"].fillna(budget).to_numpy(dtype=float)


def percentage(hits: np.ndarray) -> Interval:
    """Return the share of true entries in percent, with its Wilson interval."""
    return wilson(np.sum(hits), len(hits)).scaled(100)


def of_successes(values: pd.Series, statistic: Callable[..., Interval] = mean) -> Interval:
    """Return a statistic of the entries that are there; NaN where there is none."""
    present = values.dropna()
    return statistic(present) if len(present) else Interval(np.nan, np.nan, np.nan)


def median_of_successes(values: pd.Series) -> Interval:
    """Return the median of the entries that are there."""
    return of_successes(values, median)


def robust_images(rows: pd.DataFrame, eps: float, procedure: str) -> np.ndarray:
    """Say which images stay correct under an attack; images that are wrong unperturbed do not.

    Hard-label attacks: the nearest boundary point found is farther than eps. All others: the attack failed.
    """
    if procedure in HARD_LABEL:
        return (boundary_distances(rows) > eps).to_numpy()
    return rows["correct"].to_numpy(dtype=bool) & ~rows["success"].to_numpy(dtype=bool)


def procedures_of(result: EvaluationResult, method: str) -> list[str]:
    """Return the procedures of a method's grid: the one that bears its name, or those that begin with it."""
    names = list(result.specification["procedures"])
    return [name for name in names if name == method or re.fullmatch(rf"{method}(-[\d.]+)+", name)]


def chosen(result: EvaluationResult, method: str, tuning: int) -> str:
    """Choose a method's setting on the first ``tuning`` images: most successes, then fewest iterations.

    Source: chen2021, section 2.5, speaks of a grid search for every method; the rule is ours.
    """

    def merit(procedure: str) -> tuple[float, float]:
        rows = observed(result, procedure).iloc[:tuning]
        steps = float(settings(result, procedure)["steps"])
        success = rows["success"].astype(bool)
        return float(success.mean()), -float(rows["iterations"].where(success, steps).mean())

    return max(procedures_of(result, method), key=merit)


def chosen_rows(result: EvaluationResult, method: str, tuning: int) -> tuple[str, pd.DataFrame]:
    """Return the chosen procedure of a method, and its rows for the images that did not choose it."""
    procedure = chosen(result, method, tuning)
    return procedure, observed(result, procedure).iloc[tuning:].reset_index(drop=True)


def provenance(result: EvaluationResult, count: int, what: str = "correctly classified images") -> str:
    """Say how many images of which data set, and which network, an artefact shows."""
    specification = result.specification
    return f"{count} {what} of {specification['dataset']}, network {specification['model']}"
