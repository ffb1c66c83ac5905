"""Tables of robust accuracies, their summary, and the attacks' cost (croce2019, section 5)."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from gauntlet.analysis.bootstrap import mean
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import share
from gauntlet.analysis.published import PARENTHESES, beside_published, side_by_side
from gauntlet.analysis.robustness import radii
from gauntlet.reporting.artefacts import Table
from gauntlet.works.croce2019.linear_regions.robust_accuracy import (
    STATISTICS,
    as_run,
    attacked,
    gap_statistics,
    standing,
)

CLEAN = "none (clean accuracy)"
"""The published numbers' name of the column of the clean accuracy, at radius 0."""


def robust_accuracies(inputs: ArtefactInputs) -> Table:
    """Tables 2 to 7: l2 robust accuracy by model, radius and attack."""
    rows = []
    for (data, model), results in inputs.results.groups("data", "model"):
        left = {attack: attacked(inputs, results, attack) for attack in inputs.settings["columns"]}
        cells = {(eps, attack): robust[eps] for eps in radii(results) for attack, robust in left.items()}
        cells = {(0.0, CLEAN): results.correct, **cells}
        for (eps, attack), robust in cells.items():
            accuracy = share(robust)
            rows.append((data, model, eps, attack, *accuracy, len(robust)))
    names = ["dataset", "model", "eps", "attack", "reproduced", "ci_low", "ci_high", "images"]
    frame = pd.DataFrame(rows, columns=names)
    compared = beside_published(frame, inputs.published, on=["model", "eps", "attack"])
    headers = {CLEAN: "clean", **as_run(inputs, inputs.results)}
    return Table(
        compared,
        f"Share of images that stay correctly classified under l2 attacks, on {inputs.results.label('dataset')}; "
        f"{', '.join(map(str, frame['images'].unique()))} images. A misclassified image counts as not robust.",
        notes=(
            PARENTHESES,
            f"Columns say what was run here; the work's are {', '.join(inputs.settings['columns'])}. PGD is run for "
            "every radius; CW, DF and the linear region attack (ours) minimize the perturbation, and one run answers "
            "for all radii.",
            "ci_low and ci_high bound the 95 % Wilson interval over images.",
        ),
        layout=side_by_side(
            compared.assign(attack=compared["attack"].replace(headers)),
            rows=["model", "eps"],
            columns=["attack"],
            decimals=3,
        ),
    )


def difference_to_best(inputs: ArtefactInputs) -> Table:
    """Table 1: mean and largest difference to the best attack, per data set and attack."""
    rows = []
    for data, results in inputs.results.groups("data"):
        found = standing(inputs, results)
        ends = np.stack(found.accuracies().map(gap_statistics).interval())
        for (number, position), _ in np.ndenumerate(ends[0]):
            keys = (data, STATISTICS[number], found.attacks[position])
            rows.append((*keys, *ends[:, number, position], len(found.settings)))
    names = ["dataset", "statistic", "attack", "reproduced", "ci_low", "ci_high", "settings"]
    # The published metric is mean_difference_to_... or max_difference_to_...
    statistics = np.where(inputs.published["metric"].str.startswith("mean"), "mean", "max")
    printed = inputs.published.assign(statistic=statistics)
    compared = beside_published(pd.DataFrame(rows, columns=names), printed, on=names[:3])
    return Table(
        compared,
        "Robust accuracy under an attack minus the lowest under any, over three models and five radii per data "
        "set: mean and largest difference. Lower is better for the attack.",
        notes=(
            PARENTHESES,
            "ci_low and ci_high bound a 95 % bootstrap interval over images; the largest of noisy differences "
            "is biased upwards.",
        ),
        layout=side_by_side(
            compared.assign(attack=compared["attack"].replace(as_run(inputs, inputs.results))),
            rows=["statistic", "dataset"],
            columns=["attack"],
            decimals=4,
        ),
    )


def passes(inputs: ArtefactInputs) -> Table:
    """Section 5.4: what the attacks cost on the plain CIFAR-10 network, in passes and seconds."""
    rows, headers = [], as_run(inputs, inputs.results)
    for attack, restarts in inputs.settings["columns"].items():
        results = inputs.results.where(attack="PGD" if restarts else attack)
        if restarts:
            results = results.where(radius=radii(results)[0])
        printed = re.escape({"DF": "DeepFool"}.get(attack, attack))
        hours = inputs.published[inputs.published["setting"].str.contains(rf"\b{printed}\b")]
        count, low, high = mean(results.column("queries"))
        seconds = results.seconds / len(results.correct)
        rows.append(
            {
                "attack": headers[attack],
                "answers_for": "one radius" if restarts else "every radius",
                "forward_passes": count,
                "ci_low": low,
                "ci_high": high,
                "seconds_per_image": seconds,
                "published_runtime": next(iter(hours["value"].astype(float)), np.nan),
                "published_unit": next(iter(hours["unit"]), ""),
            }
        )
    return Table(
        pd.DataFrame(rows),
        "Forward passes per image, those of frozen networks included, and seconds per image, beside the printed hours "
        "for 500 images on one GPU. The passes count images that leave early less.",
        notes=(
            "Each forward pass but those of line searches has a backward pass beside it.",
            "Seconds were measured once, beside other jobs of the same run, and depend on the machine.",
        ),
        decimals={"forward_passes": 0, "ci_low": 0, "ci_high": 0},
    )
