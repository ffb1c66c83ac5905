"""Columns of the tables of chapter 5: attacks with the restarts that they have at this scale, and what they found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gauntlet.analysis import robustness
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import Verdict, all_of, not_testable

NORMS = ("linf", "l2", "l1", "l0")
OURS = {"linf": "PDPGD", "l2": "PDGD", "l1": "PDPGD", "l0": "PDPGD"}
"""The primal-dual attack of each norm."""


@dataclass(frozen=True)
class Column:
    """A column of the tables.

    Attributes:
        name: as printed, such as PGD-10.
        norm: the norm that is bounded or minimized.
        attack: label of the attack's procedures.
        restarts: how many it has at this scale; None for an attack that has none.
        printed: whether the work's tables have it.
    """

    name: str
    norm: str
    attack: str
    restarts: int | None = None
    printed: bool = True

    def of(self, results: Results) -> Results:
        """Return the procedures of the column; none if the attack was not run at this scale."""
        return results.where(norm=self.norm, attack=self.attack)

    def as_run(self, results: Results) -> str:
        """Return the attack with the restarts or iterations that it had here; the printed name if it was not run."""
        procedure = next(self.of(results).each(), None)
        if procedure is None:
            return self.name
        if self.restarts:
            return f"{self.attack}, {self.restarts} restart{'s' if self.restarts > 1 else ''}"
        used = procedure.settings
        inner = used.get("settings", {})
        steps, searches = used.get("steps", inner.get("steps")), inner.get("binary_search_steps")
        times = f"{searches} × " if searches else ""
        return f"{self.attack}, {times}{steps:,} iterations" if steps else self.attack

    def sizes(self, results: Results) -> NDArray[np.float64]:
        """Return each image's smallest perturbation, ``[N]``; l0 counts pixels.

        NaN for images that are misclassified anyway, infinite for those that the attack failed on.
        """
        found = robustness.distances(self.of(results), restarts=self.restarts)
        return found.where(results.correct).to_numpy()

    def robust(self, results: Results, radii: Sequence[float]) -> NDArray[np.bool_]:
        """Return whether each image withstands the attack at each radius, ``[N, radii]``."""
        return robustness.robust_accuracies(self.of(results), radii, restarts=self.restarts).to_numpy()


def columns_of(inputs: ArtefactInputs, norm: str) -> list[Column]:
    """Return the columns of the tables of robust accuracies."""
    return [Column(name, norm, **entry) for name, entry in inputs.settings["columns"][norm].items()]


def column(inputs: ArtefactInputs, norm: str, name: str) -> Column:
    """Return one column of the tables."""
    return Column(name, norm, **inputs.settings["columns"][norm][name])


def minimizers_of(inputs: ArtefactInputs, norm: str) -> list[Column]:
    """Return the columns of the tables of mean norms: attacks that minimize, with all their restarts."""
    return [column(inputs, norm, name) for name in inputs.settings["means"][norm]]


def run_of(columns: Sequence[Column], results: Results) -> list[Column]:
    """Return the columns whose attack was run at this scale."""
    return [each for each in columns if len(each.of(results))]


def radii_of(results: Results, norm: str) -> list[float]:
    """Return the radii of the tables, ascending: those that attacks with a fixed budget were run at."""
    return robustness.radii(results.where(norm=norm, attack="Pixel" if norm == "l0" else "PGD"))


def title(results: Results, norm: str) -> str:
    """Return data set, model and norm, for a verdict."""
    return f"{results.label('data')} {results.label('model')}, {norm}"


def models_of(inputs: ArtefactInputs, **labels: str | list[str]) -> list[Results]:
    """Return the results of each data set and model with these labels, in the order of the configuration."""
    return [results for _, results in inputs.results.where(**labels).groups("data", "model")]


def sizes_of(results: Results, columns: Sequence[Column]) -> NDArray[np.float64]:
    """Return the sizes that several attacks found, ``[N, columns]``."""
    return np.stack([each.sizes(results) for each in columns], 1)


def samples_text(results: Results) -> str:
    """Return data set and number of images, for captions."""
    return f"at this scale {results.label('dataset')}, the first {len(results.correct)} test images"


def left_out(inputs: ArtefactInputs, results: Results) -> tuple[str, ...]:
    """Return a note on the attacks that were not run at this scale, if there are any."""
    absent = {
        each.attack for norm in NORMS for each in minimizers_of(inputs, norm) if not len(each.of(results))
    }
    return (f"Left out at this scale: {', '.join(sorted(absent))}.",) if absent else ()


def with_rivals(verdict: Verdict, columns: Sequence[Column], results: Results) -> Verdict:
    """Return the verdict on a ranking; without one of its rivals it is no ranking and stays open at most."""
    absent = [each.name for each in columns if not len(each.of(results))]
    if not absent:
        return verdict
    return all_of(verdict, not_testable(f"Without {', '.join(absent)}, not run at this scale."))
