"""Figures 4.4, 4.6 and 4.7: accuracy and loss of attacked images (maerz2023, sections 4.2.3 and 4.2.4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.style import new_figure
from gauntlet.works.maerz2023.perturbations.observations import (
    ALL_SCHEMES,
    GRADIENT,
    NINE,
    PERTURBATION_LABELS,
    STEPS,
    Observations,
    Scheme,
    observe,
    provenance,
    radius_label,
)
from gauntlet.works.maerz2023.perturbations.published import released_step_scheme

BINS = 10
DECAY_MARKS = {"constant": ("o", "0.0"), "harmonic": ("s", "#1f6fb4"), "geometric": ("^", "#d1701f")}
SERIES_STYLE: dict[str, dict[str, Any]] = {
    # Reference perturbations are hatched and warm, gradient attacks plain and darker with every doubling.
    "clean": {"facecolor": "white", "hatch": ""},
    "gauss": {"facecolor": "#fbe3c0", "hatch": "...."},
    "unif": {"facecolor": "#f5c26b", "hatch": "////"},
    "bound": {"facecolor": "#e08a1e", "hatch": "xxxx"},
    **{str(steps): {"facecolor": shade, "hatch": ""} for steps, shade in zip(
        STEPS, ("#d6e6f4", "#9dc6e0", "#5b9bc8", "#2767a5", "#0b2b52"), strict=True)},
}  # fmt: skip


def figure_4_4(inputs: ArtefactInputs) -> Figure:
    """Figure 4.4: accuracy of the natural model against the number of attack steps, by step scheme."""
    natural, released = observe(inputs, "natural"), observe(inputs, "natural-released")
    k = int(inputs.settings["top"])
    rows = [
        {
            "decay": scheme.decay,
            "randomised": scheme.randomized,
            "steps": int(steps),
            "accuracy": natural.top(k, "linf", [steps], scheme).mean(),
            "released_variant": released.top(k, "linf", [steps], scheme).mean(),
            "published_top5": released_step_scheme(inputs.published, "top5_accuracy", int(steps), scheme),
        }
        for scheme in ALL_SCHEMES
        for steps in GRADIENT
    ]
    frame = pd.DataFrame(rows)
    canvas, panels = new_figure(2, panel_height=2.9)
    for axes, column, title in (
        (panels[0, 0], "accuracy", f"reproduced: {natural.dataset}, top-{k}"),
        (panels[0, 1], "published_top5", "published: ImageNet, top-5"),
    ):
        for (decay, randomised), lines in frame.groupby(["decay", "randomised"], sort=False):
            _scheme_line(axes, Scheme(str(decay), bool(randomised)), lines["steps"], lines[column])
        axes.set_xscale("log", base=2)
        axes.set_xticks(STEPS, [str(steps) for steps in STEPS])
        axes.set_ylim(0, 1.06 * frame[column].max())
        axes.set(title=title, xlabel="gradient steps $S$", ylabel="share of images")
    panels[0, 1].legend(title="step length")
    canvas.suptitle(f"Natural model, {radius_label(natural, 'linf')}")
    return Figure(
        canvas,
        frame,
        f"Share of images whose true class is among the {k} most likely after an attack with S steps whose "
        "lengths are "
        f"constant or decay; {provenance(natural)}. Right: the author's released numbers.",
        notes=()
        if k == 5
        else (f"Of ten classes the {k} most likely take the place of the 5 most likely of a thousand.",),
    )


def _scheme_line(axes: Axes, scheme: Scheme, steps: pd.Series, accuracy: pd.Series) -> None:
    marker, colour = DECAY_MARKS[scheme.decay]
    axes.plot(
        steps,
        accuracy,
        marker=marker,
        color=colour,
        linestyle="--" if scheme.randomized else "-",
        markerfacecolor="white" if scheme.randomized else colour,
        markersize=5,
        linewidth=1.2,
        label=str(scheme),
    )


def figure_4_6(inputs: ArtefactInputs) -> Figure:
    """Figure 4.6: loss of the natural model for every conversion of the radius."""
    natural = observe(inputs, "natural")
    panels = [
        ("a", natural, "linf"), None, None,
        ("b", natural, "l2-same"), ("c", natural, "l2-volume"), ("d", natural, "l2-nested"),
        ("e", natural, "l1-same"), ("f", natural, "l1-volume"), ("g", natural, "l1-nested"),
    ]  # fmt: skip
    top = max(natural.values("cross_entropy", panel[2], NINE).max() for panel in panels if panel is not None)
    canvas, grid = new_figure(3, 3, width=13, panel_height=3)
    frames = []
    for axes, panel in zip(grid.flat, panels, strict=True):
        if panel is None:
            axes.set_axis_off()
            continue
        letter, observations, radius = panel
        frames.append(
            _loss_histogram(
                axes,
                f"({letter}) {radius_label(observations, radius)}",
                observations,
                radius,
                Scheme("harmonic", False),
                top,
            )
        )
    handles, labels = grid[0, 0].get_legend_handles_labels()
    grid[0, 1].legend(handles, labels, ncols=3, loc="center", title="perturbation", fontsize=10)
    return Figure(
        canvas,
        pd.concat(frames, ignore_index=True),
        f"Histograms of the cross-entropy loss of the natural model, {BINS} equal bins from 0 to the "
        "largest loss seen; "
        f"deterministic harmonic steps; {provenance(natural)}.",
    )


def figure_4_7(inputs: ArtefactInputs) -> Figure:
    """Figure 4.7: loss of the PGD-trained models under randomised attacks."""
    linf, l2 = observe(inputs, "madry-linf-4"), observe(inputs, "madry-l2-3")
    harmonic, geometric = Scheme("harmonic", True), Scheme("geometric", True)
    panels = [("a", linf, "linf", harmonic), ("b", l2, "l2-volume", harmonic),
              ("c", linf, "linf", geometric), ("d", l2, "l2-volume", geometric)]  # fmt: skip
    canvas, grid = new_figure(2, 2, width=11, panel_height=3.4)
    frames = []
    for axes, (letter, observations, radius, scheme) in zip(grid.flat, panels, strict=True):
        # As in the work, every panel has its own range.
        top = observations.values("cross_entropy", radius, NINE, scheme).max()
        heading = f"({letter}) {radius_label(observations, radius)}, {scheme.decay}"
        frames.append(_loss_histogram(axes, heading, observations, radius, scheme, top))
    grid[0, 1].legend(title="perturbation", fontsize=8, ncols=2)
    return Figure(
        canvas,
        pd.concat(frames, ignore_index=True),
        f"Histograms of the cross-entropy loss of the models trained against PGD (left linf, right l2), "
        "randomised steps; "
        f"left {provenance(linf)}, right {provenance(l2)}. The ranges differ from panel to panel.",
    )


def _loss_histogram(
    axes: Axes, heading: str, observations: Observations, radius: str, scheme: Scheme, top: float
) -> pd.DataFrame:
    """Draw grouped bars of the share of images per loss bin, and return the numbers."""
    edges = np.linspace(0, top, BINS + 1)
    width = edges[1] / (len(NINE) + 1)
    losses = observations.values("cross_entropy", radius, NINE, scheme)
    rows = []
    for position, perturbation in enumerate(NINE):
        share = histogram(losses[:, position], edges)
        axes.bar(
            edges[:-1] + (position + 1) * width, share, width, edgecolor="black", linewidth=0.4,
            label=PERTURBATION_LABELS[perturbation], **SERIES_STYLE[perturbation],
        )  # fmt: skip
        rows.append(
            pd.DataFrame(
                {
                    "panel": heading.partition(")")[0].removeprefix("("),
                    "model": observations.result.specification["model"],
                    "norm": observations.norm(radius),
                    "eps": observations.eps(radius),
                    "decay": scheme.decay,
                    "randomised": scheme.randomized,
                    "perturbation": perturbation,
                    "bin_low": edges[:-1],
                    "bin_high": edges[1:],
                    "share": share,
                }
            )
        )
    axes.set_xticks(edges, [f"{edge:.3g}" for edge in edges], fontsize=8)
    axes.set(
        title=heading,
        xlabel="cross-entropy loss [nats]",
        ylabel="share of images",
        ylim=(0, 1),
        xlim=(0, top),
    )
    return pd.concat(rows)


def histogram(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the share of the values in every bin; the last bin includes its upper edge, NaN is in none."""
    counts, _ = np.histogram(values[~np.isnan(values)], edges)
    return counts / len(values)
