"""Figures 3.4 to 3.6: strength of the penalty, and the distribution of robustness."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.style import look, new_figure
from gauntlet.works.matyasko2020.margin.runs import (
    DEFENCES,
    ERROR,
    FAILURES,
    NETWORKS,
    RHO,
    RHO_OF_SUCCESSES,
    recipes,
)

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
TICKS = {"none": "none", "AT": "AT", "VAT": "VAT", "margin_l1": "l1", "margin_l2": "l2"}
"""Defences of Figure 3.6, and what they are called there."""

WEAK, STRONG = 0.1, 0.5
"""Bounds of the robustness that the work speaks of."""


def figure_3_4(inputs: ArtefactInputs) -> Figure:
    """Figures 3.4 and 3.5: test error and rho over the strength C of the l2 penalty."""
    rows = []
    for each in recipes(inputs, "strength"):
        row: dict[str, float] = {"strength": float(each.results.label("strength")), "runs": len(each.runs)}
        for metric in (ERROR, RHO, RHO_OF_SUCCESSES, FAILURES):
            means = np.nanmean(each.measured(metric), 1)
            row[metric] = float(means.mean())
            row[f"{metric}_sigma"] = float(means.std(ddof=1)) if len(means) > 1 else np.nan
        rows.append(row)
    frame = pd.DataFrame(rows).sort_values("strength", ignore_index=True)
    canvas, panels = new_figure(panel_height=2.8)
    left = panels[0, 0]
    right = left.twinx()
    for number, (axes, metric, name) in enumerate(
        ((left, ERROR, "test error (%)"), (right, RHO, "average l2 robustness"))
    ):
        style = look(number)
        axes.plot(frame["strength"], frame[metric], label=name, **style)
        band = 3 * frame[f"{metric}_sigma"].fillna(0)
        axes.fill_between(
            frame["strength"], frame[metric] - band, frame[metric] + band,
            color=style["color"], alpha=0.15, linewidth=0,
        )  # fmt: skip
        axes.set_ylabel(name, color=style["color"])
    left.set(xscale="log", xlabel="C")
    here = inputs.settings.get("here")
    return Figure(
        canvas,
        frame,
        f"Test error and robustness of {inputs.results.label('model')}, trained with the squared l2 penalty, over its "
        "strength C. The bands are three standard deviations over trainings.",
        notes=(
            *((here,) if here else ()),
            f"{len(frame)} values of C, {int(frame['runs'].min())} trainings each. The csv has the share of images "
            "whose class DeepFool did not change, and rho without them.",
        ),
    )


def figure_3_6(inputs: ArtefactInputs) -> Figure:
    """Figure 3.6: distribution of ||r||/||x|| over images and trainings, by defence."""
    canvas, panels = new_figure(2, share_y=True, panel_height=2.9, letters=True)
    rows = []
    for axes, network in zip(panels[0], NETWORKS, strict=True):
        shown = [
            (each.label("defence"), _pooled(each.measured(RHO)))
            for each in recipes(inputs, "model", "defence")
            if each.label("model") == network and each.label("defence") in TICKS
        ]
        drawn = axes.violinplot([values for _, values in shown], showmedians=True, widths=0.85)
        for number, body in enumerate(drawn["bodies"]):
            body.set(facecolor=look(number)["color"], alpha=0.45)
        axes.set_xticks(range(1, len(shown) + 1), [TICKS[defence] for defence, _ in shown])
        axes.set_xlabel(network)
        rows += [
            {
                "model": network,
                "defence": defence,
                "values": len(values),
                "at_most_0.1_percent": 100 * float((values <= WEAK).mean()),
                "above_0.5_percent": 100 * float((values > STRONG).mean()),
                **{f"quantile_{share:g}": float(np.quantile(values, share)) for share in QUANTILES},
            }
            for defence, values in shown
        ]
    panels[0, 0].set(ylim=(0, 1), ylabel="||r||/||x||")
    names = ", ".join(f"{short}: {DEFENCES[name]}" for name, short in TICKS.items() if name != "none")
    here = inputs.settings.get("here")
    return Figure(
        canvas,
        pd.DataFrame(rows),
        "Robustness of single images, pooled over trainings, by defence (Gaussian kernel density, Scott's rule; the "
        "line is the median).",
        notes=(*((here,) if here else ()), f"{names}.", "Misclassified images are left out."),
    )


def _pooled(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]
