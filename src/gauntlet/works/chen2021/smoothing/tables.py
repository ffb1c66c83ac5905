"""Tables of chapter 6: fast methods beside the slow ones, and what Backward Smoothing depends on (chen2021)."""

from __future__ import annotations

from typing import Any

import pandas as pd

from gauntlet.analysis.bootstrap import mean
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.published import PARENTHESES, beside_published, one_column_per_metric
from gauntlet.analysis.results import Results
from gauntlet.analysis.training_cost import training_cost
from gauntlet.reporting.artefacts import Table
from gauntlet.setting_types import parse_number
from gauntlet.works.chen2021.boundary import boundary_distances
from gauntlet.works.chen2021.layout import cell, percentage, stand_in
from gauntlet.works.chen2021.smoothing.accuracy import BACKWARD, PGD, by_setting, withstands

NATURAL, ROBUST, TIME, DISTANCE = "natural_accuracy", "robust_accuracy", "training_time", "adbd"
COLUMNS = {NATURAL: ("natural, %", 2), ROBUST: ("robust, %", 2), TIME: ("training, min", 1)}
CHOSEN = (
    "Each row is one training. Of its later epochs the one with the highest robust accuracy on the first of the test "
    "images was kept, as the work's code does; that flatters all rows."
)
TIMES = "Times are of the devices that the manifests name; the work's are of an RTX 2080 Ti."
ORIGIN = "printed number"
QUOTED = "Printed numbers that the work quotes from elsewhere are marked; claims ignore them."
SAME_METHOD = {f"{BACKWARD} (TRADES)": BACKWARD}
"""Names of a table for what other tables name otherwise."""


def comparison(inputs: ArtefactInputs) -> Table:
    """Tables 6.1 to 6.4, 6.7 to 6.9, 6.13 to 6.15: natural and robust accuracy of methods, and their training time."""
    ball = inputs.settings.get("ball", "usual")
    attacks = inputs.results.where(attack=PGD, ball=ball)
    rows = []
    for method, attack in attacks.groups("method"):
        rows += _accuracies({"defence": method}, attack) + _time({"defence": method}, attack, inputs)
    published = inputs.published.assign(defence=inputs.published["defence"].replace(SAME_METHOD))
    compared = _in_printed_order(
        beside_published(pd.DataFrame(rows), published, on=["defence", "metric"]), published, "defence"
    )
    if quoted := inputs.settings.get("quoted"):
        return _table(_with_origin(compared, quoted), attacks, ["defence", ORIGIN], inputs, QUOTED)
    return _table(compared, attacks, ["defence"], inputs)


def varied(inputs: ArtefactInputs) -> Table:
    """Tables 6.6 and 6.10 to 6.12: Backward Smoothing with one setting varied.

    A data set that was not trained on has the rows of its stand-in, as the note below the table tells.
    """
    column, usual = inputs.settings["column"], inputs.settings["usual"]
    stand_ins = inputs.settings.get("stand_ins", {})
    rows = []
    for data in inputs.published["dataset"].unique():
        found = inputs.results.where(data=stand_ins.get(data, data))
        for setting, attack in by_setting(found, usual).items():
            keys = {"dataset": data, column: setting}
            rows += _accuracies(keys, attack) + _time(keys, attack, inputs)
    on = ["dataset", column, "metric"]
    compared = beside_published(pd.DataFrame(rows), inputs.published, on=on)
    # As printed: a step size is a fraction.
    written = {float(parse_number(str(text))): str(text) for text in inputs.published[column].unique()}
    compared[column] = compared[column].map(written)
    for key in (column, "dataset"):
        compared = _in_printed_order(compared, inputs.published, key)
    return _table(compared, inputs.results.where(attack=PGD, ball="usual"), ["dataset", column], inputs)


def table_6_5(inputs: ArtefactInputs) -> Table:
    """Table 6.5: robust accuracy under AutoAttack and RayS, and the distance to the decision boundary."""
    rows = []
    for method, found in inputs.results.groups("method"):
        auto, rays = (found.one(attack=name) for name in ("AutoAttack", "RayS"))
        keys = {"defence": method}
        rows += [
            cell({**keys, "attack": "AutoAttack"}, ROBUST, percentage(withstands(auto))),
            cell({**keys, "attack": "RayS"}, ROBUST, percentage(withstands(rays))),
            cell({**keys, "attack": "RayS"}, DISTANCE, mean(boundary_distances(rays))),
        ]
    compared = beside_published(pd.DataFrame(rows), inputs.published, on=["defence", "attack", "metric"])
    compared = _with_origin(
        _in_printed_order(compared, inputs.published, "defence"), inputs.settings["quoted"]
    )
    return Table(
        compared,
        f"Robust accuracy in %, and average distance to the decision boundary (ADBD) in pixel scale; "
        f"{len(auto.rows)} test images and eps = {auto.label('radius'):.4g} for AutoAttack, {len(rays.rows)} images, "
        f"eps = {rays.label('radius'):.4g} and {rays.setting('budget'):,} queries for RayS.",
        notes=(
            PARENTHESES,
            CHOSEN,
            "AT without early stop is AT after its last epoch. Printed numbers that are those of public leaderboards "
            "are marked as quoted: they may be of other networks.",
            *stand_in(inputs),
        ),
        layout=one_column_per_metric(
            compared,
            rows=["defence", ORIGIN],
            metrics={ROBUST: ("robust, %", 2), DISTANCE: ("ADBD", 4)},
            group="attack",
        ),
    )


def _table(
    compared: pd.DataFrame, attacks: Results, keys: list[str], inputs: ArtefactInputs, note: str = ""
) -> Table:
    """Return the table of accuracies, and times where there are any."""
    timed = "" if compared.loc[compared["metric"] == TIME, "reproduced"].isna().all() else TIMES
    images, steps = len(next(attacks.each()).rows), attacks.setting("steps")
    return Table(
        compared,
        f"Accuracy in % on clean images and under PGD with {steps} steps, eps = {attacks.label('radius'):.4g}"
        f"{', and training time in minutes' if timed else ''}; {images} test images.",
        notes=(PARENTHESES, CHOSEN, *(each for each in (timed, note) if each), *stand_in(inputs)),
        layout=one_column_per_metric(compared, rows=keys, metrics=COLUMNS),
    )


def _with_origin(compared: pd.DataFrame, quoted: list[str]) -> pd.DataFrame:
    """Return the rows with the origin of their printed numbers: this work, or quoted from elsewhere."""
    return compared.assign(
        **{ORIGIN: ["quoted" if name in quoted else "this work" for name in compared["defence"]]}
    )


def _in_printed_order(compared: pd.DataFrame, published: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the rows in the order in which the printed table has the values of a column; others come last."""
    places = {str(value): place for place, value in enumerate(published[column].unique())}
    return compared.sort_values(
        column, key=lambda values: values.map(lambda each: places.get(str(each), len(places))), kind="stable"
    )


def _accuracies(keys: dict[str, Any], attack: Results) -> list[dict[str, Any]]:
    """Return natural and robust accuracy of one network."""
    return [
        cell(keys, NATURAL, percentage(attack.correct)),
        cell(keys, ROBUST, percentage(withstands(attack))),
    ]


def _time(keys: dict[str, Any], attack: Results, inputs: ArtefactInputs) -> list[dict[str, Any]]:
    """Return the minutes of a network's training, if the artefact reads trainings."""
    models = inputs.models_where(model=attack.label("model"))
    return [{**keys, "metric": TIME, "reproduced": training_cost(model).seconds / 60} for model in models]
