"""What was observed: one evaluation's rows, addressed by radius, step scheme and perturbation.

The names of the procedures in the work's configuration are built here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from gauntlet.reporting.inputs import ArtefactInputs, EvaluationResult

NOISES = ("gauss", "unif", "bound")
STEPS = (1, 2, 4, 8, 16)
GRADIENT = tuple(str(steps) for steps in STEPS)
SEVEN = ("unif", "bound", *GRADIENT)
"""The perturbations that the accuracies of Tables 4.3 and 4.4 average over."""
NINE = ("clean", *NOISES, *GRADIENT)
"""Every version of an image that section 4.2.2 compares, in the order of the figures."""

PERTURBATION_LABELS = {
    "clean": "clean", "gauss": "Gauss", "unif": "uniform", "bound": "boundary",
    **{str(steps): f"{steps} step{'s' if steps > 1 else ''}" for steps in STEPS},
}  # fmt: skip
NORM_SYMBOLS = {"linf": r"$\ell_\infty$", "l2": r"$\ell_2$", "l1": r"$\ell_1$"}


class Scheme(NamedTuple):
    """How the step lengths decay, and whether a tenth of every step is random (Algorithm 4)."""

    decay: str
    randomized: bool

    def __str__(self) -> str:
        """Write the scheme for a legend or a table."""
        return f"{self.decay}, {'randomised' if self.randomized else 'deterministic'}"


HARMONIC = Scheme("harmonic", False)
SCHEMES = tuple(
    Scheme(decay, randomized) for decay in ("harmonic", "geometric") for randomized in (False, True)
)
"""The four schemes of Tables 4.3 to 4.6."""
ALL_SCHEMES = tuple(
    Scheme(decay, randomized)
    for decay in ("constant", "harmonic", "geometric")
    for randomized in (False, True)
)


def procedure(radius: str, perturbation: str, scheme: Scheme = HARMONIC) -> str:
    """Name the procedure that makes one perturbed version of every image."""
    if perturbation == "clean":
        return "clean"
    if perturbation in NOISES:
        return f"{radius}-{perturbation}"
    return f"{radius}-{scheme.decay}-{'rand' if scheme.randomized else 'det'}-{perturbation}"


class Observations:
    """One evaluation's columns as arrays over images.

    Args:
        result: the evaluation; its samples are images, each with one row per procedure.
    """

    def __init__(self, result: EvaluationResult) -> None:
        self.result = result
        self._pivots: dict[str, pd.DataFrame] = {}

    def __len__(self) -> int:
        """Return the number of images."""
        return self.result.frame["index"].nunique()

    def values(
        self, column: str, radius: str, perturbations: Iterable[str], scheme: Scheme = HARMONIC
    ) -> np.ndarray:
        """Return a column for several perturbations: float64 ``[images, perturbations]``."""
        if column not in self._pivots:
            self._pivots[column] = self.result.frame.pivot(index="index", columns="procedure", values=column)  # noqa: PD010
        names = [procedure(radius, perturbation, scheme) for perturbation in perturbations]
        return self._pivots[column][names].to_numpy(dtype=float)

    def pooled(
        self, column: str, radius: str, perturbations: Sequence[str], schemes: Iterable[Scheme] = SCHEMES
    ) -> np.ndarray:
        """Return a column over several schemes side by side: ``[images, schemes * perturbations]``."""
        return np.concatenate(
            [self.values(column, radius, perturbations, scheme) for scheme in schemes], axis=1
        )

    def top(self, k: int, radius: str, perturbations: Iterable[str], scheme: Scheme = HARMONIC) -> np.ndarray:
        """Say, as 0 or 1, for which images fewer than ``k`` classes are more likely than the true one."""
        return (self.values("rank", radius, perturbations, scheme) < k).astype(float)

    def eps(self, radius: str) -> float:
        """Return the number behind a radius' name."""
        return float(self.result.specification["procedures"][procedure(radius, "16")]["eps"])

    def norm(self, radius: str) -> str:
        """Return the norm of a radius."""
        return str(self.result.specification["procedures"][procedure(radius, "16")]["norm"])

    def has(self, radius: str) -> bool:
        """Say whether the model was attacked at a radius."""
        return procedure(radius, "16") in self.result.specification["procedures"]

    @property
    def dataset(self) -> str:
        """The name of the data set."""
        return str(self.result.specification["dataset"])


def observe(inputs: ArtefactInputs, name: str) -> Observations:
    """Return the observations of one evaluation."""
    return Observations(inputs.evaluations[name])


def number(eps: float) -> str:
    """Write a radius as the work does: in 255ths where that is a small whole number, else with 4 digits."""
    steps = eps * 255
    if abs(steps - round(steps)) < 1e-6 and 0 < round(steps) < 128:
        return f"{round(steps)}/255"
    return f"{eps:.4g}"


def radius_label(observations: Observations, radius: str) -> str:
    """Write norm and radius for a heading, such as ``l2, eps = 2.209 (T)``."""
    rule = {"volume": " ($T$)", "nested": r" ($\bar{T}$)"}.get(radius.partition("-")[2], "")
    return (
        f"{NORM_SYMBOLS[observations.norm(radius)]}, $\\epsilon$ = {number(observations.eps(radius))}{rule}"
    )


def provenance(observations: Observations) -> str:
    """Say how many images of which data set an artefact shows."""
    return f"{len(observations)} correctly classified images of {observations.dataset}"
