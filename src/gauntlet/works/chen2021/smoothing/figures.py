"""Figures of chapter 6: what happens in the course of training, and its spread (chen2021, sections 6.3 to 6.5)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gauntlet.analysis.inputs import ArtefactInputs, TrainedModel
from gauntlet.analysis.published import published_value
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.panels import draw_lines
from gauntlet.reporting.style import look, new_figure, shared_legend
from gauntlet.works.chen2021.layout import stand_in
from gauntlet.works.chen2021.smoothing.accuracy import PGD, withstands

INCREMENT, LOWEST, WATCHED = "loss_increment", "lowest_increment_at_end", "selection_pgd_robust_accuracy"
POINTS = {
    "curvature_original_curvature": "original",
    "curvature_random_curvature": "randomly perturbed",
    "curvature_backward_curvature": "Backward Smoothing",
}
"""Columns of the largest eigenvalue, and where it is measured."""


def figure_6_1(inputs: ArtefactInputs) -> Figure:
    """Figure 6.1: by how much the attack inside training raises the loss, epoch by epoch."""
    frame = pd.concat(
        [
            model.history[["epoch", INCREMENT, LOWEST, WATCHED]].assign(series=model.labels["method"])
            for model in inputs.models
        ],
        ignore_index=True,
    )
    frame[WATCHED] *= 100
    canvas, axes = new_figure(3, letters=True)
    panels = {INCREMENT: "increment, mean, nats", LOWEST: "increment, lowest batch", WATCHED: "robust, %"}
    for panel, (column, name) in zip(axes.flat, panels.items(), strict=True):
        draw_lines(panel, frame.dropna(subset=column), x="epoch", y=column, series="series")
        panel.set(xlabel="epoch", ylabel=name)
    for panel in axes.flat[:2]:
        panel.axhline(0, color="0.4", linewidth=0.8)
    shared_legend(canvas, axes.flat[0])
    return Figure(
        canvas,
        frame,
        "Cross-entropy of the attacked images of a batch less that of the clean ones, in eval mode before each update: "
        "(a) the mean over an epoch, (b) the smallest of its batches. (c) Accuracy under PGD with 20 steps after each "
        "epoch, on images of the training split.",
        notes=(
            "The work draws every iteration; epochs and their smallest batch show where the increment is negative.",
            *stand_in(inputs),
        ),
    )


def figure_6_3(inputs: ArtefactInputs) -> Figure:
    """Figure 6.3: the largest eigenvalue of the Hessian of the loss, at three kinds of points."""
    (model,) = inputs.models
    frame = model.history.melt(
        "epoch", list(POINTS), var_name="column", value_name="curvature", ignore_index=True
    )
    frame["series"] = frame.pop("column").map(POINTS)
    kept = kept_epoch(model)
    canvas, axes = new_figure()
    draw_lines(axes[0, 0], frame, x="epoch", y="curvature", series="series")
    axes[0, 0].axvline(kept, color="0.4", linestyle=":", linewidth=1)
    axes[0, 0].set(xlabel="epoch", ylabel="largest eigenvalue")
    shared_legend(canvas, axes[0, 0])
    return Figure(
        canvas,
        frame,
        "Largest eigenvalue of the Hessian of the loss in the image, mean over training images, after each epoch of "
        f"Fast TRADES; dotted line: the kept epoch, {kept}, up to which the work draws.",
        notes=stand_in(inputs),
    )


def figure_6_4(inputs: ArtefactInputs) -> Figure:
    """Figure 6.4: robust accuracy of repeated trainings, at the chosen epoch and at the last one."""
    rows = []
    for method, found in inputs.results.where(attack=PGD, ball="usual").groups("method"):
        for attack in found.each():
            history = inputs.model(model=attack.label("model")).history
            rows.append(
                {
                    "method": method,
                    "model": attack.label("model"),
                    "chosen_epoch": 100 * withstands(attack).mean(),
                    "last_epoch": 100 * history[WATCHED].iloc[-1],
                }
            )
    frame = pd.DataFrame(rows)
    methods = list(frame["method"].unique())
    canvas, axes = new_figure()
    panel = axes[0, 0]
    for number, (column, label) in enumerate(
        (("chosen_epoch", "chosen epoch"), ("last_epoch", "last epoch"))
    ):
        place = np.array([methods.index(each) for each in frame["method"]]) + 0.24 * number - 0.12
        panel.plot(place, frame[column], **{**look(number), "linestyle": "none"}, label=label)
        panel.boxplot(
            [frame.loc[frame["method"] == each, column] for each in methods],
            positions=np.arange(len(methods)) + 0.24 * number - 0.12,
            widths=0.18,
            manage_ticks=False,
            showfliers=False,
        )
    printed = {
        name: published_value(inputs.published, defence="Fast AT", aggregate=f"{name} of 10 runs")
        for name in ("best", "mean")
    }
    if "Fast AT" in methods:
        for (name, value), marker in zip(printed.items(), "^_", strict=True):
            panel.plot(methods.index("Fast AT"), value, marker=marker, linestyle="none", markersize=9,
                       markerfacecolor="white", color="0.2", label=f"published, {name} of 10")  # fmt: skip
    panel.set_xticks(range(len(methods)), methods)
    panel.set(ylabel="robust accuracy, %")
    shared_legend(canvas, panel, columns=2)
    frame = frame.assign(**{f"published_{name}": np.nan for name in printed})
    frame.loc[frame["method"] == "Fast AT", [f"published_{name}" for name in printed]] = list(
        printed.values()
    )
    counts = sorted({len(rows) for _, rows in frame.groupby("method")})
    return Figure(
        canvas,
        frame,
        f"Robust accuracy over {' or '.join(map(str, counts))} trainings of each method: at the chosen epoch under "
        f"PGD with {attack.setting('steps')} steps on {len(attack.rows)} test images, and at the last with 20 steps "
        "on those that chose.",
        notes=(
            "To choose the epoch hides part of the failures of Fast AT, which the last epoch shows.",
            *stand_in(inputs),
        ),
    )


def kept_epoch(model: TrainedModel) -> int:
    """Return the epoch whose weights were kept."""
    return int(model.manifest["kept_epoch"])
