"""Tables of chapter 2: Frank-Wolfe attacks (chen2021, section 2.5)."""

from __future__ import annotations

from typing import Any

import pandas as pd

from gauntlet.analysis.bootstrap import mean
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import Interval
from gauntlet.analysis.published import PARENTHESES, beside_published, one_column_per_metric
from gauntlet.analysis.queries import charged, queries_to_success, succeeded
from gauntlet.analysis.results import Results
from gauntlet.reporting.artefacts import Table
from gauntlet.works.chen2021.frank_wolfe.tuning import chosen, reported, settled
from gauntlet.works.chen2021.layout import (
    cell,
    of_successes,
    percentage,
    population,
    stand_in,
    with_names,
)

STEPS_METRICS = {
    "attack_success_rate": ("success rate, %", 1),
    "iterations_mean": ("iterations", 1),
    "iterations_mean_success": ("iterations (successes)", 1),
    "distortion_mean": ("distortion", 3),
}
QUERY_METRICS = {
    "attack_success_rate": ("success rate, %", 1),
    "time_mean": ("time, s", 2),
    "queries_mean_all": ("queries", 1),
    "queries_mean_success": ("queries (successes)", 1),
}


def white_box(inputs: ArtefactInputs) -> Table:
    """Tables 2.1, 2.2 and 2.4: targeted white-box attacks that stop at their first success."""
    tuning, unit = inputs.settings["tuning"], float(inputs.settings.get("unit", 1))
    rows, settings = [], []
    for method, grid in inputs.results.groups("method"):
        main, searched = settled(inputs, grid), chosen(grid, tuning)
        rows += _white_box_rows(main, method, tuning, unit)
        if len(grid) > 1:
            settings.append(f"{method}: {_written(main.settings)}")
        if main.label("procedure") != searched.label("procedure"):
            rows += _white_box_rows(searched, f"{method}, searched", tuning, unit)
            settings[-1] += f", searched {_written(searched.settings)}"
    images = len(inputs.results.correct) - tuning
    comparison = beside_published(pd.DataFrame(rows), with_names(inputs.published), on=["method", "metric"])
    scale = " in 1/255" if unit != 1 else ""
    return Table(
        comparison,
        f"Targeted linf attacks with all gradients, eps = {inputs.results.setting('eps'):.4g}; "
        f"{population(inputs.results, images)}. Distortion is the mean linf distance of the successes{scale}.",
        notes=(
            PARENTHESES,
            f"Settings are those that the print corresponds to, as far as it gives them away, else those with the most "
            f"successes and then the fewest iterations on {tuning} other images (searched): {'; '.join(settings)}.",
            "Iterations count failures as all steps; those of the successes alone stand beside. The average of "
            "FW starts at the first gradient, as printed; the row that starts at zero is the released code's.",
            *stand_in(inputs),
        ),
        layout=one_column_per_metric(comparison, rows=["method"], metrics=STEPS_METRICS),
    )


def _white_box_rows(attack: Results, method: str, tuning: int, unit: float) -> list[dict[str, Any]]:
    success = reported(attack, "success", tuning).astype(bool)
    iterations = reported(attack, "iterations", tuning)
    distortion = reported(attack, "linf", tuning).where(success)
    keys = {"method": method, "setting": attack.label("procedure")}
    return [
        cell(keys, "attack_success_rate", percentage(success)),
        cell(
            keys, "iterations_mean", mean(iterations.where(success, attack.settings["steps"]).astype(float))
        ),
        cell(keys, "iterations_mean_success", of_successes(iterations.where(success))),
        cell(keys, "distortion_mean", of_successes(distortion).scaled(unit)),
    ]


def _written(settings: Any) -> str:
    if settings["name"] == "frank_wolfe":
        return f"gamma {settings['step_size']:.2g}, beta {settings['momentum']:g}"
    return f"step of eps times {settings['step_size'] / settings['eps']:.2g}"


def table_2_3(inputs: ArtefactInputs) -> Table:
    """Table 2.3: targeted black-box attacks on MNIST and ImageNet."""
    rows = [
        row
        for data, results in inputs.results.groups("data")
        for row in _query_rows(results, {"dataset": data}, time=True)
    ]
    published = with_names(inputs.published)
    comparison = beside_published(pd.DataFrame(rows), published, on=["dataset", "method", "metric"])
    return Table(
        comparison,
        "Targeted linf black-box attacks that see logits. " + _populations(inputs),
        notes=(PARENTHESES, *_query_notes(inputs), "Times depend on the machine and on what else it did."),
        layout=one_column_per_metric(comparison, rows=["method"], metrics=QUERY_METRICS, group="dataset"),
    )


def table_2_5(inputs: ArtefactInputs) -> Table:
    """Table 2.5: targeted black-box attacks on an adversarially trained network."""
    rows = _query_rows(inputs.results, {}, time=False)
    comparison = beside_published(pd.DataFrame(rows), with_names(inputs.published), on=["method", "metric"])
    return Table(
        comparison,
        "Targeted linf black-box attacks on an adversarially trained network. " + _populations(inputs),
        notes=(
            PARENTHESES,
            *_query_notes(inputs),
            "The printed 16.8 % of FW, Gaussian, contradicts its query counts, which give 18.8 %.",
        ),
        layout=one_column_per_metric(comparison, rows=["method"], metrics=QUERY_METRICS),
    )


def _query_rows(results: Results, keys: dict[str, Any], *, time: bool) -> list[dict[str, Any]]:
    rows = []
    for method, attack in results.groups("method"):
        of, hits = {**keys, "method": method}, succeeded(attack)
        rows += [
            cell(of, "attack_success_rate", percentage(hits)),
            cell(of, "queries_mean_all", mean(charged(attack))),
            cell(of, "queries_mean_success", of_successes(queries_to_success(attack))),
        ]
        if time:
            seconds = Interval(attack.seconds / len(hits), float("nan"), float("nan"))
            rows.append(cell(of, "time_mean", seconds))
    return rows


def _populations(inputs: ArtefactInputs) -> str:
    parts = [
        f"{population(results, len(results.correct))}, eps = {results.setting('eps'):.4g}, at most "
        f"{results.setting('budget'):,} queries"
        for _, results in inputs.results.groups("evaluation")
    ]
    return "; ".join(parts) + "."


def _query_notes(inputs: ArtefactInputs) -> tuple[str, ...]:
    return (
        "A query is one evaluation of the network on one image. Failures are charged the limit; the pass "
        "that tests the image after a step is not charged. The settings of all methods were set by hand, on "
        "other images.",
        *stand_in(inputs),
    )
