"""Tables 5.1 and 5.2, and those that take the method apart (song, sections 5.2 to 5.4)."""

from __future__ import annotations

import math

import pandas as pd

from gauntlet.analysis.certificates import (
    average_certified_radius,
    average_certified_radius_gain,
    certified_accuracy,
)
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import Interval
from gauntlet.analysis.published import (
    PARENTHESES,
    beside_published,
    one_column_per_metric,
    published_value,
)
from gauntlet.analysis.training_cost import training_cost
from gauntlet.reporting.artefacts import Table
from gauntlet.works.song.smoothing.certified import RADII, described, in_printed_order, is_limited, limit
from gauntlet.works.song.smoothing.convergence import convergences
from gauntlet.works.song.smoothing.spectrum import SIGMAS, training_variances

SHARES = (1.0, 1 / 2, 1 / 5, 1 / 10, 1 / 20)
"""Fractions tau of the noise variance that a direction may have to exceed; the work names 1/5 and 1/10."""

UNKNOWN = Interval(math.nan, math.nan, math.nan)


def table_5_1(inputs: ArtefactInputs) -> Table:
    """Table 5.1: average certified radius and certified accuracy of six methods at two noise levels."""
    results, rows = inputs.results, []
    sigmas = results.values("sigma")
    for sigma in sigmas:
        for model in in_printed_order(inputs):
            found = results.one(sigma=sigma, model=model)
            values = {"ACR": average_certified_radius(found)} | {
                _column(radius): certified_accuracy(found, radius).scaled(100) for radius in (0, *RADII)
            }
            rows += [
                {"sigma": sigma, "model": model, "column": column, **value.columns()}
                for column, value in values.items()
            ]
    printed = inputs.published.assign(
        column=inputs.published["radius"].map(_column).where(inputs.published["metric"] != "ACR", "ACR")
    )
    frame = beside_published(pd.DataFrame(rows), printed, on=["sigma", "model", "column"])
    limited = {
        (sigma, _column(radius))
        for sigma in sigmas
        for radius in RADII
        if is_limited(results.where(sigma=sigma), radius)
    }
    keys = frame[["sigma", "column"]].itertuples(index=False, name=None)
    frame["limited_by_draws"] = [key in limited for key in keys]
    layout = _laid_out(frame, ["sigma", "model"])
    for sigma, column in limited:
        rows_of = layout["sigma"] == sigma
        layout.loc[rows_of, column] = layout.loc[rows_of, column].str.replace(" (", "* (", regex=False)
    return Table(
        frame,
        "Average certified radius (ACR, l2, pixel scale) and certified accuracy in % at radius 0 (ACC) and beyond; "
        f"{described(results)}. {PARENTHESES}",
        notes=(
            *(
                f"* At sigma {sigma:g}, {results.setting('n'):,} unanimous draws certify a radius of "
                f"{limit(results.where(sigma=sigma)):.3f}. An accuracy with a star is 0 by construction or, close "
                "below that radius, lower than more draws would show: fewer than half of the dissenting votes are "
                "allowed that the radius itself allows."
                for sigma in sigmas
            ),
            "MACER-150 trains for five thirds of the other methods' epochs at every scale. At scale small its "
            "robustness term has a twelfth of the weight that Zhai et al. give it, with which the small network learns "
            "to give one answer.",
            "At radius 1.00 and sigma 0.5 the printed 24.3 of Gaussian training is probably 23.4 with its digits "
            "exchanged.",
            "The printed row of Consistency lies below the public logs of its authors (ACR 0.552 and 0.720 on all "
            "10,000 images): the work trains with a shorter and gentler schedule.",
        ),
        layout=layout,
        decimals={"sigma": 2},
    )


def _column(radius: float) -> str:
    """Return the column of Table 5.1 that belongs to a radius."""
    return f"r = {radius:.2f}" if radius else "ACC"


def table_5_2(inputs: ArtefactInputs) -> Table:
    """Table 5.2: what the trainings at sigma 0.25 cost, beside what they bring."""
    methods = list(inputs.published["model"].unique())
    costs = {method: training_cost(inputs.model(method=method)) for method in methods}
    gaussian = costs["Gaussian"]
    memory = "GPU memory [GiB]" if gaussian.on_gpu else "memory [GiB]"
    rows: list[dict[str, object]] = []
    for method, cost in costs.items():
        found = inputs.results.one(method=method)
        printed = {
            metric: published_value(inputs.published, model=method, metric=metric)
            for metric in ("ACR", "clean_accuracy", "gpu_memory", "training_runtime")
        }
        hours = published_value(inputs.published, model="Gaussian", metric="training_runtime")
        for column, value, number in (
            ("ACR", average_certified_radius(found), printed["ACR"]),
            ("ACC [%]", certified_accuracy(found, 0).scaled(100), printed["clean_accuracy"]),
            (memory, UNKNOWN._replace(estimate=cost.memory), printed["gpu_memory"]),
            ("training [h]", UNKNOWN._replace(estimate=cost.seconds / 3600), printed["training_runtime"]),
            ("time over Gaussian's", cost.time_over(gaussian), printed["training_runtime"] / hours),
        ):
            rows.append({"model": method, "column": column, **value.columns(), "published": number})
    frame = pd.DataFrame(rows).assign(device=gaussian.device)
    # Two significant digits of the shortest training, at least one after the point.
    shortest = min(cost.seconds for cost in costs.values()) / 3600
    digits = max(1, 1 - math.floor(math.log10(shortest)))
    return Table(
        frame,
        f"Training cost and accuracy at sigma {inputs.results.label('sigma'):g} on {gaussian.device}; the work used "
        f"one NVIDIA 3080 Ti. {PARENTHESES}",
        notes=(
            "A time is that of the median epoch times the number of epochs, without the measurements of accuracy; the "
            "intervals of the ratios (in the csv) are what the epochs span. Ratios carry over between machines as far "
            "as nothing else ran beside the trainings.",
            "Memory is what the training allocates on the GPU at most."
            if gaussian.on_gpu
            else "Without a GPU, memory is that of the whole process, libraries and images included: it does not "
            "compare with the printed column.",
            "The projection of Ours adds much to the time of a small network, as below full scale, and little to that "
            "of ResNet-110.",
            "The work prints an ACR of 0.532 for the ensemble here and of 0.535 in Table 5.1.",
        ),
        layout=_laid_out(frame, ["model"], **{"training [h]": digits}),
    )


def _laid_out(frame: pd.DataFrame, rows: list[str], **digits: int) -> pd.DataFrame:
    """Lay cells out with digits after the point by column: three for the ACR, one for others."""
    digits = dict.fromkeys(frame["column"], 1) | {"ACR": 3} | digits
    metrics = {column: (column, after) for column, after in digits.items()}
    return one_column_per_metric(frame.rename(columns={"column": "metric"}), rows=rows, metrics=metrics)


def certificates_by_label(inputs: ArtefactInputs) -> Table:
    """Average certified radius and accuracy at radius 0 by some labels of the models, and the gain over one of them."""
    labels, base = inputs.settings["labels"], inputs.settings["base"]
    rows = []
    for key, found in inputs.results.groups(*labels):
        first = inputs.results.one(sigma=key[0], **base)
        acr = average_certified_radius(found)
        is_base = found.label("evaluation") == first.label("evaluation")
        gain = UNKNOWN if is_base else average_certified_radius_gain(found, first)
        rows.append(
            {
                **dict(zip(labels, key, strict=True)),
                **dict(zip(("ACR", "ACR low", "ACR high"), acr, strict=True)),
                **dict(zip(("ACR gain", "gain low", "gain high"), gain, strict=True)),
                "ACC": 100 * certified_accuracy(found, 0).estimate,
            }
        )
    radii = ("ACR", "ACR low", "ACR high", "ACR gain", "gain low", "gain high")
    return Table(
        pd.DataFrame(rows),
        f"{inputs.settings['caption']}, on the same images, with a 95 % interval; {described(inputs.results)}.",
        notes=(inputs.settings["note"],),
        decimals={"sigma": 2, **dict.fromkeys(radii, 3), "ACC": 1},
    )


def table_convergence(inputs: ArtefactInputs) -> Table:
    """Convergence of generalized and original consistency (the numbers behind Figure 5.2)."""
    rows: list[dict[str, object]] = []
    percent: set[str] = set()
    for sigma, found in convergences(inputs).items():
        for name, (curve, *_) in found.curves.items():
            epochs = sorted({round(len(curve) * part) for part in (1 / 9, 1 / 3, 2 / 3, 1)} - {0})
            accuracies = {f"epoch {epoch} [%]": 100 * float(curve[epoch - 1]) for epoch in epochs}
            percent |= accuracies.keys()
            reached = {"95 % of Consistency's final reached in epoch": found.reached(name)[0]}
            rows.append({"sigma": sigma, "loss": name, **accuracies, **reached})
    return Table(
        pd.DataFrame(rows),
        "Test accuracy in % under one draw of Gaussian noise per image, by epoch, of training with the original and "
        "the generalized consistency loss (without linear decomposition), and the first epoch with 95 % of the final "
        "accuracy of the original loss.",
        notes=("The work prints no numbers for this experiment.",),
        decimals={"sigma": 2, **dict.fromkeys(percent, 1)},
    )


def table_principal_directions(inputs: ArtefactInputs) -> Table:
    """Principal directions that exceed a fraction of the noise variance, and what they hold."""
    images, variances = training_variances(inputs)
    rows = []
    for sigma in SIGMAS:
        for share in SHARES:
            kept = variances > share * sigma**2
            rows.append(
                {
                    "sigma": sigma,
                    "tau": share,
                    "least variance": share * sigma**2,
                    "directions kept": int(kept.sum()),
                    "of": len(variances),
                    "variance kept [%]": 100 * float(variances[kept].sum() / variances.sum()),
                }
            )
    return Table(
        pd.DataFrame(rows),
        f"Principal directions of the {images} whose variance exceeds tau times that of the noise, and their share of "
        "the total variance.",
        notes=(
            "The work keeps directions above 1/5 of the noise variance in section 4.2 and above 1/10 in section 5.4, "
            "and does not say how many these are.",
        ),
        decimals={"sigma": 2, "tau": 2, "least variance": 5, "variance kept [%]": 1},
    )
