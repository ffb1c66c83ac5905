"""Tables and figures of chapter 2: Frank-Wolfe attacks (chen2021, section 2.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from gauntlet.reporting.artefacts import Figure, Table
from gauntlet.reporting.comparison import PARENTHESES, beside_published
from gauntlet.reporting.inputs import ArtefactInputs, EvaluationResult
from gauntlet.reporting.panels import draw_cdf
from gauntlet.reporting.statistics import Interval, mean
from gauntlet.reporting.style import new_figure, shared_legend
from gauntlet.works.chen2021.black_box.layout import mark_published_ends, one_column_per_metric
from gauntlet.works.chen2021.black_box.observations import (
    BLACK_BOX,
    WHITE_BOX,
    attack_name,
    charged,
    chosen_rows,
    found,
    observed,
    of_successes,
    percentage,
    procedures_of,
    provenance,
    settings,
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
ROLES = {"mnist": "MNIST", "imagenet": "ImageNet"}
"""What each evaluation of Table 2.3 stands for, by the end of its name."""


def cell(keys: dict[str, Any], metric: str, interval: Interval) -> dict[str, Any]:
    """Return one number of a table with its interval."""
    return {
        **keys, "metric": metric, "reproduced": interval.estimate, "ci_low": interval.low,
        "ci_high": interval.high,
    }  # fmt: skip


def with_names(published: pd.DataFrame) -> pd.DataFrame:
    """Give published rows the display names of their attacks; leave out cells that hold a dash in print."""
    published = published.dropna(subset="value")
    names = [
        attack_name(attack, variant)
        for attack, variant in zip(published["attack"], published["variant"], strict=True)
    ]
    return published.assign(method=names)


def white_box(inputs: ArtefactInputs) -> Table:
    """Tables 2.1, 2.2 and 2.4: targeted white-box attacks that stop at their first success."""
    result, tuning = inputs.evaluation(), int(inputs.settings["tuning"])
    unit = float(inputs.settings.get("unit", 1))
    rows, chosen = [], []
    images = 0
    for method, name in WHITE_BOX.items():
        procedure, outcome = chosen_rows(result, method, tuning)
        used, success = settings(result, procedure), outcome["success"].astype(bool)
        images = len(outcome)
        keys = {"method": name, "setting": procedure}
        taken = outcome["iterations"].where(success, used["steps"]).astype(float)
        rows += [
            cell(keys, "attack_success_rate", percentage(success.to_numpy())),
            cell(keys, "iterations_mean", mean(taken)),
            cell(keys, "iterations_mean_success", of_successes(outcome["iterations"].where(success))),
            cell(keys, "distortion_mean", of_successes(outcome["linf"].where(success)).scaled(unit)),
        ]
        if len(procedures_of(result, method)) > 1:
            momentum = f", beta {used['momentum']:g}" if used["name"] == "frank_wolfe" else ""
            share = used["step_size"] if used["name"] == "frank_wolfe" else used["step_size"] / used["eps"]
            letter = "gamma" if used["name"] == "frank_wolfe" else "step of eps times"
            chosen.append(f"{name}: {letter} {share:.2g}{momentum}")
    comparison = beside_published(pd.DataFrame(rows), with_names(inputs.published), on=["method", "metric"])
    eps = settings(result, "fgsm")["eps"]
    notes = [
        PARENTHESES,
        f"Each method's setting was chosen on {tuning} other images: {'; '.join(chosen)}.",
        "Iterations count failures as all steps; those of the successes alone stand beside. The average of "
        "FW starts at the first gradient, as printed; the row that starts at zero is the released code's.",
        *_stand_in(inputs),
    ]
    scale = " in 1/255" if unit != 1 else ""
    return Table(
        comparison,
        f"Targeted linf attacks with all gradients, eps = {eps:.4g}; {provenance(result, images)}. "
        f"Distortion is the mean linf distance of the successes{scale}.",
        notes=tuple(notes),
        layout=one_column_per_metric(comparison, rows=["method"], metrics=STEPS_METRICS),
    )


def _stand_in(inputs: ArtefactInputs) -> tuple[str, ...]:
    return (str(inputs.settings["stand_in"]),) if inputs.settings.get("stand_in") else ()


def table_2_3(inputs: ArtefactInputs) -> Table:
    """Table 2.3: targeted black-box attacks on MNIST and ImageNet."""
    rows = []
    for name, result in inputs.evaluations.items():
        rows += _query_rows(result, {"dataset": ROLES[name.removeprefix("queries-")]}, time=True)
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
    rows = _query_rows(inputs.evaluation(), {}, time=False)
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


def _query_rows(result: EvaluationResult, keys: dict[str, Any], *, time: bool) -> list[dict[str, Any]]:
    rows = []
    for procedure, name in BLACK_BOX.items():
        if procedure not in result.specification["procedures"]:
            continue
        outcome, budget = observed(result, procedure), settings(result, procedure)["budget"]
        of = {**keys, "method": name}
        rows += [
            cell(of, "attack_success_rate", percentage(found(outcome))),
            cell(of, "queries_mean_all", mean(charged(outcome, budget))),
            cell(of, "queries_mean_success", of_successes(outcome["queries_to_success"])),
        ]
        if time:
            seconds = result.manifest["procedure_seconds"][procedure] / len(outcome)
            rows.append(cell(of, "time_mean", Interval(seconds, float("nan"), float("nan"))))
    return rows


def _populations(inputs: ArtefactInputs) -> str:
    parts = []
    for result in inputs.evaluations.values():
        (first, *_) = result.specification["procedures"]
        used = settings(result, first)
        parts.append(
            f"{provenance(result, len(observed(result, first)))}, eps = {used['eps']:.4g}, "
            f"at most {used['budget']:,} queries"
        )
    return "; ".join(parts) + "."


def _query_notes(inputs: ArtefactInputs) -> tuple[str, ...]:
    return (
        "A query is one evaluation of the network on one image. Failures are charged the limit; the pass "
        "that tests the image after a step is not charged. The settings of all methods were set by hand.",
        *_stand_in(inputs),
    )


def figure_2_1(inputs: ArtefactInputs) -> Figure:
    """Figure 2.1: attack success rate against the number of queries."""
    return success_curves(
        inputs,
        BLACK_BOX,
        {name: ROLES[name.removeprefix("queries-")] for name in inputs.evaluations},
        "Success rate of targeted black-box attacks after so many queries. Hollow markers: published end points; "
        "the published curves themselves are not given in numbers.",
    )


def success_curves(
    inputs: ArtefactInputs, names: dict[str, str], panels: dict[str, str], caption: str, columns: int = 2
) -> Figure:
    """Draw success rate against queries, one panel per evaluation and one line per procedure.

    Args:
        inputs: with the evaluations, and published end points.
        names: display name of each procedure; those that an evaluation has not are left out.
        panels: by evaluation, its role; first word the published data set, the rest a published model.
        caption: of the figure.
        columns: panels side by side.
    """
    canvas, axes = new_figure(columns, -(-len(panels) // columns), panel_height=2.6)
    frames = []
    published = with_names(inputs.published)
    for panel, (evaluation, role) in zip(axes.flat, panels.items(), strict=False):
        result = inputs.evaluations[evaluation]
        shown = [name for name in names if name in result.specification["procedures"]]
        limit = settings(result, shown[0])["budget"]
        costs = {names[name]: observed(result, name)["queries_to_success"] for name in shown}
        corners = draw_cdf(panel, costs, limit=limit)
        dataset, _, model = role.partition(", ")
        ends = published[(published["dataset"] == dataset) & published["method"].isin(costs)]
        ends = ends[ends["model"].str.startswith(model)]
        heights = dict(zip(ends["method"], ends["value"].astype(float), strict=True))
        label = f"published, at {ends['query_limit'].astype(int).max():,} queries"
        mark_published_ends(panel, list(costs), heights, label)
        place = result.specification["dataset"]
        panel.set_title(role if place == dataset.lower().replace("-", "") else f"{role}'s role: {place}")
        panel.set(xlabel="queries", ylabel="success rate, %", ylim=(0, 103))
        frames.append(corners.assign(role=role, dataset=place, published=float("nan"), limit=limit))
        frames.append(
            pd.DataFrame(
                {
                    "series": ends["method"], "role": role, "dataset": dataset,
                    "published": ends["value"].astype(float), "limit": ends["query_limit"],
                }
            )
        )  # fmt: skip
    shared_legend(canvas, axes.flat[0], columns=5)
    frame = pd.concat([each.dropna(axis="columns", how="all") for each in frames], ignore_index=True)
    return Figure(canvas, frame, f"{caption} {_samples(inputs, list(names))}", notes=_stand_in(inputs))


def _samples(inputs: ArtefactInputs, names: Sequence[str]) -> str:
    parts = []
    for result in inputs.evaluations.values():
        name = next(each for each in names if each in result.specification["procedures"])
        used = settings(result, name)
        parts.append(f"{provenance(result, len(observed(result, name)))}, eps = {used['eps']:.4g}")
    return "; ".join(parts) + "."
