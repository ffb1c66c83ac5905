"""Chapter 6: checks support the printed tables, and none supports tables that deny its claim."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gauntlet.works.chen2021.smoothing import diagrams, figures, tables

IMAGES, FEW = 10_000, 2_000
"""The printed number of images, and what is enough for most checks."""
EPS, EPOCHS = 0.031, 20
DATA = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "tiny": "Tiny ImageNet"}
KEYS = {
    "at": "AT", "fast-at": "Fast AT", "fast-at-2": "Fast AT (2-step)", "grad-align": "Fast AT (GradAlign)",
    "trades": "TRADES", "fast-trades": "Fast TRADES", "fast-trades-2": "Fast TRADES (2-step)",
    "backward": "Backward Smoothing", "alone": "Backward Smoothing Alone", "true-logit": "Backward Smoothing (PGD)",
    "odi-pgd": "ODI (PGD)", "odi-trades": "ODI (TRADES)", "at-original": "AT (original, no early-stop)",
}  # fmt: skip
MAIN = {"CIFAR-10": "6_2", "CIFAR-100": "6_3", "Tiny ImageNet": "6_4"}
VARIED = {
    "step": ("6_6", "attack_step_size", "{}/255"), "gamma": ("6_11", "gamma", "{:.1f}"),
    "beta": ("6_12", "beta", "{:.1f}"),
}  # fmt: skip
RUNS = {
    "fast-at": [45.6, 45.6, 45.6, 45.6, 45.6, 45.6, 33.7, 33.7, 33.8],
    "fast-trades": [46.7, 46.8, 46.9, 47.0, 47.1, 47.2, 46.9, 47.0, 47.1],
    "backward": [52.4, 52.5, 52.6, 52.3, 52.5, 52.6, 52.4, 52.5, 52.6],
}
"""Robust accuracy of repeated trainings; with that of Table 6.2 those of Fast AT have the printed mean."""


@dataclass(frozen=True)
class Print:
    """The printed tables as evaluations; what is not printed is made up.

    Attributes:
        table: gives a printed table by number.
        images: how many there are.
        methods: whose printed numbers a method has, if not its own.
        settings: whose printed numbers a setting of Backward Smoothing has, by its kind and value.
        accuracies: natural and robust accuracy of an evaluation where they are not the printed ones.
        runs: robust accuracy of repeated trainings by key.
        lowest: smallest increment of a batch without random start.
        left: accuracy under attack on training images at its end.
        eigenvalues: largest eigenvalue at original, randomly perturbed and smoothed images.
    """

    table: Callable[[str], Mapping[str, float]]
    images: int = FEW
    methods: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[tuple[str, str], str] = field(default_factory=dict)
    accuracies: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    runs: Mapping[str, list[float]] = field(default_factory=lambda: RUNS)
    lowest: float = -2.0
    left: float = 0.01
    eigenvalues: tuple[float, float, float] = (3.0, 2.0, 1.0)

    def evaluation(self, name: str) -> tuple[pd.DataFrame, dict[str, Any], dict[str, np.ndarray]]:
        """Return the rows of an evaluation and its manifest."""
        kind, _, rest = name.partition("-")
        if kind == "wide":
            made, settings = self._wide(rest)
        else:
            natural, robust = self.accuracies.get(name) or self._accuracies(kind, rest)
            made, settings = attacked(self.images, natural, robust), {"eps": EPS, "steps": 100}
        procedure = {"wide": "rays" if rest.startswith("rays") else "auto-attack"}.get(kind, "pgd")
        frame = pd.DataFrame({"procedure": procedure, **made})
        specification = {"model": name, "dataset": "printed", "procedures": {procedure: settings}}
        return frame, {"specification": specification, "procedure_seconds": {procedure: 1.0}}, {}

    def model(self, name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Return history and manifest of a network; all epochs take as long."""
        _, kind, rest = name.split("-", 2)
        history: dict[str, Any] = {"epoch": np.arange(1, EPOCHS + 1)}
        history["seconds"] = 60 * self._minutes(kind, rest) / EPOCHS
        without = rest == "no-start"
        history["loss_increment"] = 0.4
        history["lowest_increment_at_end"] = np.linspace(0.3, self.lowest if without else 0.2, EPOCHS)
        history["selection_pgd_robust_accuracy"] = np.linspace(0.1, self.left if without else 0.5, EPOCHS)
        for column, value in zip(figures.POINTS, self.eigenvalues, strict=True):
            history[column] = value
        manifest = {"peak_memory_mb": 1024, "device": "cuda", "training_images": 50_000, "kept_epoch": EPOCHS}
        return pd.DataFrame(history), manifest

    def _accuracies(self, kind: str, rest: str) -> tuple[float, float]:
        """Return natural and robust accuracy of one network."""
        if kind == "repeat":
            key, _, repeat = rest.rpartition("-")
            return 82.0, self.runs[key][int(repeat) - 1]
        if kind == "points":
            return 82.38, self._cell("6_10", {"num_random_points": int(rest)}, "robust_accuracy")
        number, where = self._place(kind, rest)
        return tuple(self._cell(number, where, f"{name}_accuracy") for name in ("natural", "robust"))

    def _place(self, kind: str, rest: str) -> tuple[str, dict[str, Any]]:
        """Return the printed table and row of one network."""
        if kind == "varied":
            which, value, place = rest.split("-")
            number, column, form = VARIED[which]
            value = form.format(int(value) if "/" in form else float(value))
            return number, {"dataset": DATA[place], column: self.settings.get((which, value), value)}
        if kind in ("cyclic", "smaller", "larger"):
            number = {"cyclic": "6_7", "smaller": "6_13", "larger": "6_14"}[kind]
            return number, {"defence": self._method(rest)}
        key, _, place = rest.rpartition("-")
        method = self._method(key)
        if method.endswith("Alone"):
            return {"cifar10": "6_8", "cifar100": "6_9"}[place], {"defence": method}
        if kind == "start" or method in ("ODI (PGD)", "ODI (TRADES)", "Backward Smoothing (PGD)"):
            return "6_15", {
                "defence": {"Backward Smoothing": "Backward Smoothing (TRADES)"}.get(method, method)
            }
        if key == "backward" and self.settings:
            (which,) = {which for which, _ in self.settings}
            number, column, _ = VARIED[which]
            usual = {"step": "8/255", "gamma": "1.0", "beta": "10.0"}[which]
            return number, {"dataset": DATA[place], column: self.settings.get((which, usual), usual)}
        return MAIN[DATA[place]], {"defence": method}

    def _method(self, key: str) -> str:
        return self.methods.get(KEYS[key], KEYS[key])

    def _cell(self, number: str, where: dict[str, Any], metric: str) -> float:
        return self.table(number)[row(number, {**where, "metric": metric})]

    def _minutes(self, kind: str, rest: str) -> float:
        if kind == "points":
            return self._cell("6_10", {"num_random_points": int(rest)}, "training_time")
        if kind in ("repeat", "increment"):
            return 1.0
        number, where = self._place(kind, rest)
        return self._cell(number, where, "training_time")

    def _wide(self, row: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return columns and settings of an attack on a wide network; 85 % are right unperturbed."""
        rays, method = row.startswith("rays-"), self._method(row.removeprefix("rays-"))
        attack, images = ("RayS", 1000) if rays else ("AutoAttack", self.images)
        where = {"defence": method, "attack": attack}
        made = attacked(images, 85.0, self._cell("6_5", where, "robust_accuracy"))
        if rays:
            # Images that are fooled lie at half of the radius, the others so that the mean is the printed one.
            stays, fooled = ~made["success"] & made["correct"], made["success"] & made["correct"]
            total = self._cell("6_5", where, "adbd") * images - EPS / 2 * fooled.sum()
            made["best_linf"] = np.where(stays, total / stays.sum(), EPS / 2)
        return made, {"eps": EPS, "budget": 40_000}


def attacked(images: int, natural: float, robust: float) -> dict[str, Any]:
    """Return an attack that leaves these shares in percent; images stand in one order for all networks."""
    position = (np.arange(images) + 0.5) / images * 100
    correct = position < natural
    label = np.zeros(images, dtype=int)
    return {
        "index": np.arange(images), "label": label, "target": -1, "correct": correct,
        "prediction": np.where(position < robust, 0, 1), "success": position >= robust, "iterations": 100,
    }  # fmt: skip


@pytest.fixture(scope="module")
def printed(published: Callable[..., pd.DataFrame]) -> Print:
    """The tables as printed."""
    return Print(lambda number: printed_table(number, published))


READ: dict[str, dict[str, float]] = {}


def printed_table(number: str, published: Callable[..., pd.DataFrame]) -> dict[str, float]:
    """Return the numbers of a printed table by their row, read once; see `row`."""
    if number not in READ:
        rows = published(f"table_{number}.csv").astype(str).to_dict("records")
        READ[number] = {row(number, each): float(each["value"]) for each in rows}
    return READ[number]


def row(number: str, columns: Mapping[str, Any]) -> str:
    """Return what identifies a number of a table among others: the columns that are not the same throughout."""
    keys = [*VARYING.get(number, ["defence"]), "metric"]
    return " / ".join(str(columns[key]) for key in keys)


VARYING = {
    "6_5": ["defence", "attack"],
    "6_10": ["num_random_points"],
    **{number: ["dataset", column] for number, column, _ in VARIED.values()},
}


def swapped(one: str, two: str) -> dict[str, Any]:
    """Give two methods each other's numbers."""
    return {"methods": {one: two, two: one}}


BACKWARD = "Backward Smoothing"
STEADY = {**RUNS, "fast-at": RUNS["backward"]}

# By claim: what makes the printed tables deny it.
DENIED: dict[str, dict[str, Any]] = {
    "without-a-random-start-the-attack-lowers-the-loss": {"lowest": 0.1},
    "fast-at-is-unstable": {"runs": {**RUNS, "fast-at": [46.2, 46.3, 46.4] * 3}},
    "trades-leaves-fast-forms-far-behind": swapped("TRADES", "Fast TRADES"),
    "backward-smoothing-finds-flatter-points": {"eigenvalues": (3.0, 1.0, 2.0)},
    "backward-smoothing-is-the-most-robust-fast-method": swapped(BACKWARD, "Fast AT (2-step)"),
    "backward-smoothing-keeps-up-with-slow-methods": swapped(BACKWARD, "Fast TRADES"),
    "backward-smoothing-takes-a-third-of-the-time-of-trades": swapped(BACKWARD, "TRADES"),
    "backward-smoothing-is-below-trades-on-a-wide-network": swapped(BACKWARD, "TRADES"),
    "backward-smoothing-varies-less-than-fast-at": {
        "runs": {**RUNS, "backward": RUNS["fast-at"], "fast-at": [46.2, 46.3, 46.4] * 3}
    },
    "longer-steps-than-the-radius-collapse": {
        "settings": {("step", "12/255"): "8/255", ("step", "8/255"): "12/255"}
    },
    "cyclic-rates-keep-the-order": swapped(BACKWARD, "Fast TRADES (2-step)"),
    "cyclic-rates-keep-the-ratio-of-times": swapped(BACKWARD, "TRADES"),
    "the-start-alone-is-weaker-than-a-step": swapped(f"{BACKWARD} Alone", BACKWARD),
    "more-random-points-gain-little": {"accuracies": {"points-10": (82.38, 57.0)}},
    "the-size-of-random-points-matters-little": {"accuracies": {"varied-gamma-5-cifar10": (82.0, 47.0)}},
    "a-larger-beta-costs-natural-accuracy": {"settings": {("beta", "2.0"): "10.0", ("beta", "10.0"): "2.0"}},
    "a-smaller-radius-keeps-the-order": swapped(BACKWARD, "Fast AT (2-step)"),
    "a-larger-radius-sets-fast-methods-back": swapped(BACKWARD, "Fast AT (2-step)"),
    "starts-towards-random-answers-beat-diversified-ones": swapped("ODI (PGD)", f"{BACKWARD} (PGD)"),
}


CLOSE = ("cyclic-rates-keep-the-order",)
"""What fewer images than the printed number leave open."""


@pytest.mark.parametrize("name", DENIED)
def test_a_check_supports_its_claim_on_the_printed_tables(name, printed, inputs_of, verdict_of):
    world = replace(printed, images=IMAGES) if name in CLOSE else printed
    verdict = verdict_of(inputs_of(name, world, scale="full"))
    assert verdict.decision == "supported", verdict.reason


@pytest.mark.parametrize("name", DENIED)
def test_a_check_contradicts_its_claim_on_tables_that_deny_it(name, printed, inputs_of, verdict_of):
    verdict = verdict_of(inputs_of(name, replace(printed, **DENIED[name]), scale="full"))
    assert verdict.decision == "contradicted", verdict.reason


def test_every_claim_is_judged_on_the_print(catalogues):
    assert set(catalogues("full").works["chen2021"].chapters["smoothing"].claims) == set(DENIED)


COMPARED = {1: 8, 2: 24, 3: 24, 4: 21, 7: 21, 8: 6, 9: 6, 13: 24, 14: 24, 15: 12}
"""Numbers of each table of methods that a training here stands beside."""


@pytest.mark.parametrize("number", COMPARED)
def test_tables_of_methods_have_every_printed_cell_beside_ours(number, printed, inputs_of):
    frame = tables.comparison(inputs_of(f"table-6-{number}", printed, scale="full")).frame
    both = frame.dropna(subset=["published", "reproduced"])
    assert len(both) == COMPARED[number]
    # Tables 6.8, 6.9 and 6.15 print other numbers of Fast TRADES than Tables 6.2 and 6.3.
    same = both[(both["defence"] != "Fast TRADES") | (number not in (8, 9, 15))]
    assert same["difference"].abs().max() < 0.03


@pytest.mark.parametrize(("number", "cells"), [(6, 28), (10, 8), (11, 20), (12, 24)])
def test_tables_of_settings_have_every_printed_cell_beside_ours(number, cells, printed, inputs_of):
    table = tables.varied(inputs_of(f"table-6-{number}", printed, scale="full"))
    both = table.frame.dropna(subset=["published", "reproduced"])
    assert len(both) == cells
    assert both["difference"].abs().max() < 0.03
    column = {6: "attack_step_size", 10: "num_random_points", 11: "gamma", 12: "beta"}[number]
    order = inputs_of(f"table-6-{number}", printed, scale="full").published[column].astype(str).unique()
    assert table.layout[column].tolist()[: len(order)] == order.tolist()


def test_table_6_5_has_every_printed_cell_beside_ours(printed, inputs_of):
    frame = tables.table_6_5(inputs_of("table-6-5", printed, scale="full")).frame
    both = frame.dropna(subset=["published", "reproduced"])
    assert len(both) == 21
    assert both["difference"].abs().max() < 0.06


def test_the_quoted_method_is_not_reproduced(printed, inputs_of):
    frame = tables.comparison(inputs_of("table-6-7", printed, scale="full")).frame
    quoted = frame[frame[tables.ORIGIN] == "quoted"]
    assert quoted["defence"].unique().tolist() == ["Fast AT+"]
    assert quoted["reproduced"].isna().all() and quoted["published"].notna().all()


@pytest.mark.parametrize("number", [6, 11, 12])
def test_below_full_cifar10_stands_in_for_cifar100_and_the_note_says_so(number, printed, inputs_of):
    table = tables.varied(inputs_of(f"table-6-{number}", printed, scale="small"))
    ours = table.frame.dropna(subset="reproduced").set_index("dataset")["reproduced"]
    assert ours["CIFAR-100"].tolist() == ours["CIFAR-10"].tolist()
    assert any("stands in for" in note and "CIFAR-100" in note for note in table.notes)


def test_increments_are_drawn_for_each_training(printed, inputs_of):
    frame = figures.figure_6_1(inputs_of("figure-6-1", printed, scale="full")).frame
    ends = frame[frame["epoch"] == EPOCHS].set_index("series")
    assert ends["lowest_increment_at_end"].to_dict() == {
        "Fast AT, no random start": -2.0, "Fast AT": pytest.approx(0.2), "AT": pytest.approx(0.2)
    }  # fmt: skip
    assert ends.loc["Fast AT, no random start", "selection_pgd_robust_accuracy"] == pytest.approx(1.0)


def test_curvature_is_drawn_at_three_kinds_of_points(printed, inputs_of):
    figure = figures.figure_6_3(inputs_of("figure-6-3", printed, scale="full"))
    assert figure.frame.groupby("series")["curvature"].mean().to_dict() == {
        "original": 3.0, "randomly perturbed": 2.0, "Backward Smoothing": 1.0
    }  # fmt: skip
    assert f"the kept epoch, {EPOCHS}" in figure.caption


def test_spreads_show_ten_trainings_of_each_method_beside_the_printed_ones(printed, inputs_of):
    frame = figures.figure_6_4(inputs_of("figure-6-4", printed, scale="full")).frame
    assert frame.groupby("method").size().to_dict() == {
        "Fast AT": 10, "Fast TRADES": 10, "Backward Smoothing": 10
    }  # fmt: skip
    fast = frame[frame["method"] == "Fast AT"]
    assert fast["chosen_epoch"].mean() == pytest.approx(42.11, abs=0.05)
    assert fast["published_mean"].unique().tolist() == [42.11]


def test_the_sketch_leads_from_the_image_over_the_output_back_to_the_ball(printed, inputs_of):
    frame = diagrams.figure_6_2(inputs_of("figure-6-2", printed)).frame
    assert frame["to"].iloc[:-1].tolist() == frame["from"].iloc[1:].tolist()
