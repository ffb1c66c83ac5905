"""Tables and figures of chapter 3: the hard-label attack RayS (chen2021, section 3.4)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gauntlet.reporting.artefacts import Figure, Table
from gauntlet.reporting.comparison import PARENTHESES, beside_published
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.panels import draw_lines
from gauntlet.reporting.statistics import mean
from gauntlet.reporting.style import new_figure, shared_legend
from gauntlet.works.chen2021.black_box.frank_wolfe import cell, success_curves, with_names
from gauntlet.works.chen2021.black_box.layout import mark_published_ends, one_column_per_metric
from gauntlet.works.chen2021.black_box.metrics import (
    average_decision_boundary_distance,
    boundary_distances,
    distance_trace,
)
from gauntlet.works.chen2021.black_box.observations import (
    DEFENCES,
    HARD_LABEL,
    LABELS,
    ROBUST,
    found,
    median_of_successes,
    observed,
    of_successes,
    percentage,
    provenance,
    robust_images,
    settings,
)

LABEL_METRICS = {
    "queries_mean_success": ("mean queries", 1),
    "queries_median_success": ("median queries", 1),
    "attack_success_rate": ("success rate, %", 1),
}
ROBUST_METRICS = {"adbd": ("ADBD", 3), "robust_accuracy": ("robust accuracy, %", 1)}
CURVES = {name: label for name, label in LABELS.items() if name not in ("pgd", "opt-stopped")}
PANELS = {
    "labels-mnist": "MNIST", "labels-cifar10": "CIFAR-10", "labels-resnet50": "ImageNet, ResNet-50",
    "labels-inception": "ImageNet, Inception V3",
}  # fmt: skip


def natural(inputs: ArtefactInputs) -> Table:
    """Tables 3.1 to 3.4: hard-label attacks on networks without defence."""
    result = inputs.evaluation()
    rows = []
    for procedure, name in LABELS.items():
        outcome = observed(result, procedure)
        keys = {"method": name}
        if procedure == "pgd":
            rows.append(
                cell(keys, "attack_success_rate", percentage(outcome["success"].to_numpy(dtype=bool)))
            )
            continue
        queries = outcome["queries_to_success"]
        rows += [
            cell(keys, "queries_mean_success", of_successes(queries)),
            cell(keys, "queries_median_success", median_of_successes(queries)),
            cell(keys, "attack_success_rate", percentage(found(outcome))),
        ]
    comparison = beside_published(pd.DataFrame(rows), with_names(inputs.published), on=["method", "metric"])
    used = settings(result, "rays")
    stand_in = inputs.settings.get("stand_in")
    return Table(
        comparison,
        f"Untargeted linf attacks that see the predicted class only, and PGD for reference; "
        f"{provenance(result, len(observed(result, 'rays')))}, eps = {used['eps']:.4g}, at most "
        f"{used['budget']:,} queries. Queries are those of the successes.",
        notes=(
            PARENTHESES,
            "OPT's released code ends a run after an improvement of less than 0.005; its row without that "
            "rule is set beside the published number, because the work does not say which was run.",
            *((stand_in,) if stand_in else ()),
        ),
        layout=one_column_per_metric(comparison, rows=["method"], metrics=LABEL_METRICS),
    )


def robust(inputs: ArtefactInputs) -> Table:
    """Tables 3.5 to 3.9: all attacks on one defended network."""
    result = inputs.evaluation()
    eps = float(settings(result, "rays")["eps"])
    clean = observed(result, "rays")["correct"].to_numpy(dtype=bool)
    rows = [cell({"access": "–", "method": "natural accuracy"}, "robust_accuracy", percentage(clean))]
    unmet = []
    for procedure, (name, access) in ROBUST.items():
        outcome, keys = observed(result, procedure), {"access": access, "method": name}
        rows.append(cell(keys, "robust_accuracy", percentage(robust_images(outcome, eps, procedure))))
        if procedure in HARD_LABEL:
            rows.append(cell(keys, "adbd", mean(boundary_distances(outcome))))
            missed = average_decision_boundary_distance(outcome).unmet
            unmet += [f"{name} on {missed}"] if missed else []
    published = with_names(inputs.published)
    plain = published["attack"] == "none"
    published.loc[plain, ["method", "metric"]] = ["natural accuracy", "robust_accuracy"]
    published["access"] = published["access"].str.partition(" ")[0].where(~plain, "–")
    comparison = beside_published(pd.DataFrame(rows), published, on=["access", "method", "metric"])
    notes = [
        PARENTHESES,
        "ADBD, the average decision boundary distance, is measured without early stop and averages all images; "
        "one that is misclassified unperturbed counts as 0, one whose boundary was never met as 1.",
    ]
    if unmet:
        notes.append(f"No boundary was met by {', '.join(unmet)} images.")
    if inputs.settings.get("stand_in"):
        notes.append(str(inputs.settings["stand_in"]))
    budget = settings(result, "rays")["budget"]
    return Table(
        comparison,
        f"Defence {inputs.settings['defence']}: {provenance(result, len(clean), 'random images')}, eps = {eps:.4g}, "
        f"{budget:,} queries for hard-label and black-box attacks.",
        notes=tuple(notes),
        layout=one_column_per_metric(comparison, rows=["access", "method"], metrics=ROBUST_METRICS),
    )


def figure_3_2(inputs: ArtefactInputs) -> Figure:
    """Figure 3.2: attack success rate against the number of queries, hard-label."""
    return success_curves(
        inputs,
        CURVES,
        {name: PANELS[name] for name in inputs.evaluations},
        "Success rate of untargeted hard-label attacks after so many queries. Hollow markers: published end points; "
        "the published curves themselves are not given in numbers.",
    )


def figure_3_3(inputs: ArtefactInputs) -> Figure:
    """Figure 3.3: boundary distance and robust accuracy as RayS goes on."""
    canvas, panels = new_figure(2, panel_height=3.0)
    traces, ends = [], []
    limit = 0
    for evaluation, result in inputs.evaluations.items():
        defence = DEFENCES[evaluation.removeprefix("robust-")]
        rows, eps = observed(result, "rays"), float(settings(result, "rays")["eps"])
        for counted, prefix in (("iterations", "linf_at_iteration"), ("queries", "linf_at_query")):
            trace = distance_trace(rows, eps, prefix)
            traces.append(trace.assign(defence=defence, counted=counted, eps=eps))
        # Image after image is left at its query limit; the last mark that an image reached is carried on.
        limit = max(limit, int(rows["iterations"].max()))
        at_end = inputs.published[inputs.published["defence"].str.startswith(defence)]
        ends.append(at_end.set_index("metric")["value"].astype(float).rename(defence))
    frame = pd.concat(traces, ignore_index=True)
    drawn = frame[(frame["counted"] == "iterations") & (frame["position"] <= limit)]
    for axes, column, published, label in (
        (panels[0, 0], "adbd", "adbd_at_end", "average boundary distance (linf)"),
        (panels[0, 1], "robust_accuracy", "robust_accuracy_at_end", "robust accuracy, %"),
    ):
        draw_lines(axes, drawn, x="position", y=column, series="defence")
        axes.set(xscale="log", xlabel="RayS iterations (directions tried)", ylabel=label)
        axes.set_xlim(1, drawn["position"].max())
        heights = {str(end.name): end[published] for end in ends if published in end}
        mark_published_ends(axes, [str(end.name) for end in ends], heights, "published, at the end")
        axes.set_ylim(bottom=0)
    panels[0, 0].set_ylim(0, 2.5 * float(drawn["adbd"].min() + drawn["eps"].max()))
    shared_legend(canvas, panels[0, 0], columns=3)
    for end in ends:
        frame.loc[frame["defence"] == end.name, "published_adbd_at_end"] = end.get("adbd_at_end", np.nan)
        frame.loc[frame["defence"] == end.name, "published_robust_accuracy_at_end"] = end.get(
            "robust_accuracy_at_end", np.nan
        )
    count = len(observed(next(iter(inputs.evaluations.values())), "rays"))
    return Figure(
        canvas,
        frame,
        f"How RayS converges on five defended networks: {count} random images each, without early stop. "
        "Distances before the first adversarial point count as 1.",
        notes=(str(inputs.settings["stand_in"]),) if inputs.settings.get("stand_in") else (),
    )
