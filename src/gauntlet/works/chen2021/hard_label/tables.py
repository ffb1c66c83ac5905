"""Tables of chapter 3: hard-label attacks (chen2021, section 3.4)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gauntlet.analysis.bootstrap import mean, median
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.published import PARENTHESES, beside_published, one_column_per_metric
from gauntlet.analysis.queries import queries_to_success, succeeded
from gauntlet.analysis.robustness import distances, robust_at
from gauntlet.reporting.artefacts import Table
from gauntlet.works.chen2021.boundary import boundary_distances
from gauntlet.works.chen2021.layout import (
    cell,
    of_successes,
    percentage,
    population,
    stand_in,
    with_names,
)

NATURAL = ["OPT", "OPT, own stop", "SignOPT", "HSJA", "RayS", "PGD"]
"""Rows of Tables 3.1 to 3.4."""

LABEL_METRICS = {
    "queries_mean_success": ("mean queries", 1),
    "queries_median_success": ("median queries", 1),
    "attack_success_rate": ("success rate, %", 1),
}
ROBUST_METRICS = {"adbd": ("ADBD", 3), "robust_accuracy": ("robust accuracy, %", 1)}


def natural(inputs: ArtefactInputs) -> Table:
    """Tables 3.1 to 3.4: hard-label attacks on networks without defence."""
    rows = []
    for method in NATURAL:
        attack, keys = inputs.results.one(method=method), {"method": method}
        if method == "PGD":
            hits = percentage(attack.column("success").astype(bool))
            rows.append(cell(keys, "attack_success_rate", hits))
            continue
        queries = queries_to_success(attack)
        rows += [
            cell(keys, "queries_mean_success", of_successes(queries)),
            cell(keys, "queries_median_success", of_successes(queries, median)),
            cell(keys, "attack_success_rate", percentage(succeeded(attack))),
        ]
    comparison = beside_published(pd.DataFrame(rows), with_names(inputs.published), on=["method", "metric"])
    rays = inputs.results.one(method="RayS")
    return Table(
        comparison,
        f"Untargeted linf attacks that see the predicted class only, and PGD for reference; "
        f"{population(rays, len(rays.correct))}, eps = {rays.settings['eps']:.4g}, at most "
        f"{rays.settings['budget']:,} queries. Queries are those of the successes.",
        notes=(
            PARENTHESES,
            "OPT's released code ends a run after an improvement of less than 0.005; its row without that "
            "rule is set beside the published number, because the work does not say which was run.",
            *stand_in(inputs),
        ),
        layout=one_column_per_metric(comparison, rows=["method"], metrics=LABEL_METRICS),
    )


def robust(inputs: ArtefactInputs) -> Table:
    """Tables 3.5 to 3.9: all attacks on one defended network."""
    rays = inputs.results.one(method="RayS")
    eps, clean = float(rays.settings["eps"]), rays.correct
    rows = [cell({"access": "–", "method": "natural accuracy"}, "robust_accuracy", percentage(clean))]
    unmet = []
    for (method, access), attack in inputs.results.groups("method", "access"):
        keys = {"access": access, "method": method}
        rows.append(cell(keys, "robust_accuracy", percentage(robust_at(attack, eps))))
        if access == "hard-label":
            rows.append(cell(keys, "adbd", mean(boundary_distances(attack))))
            missed = int(np.isinf(distances(attack)).sum())
            unmet += [f"{method} on {missed}"] if missed else []
    published = with_names(inputs.published)
    plain = published["attack"] == "none"
    published.loc[plain, ["method", "metric"]] = ["natural accuracy", "robust_accuracy"]
    published["access"] = published["access"].str.partition(" ")[0].where(~plain, "–")
    comparison = beside_published(pd.DataFrame(rows), published, on=["access", "method", "metric"])
    return Table(
        comparison,
        f"Defence {inputs.settings['defence']}: {population(rays, len(clean), 'random images')}, eps = {eps:.4g}, "
        f"{rays.settings['budget']:,} queries for hard-label and black-box attacks.",
        notes=(
            PARENTHESES,
            "ADBD, the average decision boundary distance, is measured without early stop and averages all images; "
            "one that is misclassified unperturbed counts as 0, one whose boundary was never met as 1.",
            *((f"No boundary was met by {', '.join(unmet)} images.",) if unmet else ()),
            *stand_in(inputs),
        ),
        layout=one_column_per_metric(comparison, rows=["access", "method"], metrics=ROBUST_METRICS),
    )
