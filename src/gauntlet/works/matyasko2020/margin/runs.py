"""Rows of the tables of chapter 3: several trainings of one recipe, measured on the same images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gauntlet.analysis.bootstrap import Estimate, bootstrap_means_over_seeds
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.relative_robustness import relative_sizes
from gauntlet.analysis.results import Results

MLP, LENET = "MLP-1000-1000-1000", "LeNet-5"
NETWORKS = (MLP, LENET)
DEFENCES = {
    "none": "none",
    "dropout": "dropout",
    "AT": "adversarial training (FGSM)",
    "VAT": "virtual adversarial training",
    "margin_l1": "margin, l1",
    "margin_l2": "margin, squared l2",
    "margin_l2_plain": "margin, l2 (not in the work)",
}
"""Defences by their names in the published numbers, in the order of Table 3.1."""

ERROR, FGSM, RHO = "test_error", "adv_test_error", "rho_adv"
FGSM_IN_BOX, RHO_OF_SUCCESSES, FAILURES = "adv_test_error_in_box", "rho_adv_of_successes", "failures"
METRICS = (ERROR, FGSM, RHO, FGSM_IN_BOX, RHO_OF_SUCCESSES, FAILURES)


@dataclass(frozen=True)
class Recipe:
    """Trainings of one recipe.

    Attributes:
        results: of all of them; each has an evaluation of its own.
    """

    results: Results

    def label(self, name: str) -> str:
        """Return a label that all trainings share."""
        return str(self.results.label(name))

    @cached_property
    def runs(self) -> list[Results]:
        """The results of each training."""
        return [results for _, results in self.results.groups("evaluation")]

    def measured(self, metric: str) -> NDArray[np.float64]:
        """Return a metric of each training and image, ``[runs, images]``; NaN where the image does not count."""
        return np.stack([_of_one(results, metric) for results in self.runs])

    def estimate(self, metrics: Sequence[str] = METRICS) -> Estimate:
        """Return the means over trainings and images, both resampled, ``[metrics]``."""
        return bootstrap_means_over_seeds(np.stack([self.measured(metric) for metric in metrics], 2))

    def spread(self, metric: str) -> float:
        """Return the standard deviation of the metric over the trainings; NaN of a single one."""
        means = np.nanmean(self.measured(metric), 1)
        return float(means.std(ddof=1)) if len(means) > 1 else np.nan


def recipes(inputs: ArtefactInputs, *labels: str) -> Iterator[Recipe]:
    """Yield the recipes that the labels tell apart, in the order of the configuration."""
    for _, results in inputs.results.groups(*labels):
        yield Recipe(results)


def recipe(inputs: ArtefactInputs, **labels: object) -> Recipe | None:
    """Return the recipe with these labels; None if it was not trained at this scale."""
    found = inputs.results.where(**labels)
    return Recipe(found) if len(found) else None


def jointly(several: Sequence[Recipe], metric: str) -> Estimate:
    """Return a metric of several recipes, ``[recipes]``: the same trainings and images are drawn for all of them.

    Trainings of one number saw the same batches.
    """
    fewest = min(len(each.runs) for each in several)
    return bootstrap_means_over_seeds(np.stack([each.measured(metric)[:fewest] for each in several], 2))


def _of_one(results: Results, metric: str) -> NDArray[np.float64]:
    correct = results.correct.to_numpy()
    if metric == ERROR:
        return np.where(correct, 0.0, 100.0)
    if metric in (FGSM, FGSM_IN_BOX):
        rows = results.one(attack="FGSM" if metric == FGSM else "FGSM, in the box").rows
        return np.where(rows["prediction"] == rows["label"], 0.0, 100.0)
    attack = results.one(attack="DeepFool")
    found = attack.column("success").to_numpy(dtype=bool)
    if metric == FAILURES:
        return np.where(correct, np.where(found, 0.0, 100.0), np.nan)
    sizes = np.asarray(relative_sizes(attack, results.one(attack="none")), dtype=np.float64)
    return np.where(correct & (found | (metric == RHO)), sizes, np.nan)
