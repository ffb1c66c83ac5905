"""What became of each image under the networks of chapter 5, training by training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gauntlet.analysis.bootstrap import Estimate, bootstrap_means_over_seeds
from gauntlet.analysis.inputs import ArtefactInputs, TrainedModel
from gauntlet.analysis.intervals import Interval, share
from gauntlet.analysis.results import Results
from gauntlet.analysis.robustness import radii, robust_at
from gauntlet.analysis.stability import NATURAL, ROBUST, STABLE, under_attack

METRICS = (NATURAL, ROBUST, STABLE)
CLEAN, ATTACK = "none", "PGD-20"
WATCHED = {
    "selection_pgd_robust_accuracy": "robust accuracy",
    "selection_natural_accuracy": "natural accuracy",
    "selection_pgd_perturbation_stability": "perturbation stability",
}
"""Columns of the histories and what they are."""
USUAL = 6
"""Lambda of TRADES before it is tuned."""


def outcomes(results: Results, attack: str = ATTACK) -> NDArray[np.bool_]:
    """Return natural, robust and stable for all trainings of one setting, ``[trainings, images, 3]``.

    Args:
        results: evaluations that differ in nothing but the repetition of the training.
        attack: label of the attack.
    """
    frames = [
        under_attack(run.one(attack=CLEAN), run.one(attack=attack)) for _, run in results.groups("evaluation")
    ]
    return np.stack([frame[list(METRICS)].to_numpy(dtype=bool) for frame in frames])


def joint(settings: list[NDArray[np.bool_]], metric: str) -> Estimate:
    """Return one share in percent for each of several settings, over the same resamples of images and repetitions."""
    column = METRICS.index(metric)
    stacked = np.stack([runs[:, :, column] for runs in settings], axis=-1)
    return bootstrap_means_over_seeds(100.0 * stacked)


@dataclass(frozen=True)
class Grid:
    """One share by width and weight of the robust loss.

    Attributes:
        strengths: lambdas in ascending order.
        accuracies: in percent, ``[widths, lambdas]``, widths in ascending order.
    """

    strengths: list[float]
    accuracies: Estimate

    def at(self, strength: float) -> int:
        """Return the column of a lambda."""
        return self.strengths.index(strength)

    def averaged(self) -> Grid:
        """Return the averages over lambda, ``[widths, 1]``."""
        return Grid([float("nan")], self.accuracies.map(lambda table: table.mean(axis=1, keepdims=True)))


def grid_of(results: Results, metric: str) -> Grid:
    """Return one share of one defence by width and lambda; trainings and images are resampled for all at once."""
    widths, strengths = sorted(results.values("width")), sorted(results.values("strength"))
    settings = [
        outcomes(results.where(width=width, strength=strength)) for width in widths for strength in strengths
    ]
    flat = joint(settings, metric)
    return Grid(strengths, flat.map(lambda each: each.reshape(len(widths), len(strengths))))


def withstands(results: Results, attack: str, radius: float) -> pd.DataFrame:
    """Return whether each image withstands each start of an attack: a row per sample, a column per start."""
    starts = {key: robust_at(found, radius) for key, found in results.where(attack=attack).groups("start")}
    return pd.concat(starts, axis=1, join="inner")


def over_starts(hits: pd.DataFrame) -> Interval:
    """Return the robust accuracy in percent, the mean over starts, with its interval over images."""
    images = np.repeat(np.arange(len(hits)), hits.shape[1])
    return share(hits.to_numpy(dtype=bool).ravel(), clusters=images).scaled(100)


def radius_of(results: Results) -> float:
    """Return the one radius that the attacks were run at."""
    (radius,) = radii(results)
    return radius


def spread(values: NDArray[np.float64]) -> float:
    """Return the standard deviation over repetitions; NaN for a single one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def histories(inputs: ArtefactInputs, column: str, **labels: object) -> NDArray[np.float64]:
    """Return a column of the training histories of one setting, ``[trainings, epochs]``."""
    return np.stack([model.history[column].to_numpy(dtype=float) for model in inputs.models_where(**labels)])


def chosen_epoch(model: TrainedModel) -> int:
    """Return the position of the watched epoch with the highest robust accuracy."""
    return int(np.nanargmax(model.history["selection_pgd_robust_accuracy"].to_numpy(dtype=float)))
