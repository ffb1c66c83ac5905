"""Tables of chapter 5: the weight of the robust loss and the width of the network (chen2021, section 5.5)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gauntlet.analysis.bootstrap import bootstrap_means_over_seeds
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import Interval
from gauntlet.analysis.published import PARENTHESES, beside_published, side_by_side
from gauntlet.analysis.robustness import robust_at
from gauntlet.analysis.stability import ROBUST
from gauntlet.analysis.training_cost import training_cost
from gauntlet.reporting.artefacts import Table
from gauntlet.works.chen2021.layout import percentage, stand_in
from gauntlet.works.chen2021.width.trainings import (
    METRICS,
    USUAL,
    histories,
    joint,
    outcomes,
    over_starts,
    radius_of,
    spread,
    withstands,
)

SPREAD = "_spread"
ATTACKS = ("PGD", "C&W", "FAB", "Square")


def table_5_1(inputs: ArtefactInputs) -> Table:
    """Table 5.1: robust and natural accuracy and perturbation stability by defence, lambda and width."""
    rows, repeats = [], set()
    for defence, of_defence in inputs.results.groups("defence"):
        settings = list(of_defence.groups("strength", "width"))
        runs = np.stack([outcomes(found) for _, found in settings], axis=2)
        trainings, images = runs.shape[:2]
        repeats.add(trainings)
        intervals = bootstrap_means_over_seeds(100.0 * runs).interval()
        for row, ((strength, width), _) in enumerate(settings):
            keys = {"defence": defence, "strength": strength, "width": width}
            for column, metric in enumerate(METRICS):
                each = 100 * runs[:, :, row, column].mean(axis=1)
                interval = Interval(*(ends[row, column] for ends in intervals))  # type: ignore[index]
                rows.append({**keys, "metric": metric, **interval.columns()})
                rows.append({**keys, "metric": metric + SPREAD, "reproduced": spread(each)})
    published = inputs.published.rename(columns={"lambda": "strength", "widen_factor": "width"})
    comparison = beside_published(
        pd.DataFrame(rows), published, on=["defence", "strength", "width", "metric"]
    )
    shown = comparison[comparison["metric"].isin(METRICS)].rename(columns={"strength": "lambda"})
    return Table(
        comparison,
        "Robust and natural accuracy and perturbation stability in % by weight lambda of the robust loss and widen "
        f"factor; {images} test images under PGD-20, eps = {radius_of(inputs.results):.4g}, means over "
        f"{' or '.join(map(str, sorted(repeats)))} trainings.",
        notes=(
            PARENTHESES,
            "An image is stable if its class is the same before and after the attack. In every row robust accuracy is "
            "at most natural accuracy and at most stability, and stability at most robust accuracy plus the share of "
            "misclassified images.",
            "The epoch with the highest robust accuracy on test images was kept, as the work's code does: that "
            "flatters all rows.",
            "At lambda 2.00 and width 10 the printed robust accuracy 55.78 is probably 53.78.",
            *stand_in(inputs),
        ),
        layout=side_by_side(shown, rows=["defence", "lambda"], columns=["metric", "width"]),
        decimals={"lambda": 2},
    )


def table_5_2(inputs: ArtefactInputs) -> Table:
    """Table 5.2: four attacks on networks of several widths and two data sets."""
    rows, radius = [], radius_of(inputs.results)
    groups = inputs.results.groups("data", "architecture", "printed", "strength")
    for (data, architecture, printed, strength), found in groups:
        keys = {"dataset": data, "architecture": architecture, "width": printed, "strength": strength}
        for attack in ATTACKS:
            hits = withstands(found, attack, radius)
            each = 100 * hits.mean().to_numpy(dtype=float)
            rows.append({**keys, "attack": attack, "metric": ROBUST, **over_starts(hits).columns()})
            rows.append({**keys, "attack": attack, "metric": ROBUST + SPREAD, "reproduced": spread(each)})
    published = inputs.published.rename(columns={"lambda": "strength"})
    on = ["dataset", "architecture", "width", "strength", "attack", "metric"]
    comparison = beside_published(pd.DataFrame(rows), published, on=on)
    shown = comparison[comparison["metric"] == ROBUST].rename(columns={"strength": "lambda"})
    return Table(
        comparison,
        f"Robust accuracy in % of TRADES at eps = {radius:.4g}, means over three random starts of each attack; "
        f"{len(hits)} test images.",
        notes=(
            PARENTHESES,
            "Each network is one training. Of Table 5.1 it is the first.",
            *stand_in(inputs),
        ),
        layout=side_by_side(shown, rows=["dataset", "architecture", "width", "lambda"], columns=["attack"]),
    )


def table_5_3(inputs: ArtefactInputs) -> Table:
    """Table 5.3: lambda left alone, tuned by hand, and adjusted in training."""
    grid, rows = inputs.results.where(use="grid"), []
    thin = sum(training_cost(model).seconds for model in inputs.models_where(role="thin"))
    for width, found in grid.groups("width"):
        strengths = found.values("strength")
        adjusted = outcomes(inputs.results.where(tuning="WAR", width=width))
        settings = [outcomes(each) for _, each in found.groups("strength")]
        robust = joint([*settings, adjusted], ROBUST).interval()
        trained = {
            strength: training_cost(
                inputs.model(role="grid", width=width, strength=strength, repeat=0)
            ).seconds
            for strength in strengths
        }
        by_hand = int(np.argmax(np.asarray(robust.estimate)[:-1]))
        values = {
            "N/A": (USUAL, _entry(robust, strengths.index(USUAL)), trained[USUAL] + thin),
            "Manual": (strengths[by_hand], _entry(robust, by_hand), sum(trained.values())),
            "WAR": (
                histories(inputs, "strength", tuning="WAR", width=width)[:, -1].mean(),
                _entry(robust, -1),
                training_cost(inputs.model(tuning="WAR", width=width, repeat=0)).seconds + thin,
            ),
        }
        for tuning, (strength, accuracy, seconds) in values.items():
            keys = {"model": f"WRN-34-{width}", "tuning": tuning}
            rows += [
                {**keys, "metric": "lambda", "reproduced": float(strength)},
                {**keys, "metric": "robust_accuracy_pgd20", **accuracy.columns()},
                {**keys, "metric": "gpu_hours_total", "reproduced": seconds / 3600},
            ]
    # Read from the file, "N/A" is a missing value.
    published = inputs.published.fillna({"tuning": "N/A"})
    comparison = beside_published(pd.DataFrame(rows), published, on=["model", "tuning", "metric"])
    return Table(
        comparison,
        "Lambda, robust accuracy in % under PGD-20, and hours of training in all: with the usual lambda, the best of "
        "the grid, and width adjusted regularization (WAR).",
        notes=(
            PARENTHESES,
            "The lambda of WAR is its mean over the last epoch. The hours are those of one training; N/A and WAR "
            "include the tuning on the thin network, Manual the trainings with every lambda.",
            "Manual is the best row of Table 5.1 on the images that chose it, which flatters it.",
            _target_ratio(inputs),
            *stand_in(inputs),
        ),
        layout=side_by_side(comparison, rows=["model", "tuning"], columns=["metric"]),
    )


def _target_ratio(inputs: ArtefactInputs) -> str:
    """Return the note on the ratio of losses that WAR aims at, and where it comes from."""
    (target,) = {
        model.manifest["specification"]["defence"]["target_ratio"]
        for model in inputs.models_where(tuning="WAR")
    }
    thin = inputs.model(role="thin", strength=USUAL).history["loss_ratio"].iloc[-1]
    reached = histories(inputs, "loss_ratio", tuning="WAR")[:, -1]
    return (
        f"WAR aims at a ratio of {target:.3g} between natural and robust loss (30 in the work) and had "
        f"{reached.min():.3g} to {reached.max():.3g} in the last epoch. The ratio is to be that of a thin network at "
        f"its best lambda: with lambda {USUAL} the one here had {thin:.3g}."
    )


def _entry(interval: Interval, number: int) -> Interval:
    """Return one entry of an interval over several."""
    estimate, low, high = (np.asarray(ends)[number] for ends in interval)
    return Interval(float(estimate), float(low), float(high))


def table_5_4(inputs: ArtefactInputs) -> Table:
    """Table 5.4: robust accuracy under AutoAttack."""
    rows = []
    for (trained, printed, unlabeled), found in inputs.results.groups("trained", "printed", "unlabeled"):
        hits = robust_at(found, radius_of(found))
        keys = {"defence": trained, "model": printed, "extra_unlabeled_data": unlabeled}
        rows.append({**keys, **percentage(hits).columns()})
    on = ["defence", "model", "extra_unlabeled_data"]
    comparison = beside_published(pd.DataFrame(rows), inputs.published, on=on)
    comparison["origin"] = np.where(comparison["defence"] == "WAR", "this work", "quoted")
    return Table(
        comparison,
        f"Robust accuracy in % under AutoAttack, eps = {radius_of(inputs.results):.4g}; {len(hits)} test images.",
        notes=(
            PARENTHESES,
            "The published numbers of rows marked quoted were copied by the work from the leaderboard of AutoAttack. "
            "Of these rows only TRADES is trained here, with lambda 6.",
            *stand_in(inputs),
        ),
        layout=side_by_side(
            comparison.assign(column="robust accuracy"), rows=[*on, "origin"], columns=["column"]
        ),
    )
