"""What the attacks of chapter 5 found: sizes of perturbations, and which images stay correctly classified.

Source: matyasko2020, section 5.4 (columns of the tables, robust accuracy, mean norm).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from gauntlet.reporting.inputs import ArtefactInputs, EvaluationResult

NORMS = ("linf", "l2", "l1", "l0")
DATASETS = {"mnist": "MNIST", "cifar": "CIFAR-10"}
KINDS = {"plain": "plain", "linf-at": "linf-AT", "l2-at": "l2-AT"}


@dataclass(frozen=True)
class Attack:
    """An attack of the tables.

    Attributes:
        name: as the work prints it.
        key: its procedures are named ``<norm>-<key>``; those of attacks in a ball go on with the radius' number
            and the divisor of the step size.
        restarts: the printed numbers of restarts, each a column of its own; empty for attacks that have none.
        ladder: the setting that says how many restarts each of them means at this scale.
        in_ball: whether each radius has runs of its own; other attacks minimize the norm.
        printed: whether the work's tables have it.
    """

    name: str
    key: str
    restarts: tuple[int, ...] = ()
    ladder: Literal["ladder", "ladder-daa"] = "ladder"
    in_ball: bool = False
    printed: bool = True


@dataclass(frozen=True)
class Column:
    """A column of the tables of robust accuracies: an attack with a number of restarts."""

    attack: Attack
    restarts: int | None

    @property
    def label(self) -> str:
        """Such as DF or PGD-10."""
        return self.attack.name if self.restarts is None else f"{self.attack.name}-{self.restarts}"


_THREE = (1, 10, 100)
_DF, _BB = Attack("DF", "df"), Attack("B&B", "bb")
_PGD, _FAB = Attack("PGD", "pgd", _THREE, in_ball=True), Attack("FAB", "fab", _THREE)
_PDPGD = Attack("PDPGD", "pdpgd", _THREE)
ATTACKS: dict[str, tuple[Attack, ...]] = {
    "linf": (_DF, _BB, Attack("DAA", "daa", (1, 50), "ladder-daa", in_ball=True), _PGD, _FAB, _PDPGD),
    "l2": (
        _DF,
        Attack("C&W", "cw"),
        Attack("DDN", "ddn"),
        _BB,
        _PGD,
        Attack("PGD, margin loss", "margin", in_ball=True, printed=False),
        _FAB,
        Attack("PDGD", "pdgd", _THREE),
    ),
    "l1": (Attack("SparseFool", "sf"), Attack("EAD", "ead"), _BB, _PGD, _FAB, _PDPGD),
    "l0": (Attack("JSMA", "jsma"), Attack("Pixel", "pixel", in_ball=True), _BB, _PDPGD),
}
"""By norm, the attacks in the order of the tables."""


def columns_of(norm: str) -> list[Column]:
    """Return the columns of the tables of robust accuracies."""
    return [
        Column(attack, number) for attack in ATTACKS[norm] for number in (attack.restarts or (None,))
    ]  # fmt: skip


def minimizers_of(norm: str) -> list[Column]:
    """Return the columns of the tables of mean norms: attacks that minimize, with all their restarts."""
    return [
        Column(attack, attack.restarts[-1] if attack.restarts else None)
        for attack in ATTACKS[norm]
        if not attack.in_ball
    ]


def column_named(norm: str, label: str) -> Column:
    """Return the column of a label, such as FAB-10."""
    return next(column for column in columns_of(norm) if column.label == label)


@dataclass(frozen=True)
class Victim:
    """One model under all attacks.

    Attributes:
        name: ``<data set>-<kind>``, as its evaluations are named.
        minimal: the attacks that minimize the norm.
        fixed: the attacks in a ball, None where an artefact does without them.
        ladders: by name, the number of restarts at this scale for each printed number.
    """

    name: str
    minimal: EvaluationResult
    fixed: EvaluationResult | None
    ladders: Mapping[str, Mapping[int, int]]

    @property
    def dataset(self) -> str:
        """The data set as the work calls it."""
        return DATASETS[self.name.split("-")[0]]

    @property
    def kind(self) -> str:
        """The model as the work calls it."""
        return KINDS[self.name.split("-", 1)[1]]

    @cached_property
    def correct(self) -> np.ndarray:
        """Whether each image is classified correctly without an attack, ``[N]``."""
        frame = self.minimal.frame
        first = frame["procedure"].iloc[0]
        return frame.loc[frame["procedure"] == first, "correct"].to_numpy(dtype=bool)

    def runs(self, norm: str, column: Column) -> bool:
        """Whether the attack was run at this scale."""
        if column.attack.in_ball:
            return self.fixed is not None and bool(self._in_ball(norm, column.attack))
        return f"{norm}-{column.attack.key}" in self.minimal.specification["procedures"]

    def restarts(self, column: Column) -> int | None:
        """Return the number of restarts that a column has at this scale."""
        return None if column.restarts is None else self.ladders[column.attack.ladder][column.restarts]

    def sizes(self, norm: str, column: Column) -> np.ndarray:
        """Return each image's smallest perturbation, ``[N]``; l0 counts pixels.

        NaN for images that are misclassified anyway, infinite for those that the attack failed on.
        """
        rows = self.minimal.rows(f"{norm}-{column.attack.key}")
        measured = "pixels" if norm == "l0" else norm
        restarts = self.restarts(column)
        if restarts is not None:
            measured = f"{norm}_after_{restarts}"
        found = rows["success"].to_numpy(dtype=bool)
        sizes = np.where(found, rows[measured].to_numpy(dtype=float), np.inf)
        return np.where(self.correct, sizes, np.nan)

    def radii(self, norm: str) -> list[float]:
        """The radii of the tables, ascending: those that attacks in a ball were run for."""
        attack = column_named(norm, "Pixel" if norm == "l0" else "PGD-1").attack
        return [radius for radius, _ in self._in_ball(norm, attack).values()]

    def stands(self, norm: str, column: Column) -> np.ndarray:
        """Whether each image withstands an attack at each radius, ``[N, radii]``.

        Of attacks in a ball the step size counts that leaves the fewest images, for each radius and number of
        restarts.
        """
        return self._standing(norm, column)[0]

    def divisors(self, norm: str, column: Column) -> list[float]:
        """Return, for each radius, what the radius was divided by for the step size; NaN without step sizes."""
        return self._standing(norm, column)[1]

    def _standing(self, norm: str, column: Column) -> tuple[np.ndarray, list[float]]:
        if not column.attack.in_ball:
            sizes, radii = self.sizes(norm, column), self.radii(norm)
            return self.correct[:, None] & ~(sizes[:, None] <= radii), [np.nan] * len(radii)
        standing, divisors = [], []
        for _, runs in self._in_ball(norm, column.attack).values():
            found = [(divisor, self._withstands(name, column)) for divisor, name in runs.items()]
            divisor, fewest = min(found, key=lambda run: run[1].sum())
            standing.append(fewest)
            divisors.append(divisor)
        return np.stack(standing, 1), divisors

    def _withstands(self, procedure: str, column: Column) -> np.ndarray:
        assert self.fixed is not None
        rows = self.fixed.rows(procedure)
        if column.attack.key == "pixel":
            return self.correct & ~rows["success"].to_numpy(dtype=bool)
        restart = rows["restart"].to_numpy()
        allowed = self.restarts(column) or 1
        return self.correct & ~((restart >= 0) & (restart <= allowed))

    def _in_ball(self, norm: str, attack: Attack) -> dict[int, tuple[float, dict[float, str]]]:
        """Return, by the radius' number, the radius and the procedures by the divisor of their step size."""
        assert self.fixed is not None
        found: dict[int, tuple[float, dict[float, str]]] = {}
        for name, entry in self.fixed.specification["procedures"].items():
            match = re.fullmatch(rf"{norm}-{attack.key}-(\d+)(?:-([\d.]+))?", name)
            if match:
                radius = float(entry["pixels"] if attack.key == "pixel" else entry["eps"])
                divisor = float(match[2]) if match[2] else np.nan
                found.setdefault(int(match[1]), (radius, {}))[1][divisor] = name
        return dict(sorted(found.items()))


def victims_of(inputs: ArtefactInputs) -> dict[str, Victim]:
    """Return the models of the evaluations ``<name>`` and, where given, ``<name>-fixed``, by name."""
    ladders = {name: _ladder(inputs.settings.get(name, ())) for name in ("ladder", "ladder-daa")}
    return {
        name: Victim(name, result, inputs.evaluations.get(f"{name}-fixed"), ladders)
        for name, result in inputs.evaluations.items()
        if not name.endswith("-fixed")
    }


def _ladder(rows: Any) -> dict[int, int]:
    return {int(printed): int(here) for printed, here in rows}


def mean_sizes(sizes: np.ndarray) -> np.ndarray:
    """Return each column's mean over the images that it succeeded on, ``[columns]``; infinite without any.

    Args:
        sizes: as `Victim.sizes` gives them, ``[N, columns]``.
    """
    found = np.isfinite(sizes)
    count = found.sum(0)
    total = np.where(found, sizes, 0.0).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.inf)
