"""The printed tables of chapter 5 as evaluations and trainings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gauntlet.analysis.inputs import ArtefactInputs, load_inputs
from gauntlet.analysis.results import SAMPLE, EvaluationTable, Results
from gauntlet.configuration import Catalogue
from gauntlet.configuration.specifications import artefact_specification, claim_specification

FEW = 2_000
"""Images, in place of the printed 10,000."""
EPS = 8 / 255
ATTACKS = {"pgd": "PGD", "cw": "C&W", "fab": "FAB", "square": "Square"}
TABLES = Path(__file__).parents[5] / "config" / "published" / "chen2021"
HOURS = {1: 12, 5: 20, 10: 32}
"""Printed GPU hours of a training by width; a thin network takes 3, so that six take the printed 18."""


@dataclass(frozen=True)
class Print:
    """The printed tables as evaluations; what is not printed is made up.

    Attributes:
        images: how many there are.
        epochs: of each training; the learning rate drops after the third quarter.
        widths: whose printed numbers a width has.
        strengths: whose printed numbers a lambda has, at every width.
        attacks: whose printed numbers an attack has.
        adjusted: what WAR loses against the printed robust accuracy, in points.
        lambdas: by width, the lambda that WAR ends with.
        at_start: natural accuracy, robust accuracy and stability in percent after the first epoch.
        before_drop: the same just before the learning rate drops.
        after_drop: the same just after.
        at_end: the same after the last epoch.
        hours: by width, of a training.
        short: what shorter steps leave more, in points.
        exchanged: whether networks under AutoAttack have each other's numbers.
        losses: by column of the history, the last value of the narrowest and the widest network.
    """

    images: int = FEW
    epochs: int = 100
    widths: Mapping[int, int] = field(default_factory=dict)
    strengths: Mapping[float, float] = field(default_factory=dict)
    attacks: Mapping[str, str] = field(default_factory=dict)
    adjusted: float = 0.0
    short: float = 2.0
    exchanged: bool = False
    lambdas: Mapping[int, float] = field(default_factory=lambda: {1: 9.12, 5: 14.37, 10: 16.43})
    at_start: tuple[float, float, float] = (40, 30, 75)
    before_drop: tuple[float, float, float] = (80, 50, 66)
    after_drop: tuple[float, float, float] = (84, 55, 67)
    at_end: tuple[float, float, float] = (84.5, 51, 62)
    hours: Mapping[int, float] = field(default_factory=lambda: HOURS)
    losses: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: {
            "natural_loss": (0.7, 0.4),
            "robust_loss": (0.05, 0.08),
            "local_lipschitz": (1.0, 2.0),
        }
    )

    def evaluation(self, name: str) -> dict[str, pd.DataFrame]:
        """Return the rows of each procedure of an evaluation."""
        kind, *parts = name.split("-")
        make = {
            "grid": self._grid,
            "attacks": self._attacks,
            "width": self._adjusted,
            "step": self._step_wise,
            "auto": self._auto_attack,
        }[kind]
        return make(*parts)

    def model(self, name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Return history and manifest of a network; repetitions differ by a hundredth."""
        numbers = [float(part) for part in name.split("-") if part.replace(".", "").isdigit()]
        width, repeat = int(numbers[0]), numbers[-1] if len(numbers) > 1 else 0.0
        hours = 3.0 if "thin" in name else self.hours.get(width, 12)
        epochs = np.arange(1, self.epochs + 1)
        history: dict[str, Any] = {"epoch": epochs, "seconds": 3600.0 * hours / self.epochs}
        share = {1: 0.0, 5: 0.5, 10: 1.0}.get(width, 0.2)
        for column, (narrow, wide) in self.losses.items():
            last = narrow + share * (wide - narrow)
            history[column] = last * np.linspace(2, 1, self.epochs) * (1 + repeat / 100)
        history["loss_ratio"] = 30.0
        history["strength"] = np.linspace(0, self.lambdas.get(width, 6) * (1 + repeat / 100), self.epochs)
        known = np.array([1, 0.74 * self.epochs, 0.77 * self.epochs, self.epochs])
        points = np.array([self.at_start, self.before_drop, self.after_drop, self.at_end]) / 100
        for number, column in enumerate(("natural", "pgd_robust", "stability")):
            name = f"selection_{column}_accuracy" if number < 2 else "selection_pgd_perturbation_stability"
            history[name] = np.interp(epochs, known, points[:, number]) + share / 1000
        manifest = {"peak_memory_mb": 1024, "device": "cuda", "training_images": 50_000}
        return pd.DataFrame(history), {**manifest, "specification": {"defence": {"target_ratio": 30.0}}}

    def _grid(self, family: str, width: str, strength: str, repeat: str) -> dict[str, pd.DataFrame]:
        defence = {"trades": "TRADES", "generalized": "AT (generalized)"}[family]
        printed = cell(
            defence,
            self.widths.get(int(width), int(width)),
            self.strengths.get(float(strength), float(strength)),
        )
        natural, robust, stable = (
            printed[name] for name in ("natural_accuracy", "robust_accuracy", "perturbation_stability")
        )
        return predictions(self.images, natural, robust, stable, shift=(int(repeat) - 1) * 0.05)

    def _adjusted(self, _: str, width: str, repeat: str) -> dict[str, pd.DataFrame]:
        rows = printed_table("5_3")
        rows = rows[(rows["model"] == f"WRN-34-{self.widths.get(int(width), int(width))}")]
        rows = rows[(rows["tuning"] == "WAR") & (rows["metric"] == "robust_accuracy_pgd20")]
        robust = rows["value"].item() - self.adjusted
        return predictions(self.images, 82.0, robust, robust + 14, shift=(int(repeat) - 1) * 0.05)

    def _step_wise(self, _: str, width: str) -> dict[str, pd.DataFrame]:
        usual = predictions(self.images, 84.0, 54.0, 67.0)
        return {**usual, "short": predictions(self.images, 84.0, 54.0 + self.short, 67.0 + self.short)["pgd"]}

    def _attacks(self, kind: str, size: str, strength: str) -> dict[str, pd.DataFrame]:
        architecture, letter = ("DenseNet-BC-40", "k") if kind == "dense" else ("WRN-34", "w")
        robust = under_attacks(
            "CIFAR-100" if kind == "cifar100" else "CIFAR-10",
            architecture,
            f"{letter}={self.widths.get(int(size), int(size))}",
            self.strengths.get(float(strength), float(strength)),
        )
        made = {}
        for key, attack in ATTACKS.items():
            value = robust[self.attacks.get(attack, attack)]
            rows = predictions(self.images, 90.0, value, value + 5)["pgd"]
            for start in (1, 2, 3):
                made[f"{key}-{start}"] = rows
        return made

    def _auto_attack(self, *training: str) -> dict[str, pd.DataFrame]:
        key = "-".join(training[1:])
        model = {"unlabeled-10": "WRN-28-10", "unlabeled-20": "WRN-28-20"}.get(key, "WRN-34-10")
        if self.exchanged:
            model = {"WRN-28-10": "WRN-28-20", "WRN-28-20": "WRN-28-10"}.get(model, model)
        defence = "TRADES" if ("trades" in key) != self.exchanged and model == "WRN-34-10" else "WAR"
        rows = printed_table("5_4")
        robust = rows[(rows["defence"] == defence) & (rows["model"] == model)]["value"].item()
        return {"auto-attack": predictions(self.images, 90.0, robust, robust)["pgd"]}

    def but(self, **changes: Any) -> Print:
        """Return the print with some fields replaced."""
        return replace(self, **changes)


@cache
def predictions(
    images: int, natural: float, robust: float, stable: float, shift: float = 0.0
) -> dict[str, pd.DataFrame]:
    """Return a clean pass and an attack with these shares in percent; images stand in one order for all networks."""
    position = (np.arange(images) + 0.5) / images * 100
    correct, withstands = position < natural + shift, position < robust + shift
    held = withstands | (position > 100 - (stable - robust))
    before = np.where(correct, 0, 1)
    after = np.where(held, before, np.where(correct, 1, 2))
    shared = {"index": np.arange(images), "label": 0, "target": -1, "correct": correct}
    attacked = {"prediction": after, "success": after != 0, "iterations": 20}
    distance = {"linf": np.where(after != 0, EPS / 2, np.inf)}
    return {
        "clean": pd.DataFrame({**shared, "prediction": before}),
        "pgd": pd.DataFrame({**shared, **attacked, **distance}),
    }


@cache
def samples(images: int) -> pd.MultiIndex:
    """Return the index of the samples, one for all evaluations."""
    return pd.MultiIndex.from_product([np.arange(images), [-1]], names=SAMPLE)


@dataclass(frozen=True)
class InMemory(EvaluationTable):
    """The table of an evaluation of the print."""

    made: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def rows(self, procedure: str) -> pd.DataFrame:
        """Return the rows of a procedure."""
        return self.made[procedure]

    def samples(self, procedure: str) -> pd.MultiIndex:
        """Return the samples of a procedure."""
        return samples(len(self.made[procedure]))

    @property
    def specification(self) -> dict[str, Any]:
        """The radius of each procedure."""
        return {"dataset": "printed", "procedures": {key: {"eps": EPS} for key in self.made}}


@pytest.fixture
def inputs_of(
    work: str, catalogues: Callable[[str], Catalogue]
) -> Callable[[str, Print, str], ArtefactInputs]:
    """Return a function that builds the inputs of an artefact or a claim as the common one does, but in memory.

    Table 5.1 rests on 99 evaluations, which take long to write and to read for every world.
    """

    def build(name: str, world: Print, scale: str) -> ArtefactInputs:
        kind = artefact_specification if name.startswith(("table-", "figure-")) else claim_specification
        spec = kind(catalogues(scale), work, name)
        rows = {evaluation: world.evaluation(evaluation) for evaluation in spec["evaluations"]}
        for evaluation, entry in spec["evaluations"].items():
            entry["file"] = evaluation
            entry["procedures"] = {key: entry["procedures"][key] for key in rows[evaluation]}
        for model, entry in spec["models"].items():
            entry["folder"] = model
        inputs = load_inputs(spec)
        tables = {evaluation: InMemory(Path(), made=rows[evaluation]) for evaluation in rows}
        inputs = replace(inputs, results=Results(inputs.results.procedures, tables))
        for model in inputs.models:
            history, manifest = world.model(model.name)
            vars(model).update(history=history, manifest=manifest)
        return inputs

    return build


@cache
def printed_table(number: str) -> pd.DataFrame:
    """Return a printed table."""
    return pd.read_csv(TABLES / f"table_{number}.csv")


@cache
def cell(defence: str, width: int, strength: float) -> pd.Series:
    """Return the numbers of Table 5.1 for a network, by metric."""
    rows = printed_table("5_1")
    rows = rows[(rows["defence"] == defence) & (rows["widen_factor"] == width)]
    return rows[np.isclose(rows["lambda"], strength)].set_index("metric")["value"]


@cache
def under_attacks(data: str, architecture: str, width: str, strength: float) -> pd.Series:
    """Return the robust accuracies of Table 5.2 for a network, by attack."""
    rows = printed_table("5_2")
    rows = rows[(rows["metric"] == "robust_accuracy") & (rows["lambda"] == strength)]
    rows = rows[(rows["dataset"] == data) & (rows["architecture"] == architecture) & (rows["width"] == width)]
    return rows.set_index("attack")["value"]


@pytest.fixture(scope="module")
def work() -> str:
    """The work whose chapter the folder is named after."""
    return "chen2021"


@pytest.fixture
def printed() -> Print:
    """The tables as printed, for as many images as most checks and the printed digits of tables need."""
    return Print()
