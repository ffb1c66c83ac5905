"""Figures 3.1 and 3.7: ten digits and what DeepFool makes of them, by defence."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.results import Results
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.panels import draw_image
from gauntlet.reporting.style import PAGE_WIDTH, new_figure
from gauntlet.works.matyasko2020.margin.runs import DEFENCES, RHO, Recipe


def figure_3_1(inputs: ArtefactInputs) -> Figure:
    """Figure 3.1: a naturally trained and a margin-trained LeNet-5."""
    return _digits(
        inputs, "LeNet-5, trained naturally and by margin maximization with the squared l2 penalty, C = 0.1"
    )


def figure_3_7(inputs: ArtefactInputs) -> Figure:
    """Figure 3.7: the fully connected network, by defence."""
    return _digits(inputs, "the fully connected network, by defence")


def _digits(inputs: ArtefactInputs, networks: str) -> Figure:
    """Draw a column for each class, and a row for each network below the originals."""
    shown = [results for _, results in inputs.results.groups("evaluation")]
    chosen = _chosen(shown)
    canvas, panels = new_figure(len(chosen), 1 + len(shown), width=PAGE_WIDTH, panel_height=0.75)
    for axes in panels.flat:
        axes.set_axis_off()
    records = []
    for place, row in enumerate(chosen):
        draw_image(panels[0, place], shown[0].table.images()["clean"][row])
    for line, results in enumerate(shown, 1):
        attack, sizes = results.one(attack="DeepFool"), Recipe(results).measured(RHO)[0]
        images, defence = results.table.images()[attack.label("procedure")], results.label("defence")
        for place, row in enumerate(chosen):
            draw_image(panels[line, place], images[row])
            found = attack.rows.iloc[row]
            records.append(
                {
                    "defence": defence,
                    **{name: int(found[name]) for name in ("index", "label", "prediction")},
                    "relative_size": float(sizes[row]),
                }
            )
        panels[line, 0].text(
            -0.1, 0.5, defence, transform=panels[line, 0].transAxes, ha="right", va="center", fontsize=7
        )
    frame = pd.DataFrame(records)
    means = frame.groupby("defence", sort=False)["relative_size"].mean()
    return Figure(
        canvas,
        frame,
        f"A random test image of each class that every network classifies correctly (top row), and the images that "
        f"DeepFool leads {networks} with.",
        notes=(
            "Mean ||r||/||x|| of the images shown: "
            + ", ".join(f"{DEFENCES[str(name)]} {value:.3f}" for name, value in means.items())
            + ".",
            "The images leave [0, 1] in places, as the work's DeepFool knows no box; they are clipped for display.",
        ),
    )


def _chosen(shown: list[Results]) -> list[int]:
    """Draw a kept image of each class that all networks classify correctly; classes without one are left out."""
    kept = len(shown[0].table.images()["clean"])
    labels = shown[0].one(attack="DeepFool").rows["label"].to_numpy()[:kept]
    correct = np.logical_and.reduce([results.correct.to_numpy()[:kept] for results in shown])
    generator = np.random.default_rng(0)
    rows = [np.flatnonzero(correct & (labels == label)) for label in np.unique(labels)]
    return [int(generator.choice(each)) for each in rows if len(each)]
