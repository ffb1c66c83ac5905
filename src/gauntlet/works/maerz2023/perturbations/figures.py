"""Figures 4.4, 4.6 and 4.7: accuracy and loss of attacked images (sections 4.2.3 and 4.2.4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.published import published_value
from gauntlet.analysis.results import Results
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.panels import draw_histograms
from gauntlet.reporting.style import new_figure
from gauntlet.works.maerz2023.versions import (
    ALL_SCHEMES,
    HARMONIC,
    NINE,
    STEPS,
    Scheme,
    Version,
    images_text,
    in_top,
    radius_heading,
    values,
    version_name,
)

BINS = 10
DECAY_MARKS = {"constant": ("o", "0.0"), "harmonic": ("s", "#1f6fb4"), "geometric": ("^", "#d1701f")}
LOOKS: dict[Version, dict[str, Any]] = {
    # Reference perturbations are hatched and warm, gradient attacks plain and darker with every doubling.
    "clean": {"facecolor": "white"},
    "gauss": {"facecolor": "#fbe3c0", "hatch": "...."},
    "unif": {"facecolor": "#f5c26b", "hatch": "////"},
    "bound": {"facecolor": "#e08a1e", "hatch": "xxxx"},
    1: {"facecolor": "#d6e6f4"},
    2: {"facecolor": "#9dc6e0"},
    4: {"facecolor": "#5b9bc8"},
    8: {"facecolor": "#2767a5"},
    16: {"facecolor": "#0b2b52"},
}
"""Bars of each version of an image."""


def figure_4_4(inputs: ArtefactInputs) -> Figure:
    """Figure 4.4: accuracy of the natural model against the number of attack steps, by step scheme."""
    natural, released = (inputs.results.where(run=run) for run in ("document", "released code"))
    k = int(inputs.settings["top"])
    printed = inputs.published
    printed = printed[(printed["defence"] == "natural") & (printed["metric"] == "top5_accuracy")]
    rows = [
        {
            "decay": scheme.decay,
            "randomised": scheme.randomized,
            "steps": steps,
            "accuracy": in_top(natural, k, "linf", [steps], scheme).mean(),
            "released_variant": in_top(released, k, "linf", [steps], scheme).mean(),
            "published_top5": published_value(
                printed, steps=steps, decay=scheme.decay, rand=scheme.randomized
            ),
        }
        for scheme in ALL_SCHEMES
        for steps in STEPS
    ]
    frame = pd.DataFrame(rows)
    canvas, panels = new_figure(2, panel_height=2.9)
    for axes, column, title in (
        (panels[0, 0], "accuracy", f"reproduced: {natural.label('dataset')}, top-{k}"),
        (panels[0, 1], "published_top5", "published: ImageNet, top-5"),
    ):
        for (decay, randomized), lines in frame.groupby(["decay", "randomised"], sort=False):
            _scheme_line(axes, Scheme(str(decay), bool(randomized)), lines["steps"], lines[column])
        axes.set_xscale("log", base=2)
        axes.set_xticks(STEPS, [str(steps) for steps in STEPS])
        axes.set_ylim(0, 1.06 * frame[column].max())
        axes.set(title=title, xlabel="gradient steps $S$", ylabel="share of images")
    panels[0, 1].legend(title="step length")
    canvas.suptitle(f"Natural model, {radius_heading(natural.where(ball='linf'))}")
    return Figure(
        canvas,
        frame,
        f"Share of images whose true class is among the {k} most likely after an attack with S steps whose lengths "
        f"are constant or decay; {images_text(natural)}. Right: the author's released numbers.",
        notes=()
        if k == 5
        else (f"Of ten classes the {k} most likely take the place of the 5 most likely of a thousand.",),
    )


def _scheme_line(axes: Axes, scheme: Scheme, steps: pd.Series, accuracy: pd.Series) -> None:
    marker, color = DECAY_MARKS[scheme.decay]
    style: dict[str, Any] = (
        {"linestyle": "--", "markerfacecolor": "white"} if scheme.randomized else {"linestyle": "-"}
    )
    axes.plot(
        steps, accuracy, marker=marker, color=color, markersize=5, linewidth=1.2, label=str(scheme), **style
    )


def figure_4_6(inputs: ArtefactInputs) -> Figure:
    """Figure 4.6: loss of the natural model for every conversion of the radius."""
    natural = inputs.results
    balls = ("linf", "l2-same", "l2-volume", "l2-nested", "l1-same", "l1-volume", "l1-nested")
    top = max(values(natural, "cross_entropy", ball, NINE).max() for ball in balls)
    canvas, grid = new_figure(3, 3, width=13, panel_height=3)
    # The linf ball needs no conversion and has the first row to itself.
    panels = [grid[0, 0], *grid[1:].flat]
    frames = [
        _loss_histogram(axes, letter, "", natural, ball, HARMONIC, top)
        for axes, letter, ball in zip(panels, "abcdefg", balls, strict=True)
    ]
    for axes in grid[0, 1:]:
        axes.set_axis_off()
    legend = grid[0, 0].get_legend_handles_labels()
    grid[0, 1].legend(*legend, ncols=3, loc="center", title="perturbation", fontsize=10)
    return Figure(
        canvas,
        pd.concat(frames, ignore_index=True),
        f"Histograms of the cross-entropy loss of the natural model, {BINS} equal bins from 0 to the largest loss "
        f"seen; deterministic harmonic steps; {images_text(natural)}.",
    )


def figure_4_7(inputs: ArtefactInputs) -> Figure:
    """Figure 4.7: loss of the PGD-trained models under randomized attacks."""
    models = {norm: inputs.results.where(train_norm=norm) for norm in ("linf", "l2")}
    canvas, grid = new_figure(2, 2, width=11, panel_height=3.4)
    frames = []
    for row, letters, scheme in zip(
        grid, ("ab", "cd"), (Scheme("harmonic", True), Scheme("geometric", True)), strict=True
    ):
        for axes, letter, model in zip(row, letters, models.values(), strict=True):
            (ball,) = model.values("ball")
            # As in the work, every panel has its own range.
            top = values(model, "cross_entropy", ball, NINE, scheme).max()
            frames.append(_loss_histogram(axes, letter, f", {scheme.decay}", model, ball, scheme, top))
    grid[0, 1].legend(title="perturbation", fontsize=8, ncols=2)
    return Figure(
        canvas,
        pd.concat(frames, ignore_index=True),
        "Histograms of the cross-entropy loss of the models trained against PGD (left linf, right l2), randomized "
        f"steps; left {images_text(models['linf'])}, right {images_text(models['l2'])}. The ranges differ from "
        "panel to panel.",
    )


def _loss_histogram(
    axes: Axes, letter: str, suffix: str, model: Results, ball: str, scheme: Scheme, top: float
) -> pd.DataFrame:
    """Draw grouped bars of the share of images per loss bin, and return the numbers."""
    edges, attacks = np.linspace(0, top, BINS + 1), model.where(ball=ball)
    names = {version_name(version): version for version in NINE}
    losses = dict(zip(names, values(model, "cross_entropy", ball, NINE, scheme).T, strict=True))
    looks = {name: {"edgecolor": "black", "linewidth": 0.4, **LOOKS[names[name]]} for name in names}
    bars = draw_histograms(axes, losses, bins=list(edges), looks=looks)
    axes.set_xticks(edges, [f"{edge:.3g}" for edge in edges], fontsize=8)
    title = f"({letter}) {radius_heading(attacks)}{suffix}"
    axes.set(title=title, xlabel="cross-entropy loss [nats]", ylabel="share of images", ylim=(0, 1))
    shown = {"panel": letter, "model": model.label("model"), "norm": attacks.label("norm")}
    tried = {"eps": attacks.label("eps"), "decay": scheme.decay, "randomised": scheme.randomized}
    bars = bars.rename(columns={"series": "perturbation", "low": "bin_low", "high": "bin_high"})
    bars["perturbation"] = bars["perturbation"].map(names)
    return bars.assign(**shown, **tried)[[*shown, *tried, *bars.columns]]
