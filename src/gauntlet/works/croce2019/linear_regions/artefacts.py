"""The tables of robust accuracies and their summary (croce2019, section 5)."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from gauntlet.reporting.artefacts import Table
from gauntlet.reporting.comparison import PARENTHESES, beside_published, side_by_side
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.resampling import bootstrap
from gauntlet.reporting.statistics import mean, share
from gauntlet.works.croce2019.linear_regions.accuracies import attacked_models, named
from gauntlet.works.croce2019.linear_regions.summary import difference_to_best, gaps

CLEAN = "none (clean accuracy)"
"""How the published numbers name the column of the clean accuracy, at radius 0."""


def accuracy_table(inputs: ArtefactInputs) -> Table:
    """Tables 2 to 7: l2 robust accuracy by model, radius and attack."""
    frame = accuracies(inputs)
    images = frame["images"].unique()
    compared = beside_published(frame, inputs.published, on=["model", "eps", "attack"])
    models = attacked_models(inputs)
    restarts = [
        f"{name} {how['restarts']}" for name, how in inputs.settings["attacks"].items() if "restarts" in how
    ]
    return Table(
        compared,
        f"Share of images that stay correctly classified under l2 attacks, on "
        f"{models[0].result.specification['dataset']}; {', '.join(map(str, images))} images. A misclassified "
        "image counts as not robust.",
        notes=(
            PARENTHESES,
            f"Restarts at this scale: {', '.join(restarts)}. PGD is run for every radius; CW, DF and the linear "
            "region attack (ours) minimize the perturbation, and one run answers for all radii.",
            "ci_low and ci_high bound the 95 % Wilson interval over images.",
        ),
        layout=side_by_side(
            compared.assign(attack=compared["attack"].replace(CLEAN, "clean")),
            rows=["model", "eps"],
            columns=["attack"],
            decimals=3,
        ),
    )


def accuracies(inputs: ArtefactInputs) -> pd.DataFrame:
    """Return the robust accuracies with their Wilson intervals, one row per model, radius and attack."""
    rows = []
    for model in attacked_models(inputs):
        cells = [(0.0, CLEAN, model.clean)]
        cells += [(eps, attack, model.stands(attack, eps)) for eps in model.radii for attack in model.attacks]
        for eps, attack, standing in cells:
            accuracy = share(standing)
            rows.append(
                {
                    "dataset": model.dataset,
                    "model": model.model,
                    "eps": eps,
                    "attack": attack,
                    "reproduced": accuracy.estimate,
                    "ci_low": accuracy.low,
                    "ci_high": accuracy.high,
                    "images": len(standing),
                }
            )
    return pd.DataFrame(rows)


def table_1(inputs: ArtefactInputs) -> Table:
    """Table 1: mean and largest difference to the best attack, per data set and attack."""
    printed = inputs.published.assign(statistic=inputs.published["metric"].str.split("_").str[0])
    found = difference_to_best(accuracies(inputs).rename(columns={"reproduced": "robust_accuracy"}))
    models, rows = attacked_models(inputs), []
    for dataset in found["dataset"].unique():
        standing = np.concatenate([model.standing() for model in named(models, dataset)], 1)

        def statistics(sample: np.ndarray) -> np.ndarray:
            behind = gaps(sample.mean(0))
            return np.stack([behind.mean(0), behind.max(0)])

        estimate = bootstrap(statistics, standing)
        for number, statistic in enumerate(("mean", "max")):
            for position, attack in enumerate(models[0].attacks):
                rows.append(
                    {
                        "dataset": dataset,
                        "statistic": statistic,
                        "attack": attack,
                        "reproduced": estimate.value[number, position],
                        "ci_low": estimate.low[number, position],
                        "ci_high": estimate.high[number, position],
                        "settings": standing.shape[1],
                    }
                )
    compared = beside_published(pd.DataFrame(rows), printed, on=["dataset", "statistic", "attack"])
    return Table(
        compared,
        "Robust accuracy under an attack minus the lowest under any, over three models and five radii per data "
        "set: mean and largest difference. Lower is better for the attack.",
        notes=(
            PARENTHESES,
            "ci_low and ci_high bound a 95 % bootstrap interval over images; the largest of noisy differences "
            "is biased upwards.",
        ),
        layout=side_by_side(compared, rows=["statistic", "dataset"], columns=["attack"], decimals=4),
    )


def table_cost(inputs: ArtefactInputs) -> Table:
    """Section 5.4: what the attacks cost on the plain CIFAR-10 network, in passes instead of hours."""
    (model,) = attacked_models(inputs)
    rows = []
    for attack, how in model.attacks.items():
        names = [how["procedure"]] if "procedure" in how else [f"pgd-{model.radii[0]}"]
        passes = model.result.rows(names[0])["queries"].to_numpy(dtype=float)
        interval = mean(passes)
        named = rf"\b{re.escape(_printed_name(attack))}\b"
        hours = inputs.published[inputs.published["setting"].str.contains(named)]
        rows.append(
            {
                "attack": attack,
                "answers_for": "every radius" if "procedure" in how else "one radius",
                "forward_passes": interval.estimate,
                "ci_low": interval.low,
                "ci_high": interval.high,
                "published_runtime": float(hours["value"].iloc[0]) if len(hours) else np.nan,
                "published_unit": hours["unit"].iloc[0] if len(hours) else "",
            }
        )
    return Table(
        pd.DataFrame(rows),
        "Forward passes per image, those of frozen networks included, beside the printed hours for 500 images "
        "on one GPU. The passes count images that leave early less.",
        notes=("Each forward pass but those of line searches has a backward pass beside it.",),
        decimals={"forward_passes": 0, "ci_low": 0, "ci_high": 0},
    )


def _printed_name(attack: str) -> str:
    return {"DF": "DeepFool"}.get(attack, attack)
