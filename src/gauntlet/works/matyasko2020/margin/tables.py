"""Tables 3.1 and 3.2, and the numbers of Theorem 3.4.1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.published import beside_published, one_column_per_metric
from gauntlet.reporting.artefacts import Table
from gauntlet.works.matyasko2020.margin.runs import (
    DEFENCES,
    ERROR,
    FAILURES,
    FGSM,
    FGSM_IN_BOX,
    METRICS,
    RHO,
    RHO_OF_SUCCESSES,
    Recipe,
    recipes,
)

SPREADS = (ERROR, FGSM, RHO)
"""Metrics whose spread over trainings is printed."""

MEASURES = (
    "rho is the mean of ||r||/||x|| in l2 over correctly classified images, r from DeepFool (50 steps, each of at "
    "most 0.5; no box). As in the work it keeps the r of images whose class DeepFool did not change; rho of the others "
    "alone, and the share of such failures, stand beside it."
)


def table_3_1(inputs: ArtefactInputs) -> Table:
    """Table 3.1: error, error under FGSM and rho by network and defence."""
    rows = []
    for each in recipes(inputs, "model", "defence"):
        named = {"model": each.label("model"), "defence": each.label("defence")}
        rows += [{**named, **row} for row in _rows(each, "_mean")]
        rows += [
            {**named, "metric": f"{metric}_spread", "reproduced": each.spread(metric), "runs": len(each.runs)}
            for metric in SPREADS
        ]
    compared = beside_published(pd.DataFrame(rows), inputs.published, on=["model", "defence", "metric"])
    headings = {
        f"{ERROR}_mean": ("error %", 2),
        f"{ERROR}_spread": ("± error", 2),
        f"{FGSM}_mean": ("FGSM error %", 2),
        f"{FGSM}_spread": ("± FGSM", 2),
        f"{RHO}_mean": ("rho", 3),
        f"{RHO}_spread": ("± rho", 3),
        f"{FGSM_IN_BOX}_mean": ("FGSM in the box %", 2),
        f"{RHO_OF_SUCCESSES}_mean": ("rho, successes", 3),
        f"{FAILURES}_mean": ("failures %", 1),
    }
    layout = one_column_per_metric(compared, rows=["defence"], metrics=headings, group="model")
    layout["", "defence"] = layout["", "defence"].map(DEFENCES)
    runs = int(compared["runs"].max())
    return Table(
        compared,
        "Clean error, error under FGSM of radius 0.2 and robustness by defence, in parentheses the published number.",
        notes=(
            *_here(inputs),
            MEASURES,
            "FGSM leaves the image box, as in the work; a column more stays inside it. A misclassified image counts "
            "as an error.",
            f"Means over {runs} training{'s' if runs > 1 else ''} (10 in the work); ± is their standard deviation. "
            "ci_low and ci_high bound a 95 % bootstrap interval over trainings and images.",
            "The squared l2 norm is what the work's code penalizes; it prints the norm itself, which stands beside it.",
        ),
        layout=layout,
    )


def table_3_2(inputs: ArtefactInputs) -> Table:
    """Table 3.2: Network in Network on CIFAR-10 by strength of the penalty and augmentation."""
    rows = [
        {"row_label": each.label("row_label"), **row}
        for each in recipes(inputs, "row_label")
        for row in _rows(each, "", tuple(metric for metric in METRICS if metric != FGSM_IN_BOX))
    ]
    compared = beside_published(pd.DataFrame(rows), inputs.published, on=["row_label", "metric"])
    headings = {
        ERROR: ("error %", 2),
        FGSM: ("FGSM error %", 2),
        RHO: ("rho", 4),
        RHO_OF_SUCCESSES: ("rho, successes", 4),
        FAILURES: ("failures %", 1),
    }
    layout = one_column_per_metric(compared, rows=["row_label"], metrics=headings)
    return Table(
        compared,
        "Clean error, error under FGSM and robustness of Network in Network, in parentheses the published number.",
        notes=(
            *_here(inputs),
            "Attack space: whitened images (contrast normalization and ZCA), whose unit is about a pixel's standard "
            "deviation. The radius 0.05 of FGSM, DeepFool's steps and rho are of that space, without a box; the work "
            "does not say of which.",
            MEASURES,
            "One training a row. ci_low and ci_high bound a 95 % bootstrap interval over images.",
        ),
        layout=layout.rename(columns={"row_label": "network"}),
    )


def theorem_3_4_1(inputs: ArtefactInputs) -> Table:
    """Theorem 3.4.1 for a linear f: the worst hinge loss in the ball, and the objective that bounds it."""
    generator = np.random.default_rng(0)
    weights, radius = generator.standard_normal(20) / 5, 0.5
    rows = []
    for ball, dual, direction in (
        ("l2", float(np.linalg.norm(weights)), weights / np.linalg.norm(weights)),
        ("linf", float(np.abs(weights).sum()), np.sign(weights)),
    ):
        for margin in (-1.0, 0.0, 0.5, 0.9, 1.0, 1.5, 2.0, 4.0):
            # The worst r of the ball lies along the direction that lowers the margin fastest.
            worst = max(0.0, 1 - (margin - radius * float(weights @ direction)))
            bound = max(0.0, 1 - margin) + radius * dual
            rows.append(
                {"ball": ball, "margin": margin, "hinge": max(0.0, 1 - margin), "worst_hinge": worst,
                 "objective": bound, "excess": bound - worst}
            )  # fmt: skip
    return Table(
        pd.DataFrame(rows),
        f"Worst hinge loss of a linear classifier f in a ball of radius C = {radius} around an image with the margin "
        "yf(x), and the margin objective (1 - yf)_+ + C||w||.",
        notes=(
            "Where the hinge is active, yf <= 1, both are equal: there the theorem is exact. Elsewhere the objective "
            "is larger. Of a network both are first-order statements: C is no certified radius.",
        ),
    )


def _rows(each: Recipe, suffix: str, metrics: tuple[str, ...] = METRICS) -> list[dict[str, object]]:
    """Return the rows of one recipe, one a metric."""
    interval = each.estimate(metrics).interval()
    return [
        {
            "metric": f"{metric}{suffix}",
            "reproduced": interval.estimate[number],  # type: ignore[index]
            "ci_low": interval.low[number],  # type: ignore[index]
            "ci_high": interval.high[number],  # type: ignore[index]
            "runs": len(each.runs),
        }
        for number, metric in enumerate(metrics)
    ]


def _here(inputs: ArtefactInputs) -> tuple[str, ...]:
    """Return the note on what stands for the work's networks at this scale, if anything does."""
    settings: Mapping[str, object] = inputs.settings
    return (str(settings["here"]),) if settings.get("here") else ()
