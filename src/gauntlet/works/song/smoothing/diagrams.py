"""Drawings: Figures 2.1 (convolution), 2.2 (pooling), 2.7 (distillation) and 2.8 (rectifying network)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.diagrams import cells, convolved, draw_numbers, flow_chart
from gauntlet.reporting.style import new_figure

IMAGE = np.array(
    [[0, 0, 1, 1, 0, 0], [0, 1, 2, 2, 1, 0], [1, 2, 3, 3, 2, 1],
     [1, 2, 3, 3, 2, 1], [0, 1, 2, 2, 1, 0], [0, 0, 1, 1, 0, 0]]
)  # fmt: skip
"""A small gray image: a blurred spot."""

KERNEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
"""Answers to brightness that rises from left to right."""

PLACE = (1, 0)
"""The output that is worked out in the drawing: row, column."""


def figure_2_1(inputs: ArtefactInputs) -> Figure:
    """Figure 2.1: how a convolution layer computes one output."""
    output = convolved(IMAGE, KERNEL)
    row, column = PLACE
    canvas, panels = new_figure(3, panel_height=2.5)
    draw_numbers(panels[0, 0], IMAGE, "input", shaded=(row, column, 3, 3))
    draw_numbers(panels[0, 1], KERNEL, "kernel")
    draw_numbers(panels[0, 2], output, "output", shaded=(row, column, 1, 1))
    under = IMAGE[row : row + 3, column : column + 3]
    terms = " ".join(
        f"{weight:+d}·{value}" for weight, value in zip(KERNEL.ravel(), under.ravel(), strict=True) if weight
    )
    canvas.supxlabel(f"{terms} = {output[row, column]}", fontsize=9)
    return Figure(
        canvas,
        _cells(input=IMAGE, kernel=KERNEL, output=output),
        "A convolution layer multiplies the kernel with the part of the input under it and adds up; then the kernel "
        "moves on. Shaded: one output and what it is computed from.",
    )


def figure_2_2(inputs: ArtefactInputs) -> Figure:
    """Figure 2.2: how max pooling computes."""
    blocks = IMAGE.reshape(3, 2, 3, 2).swapaxes(1, 2)
    pooled = blocks.max(axis=(2, 3))
    row, column = PLACE
    canvas, panels = new_figure(2, width=5, panel_height=2.5)
    draw_numbers(panels[0, 0], IMAGE, "input", shaded=(2 * row, 2 * column, 2, 2))
    draw_numbers(panels[0, 1], pooled, "largest of each 2×2 block", shaded=(row, column, 1, 1))
    return Figure(
        canvas,
        _cells(input=IMAGE, output=pooled),
        "Max pooling keeps the largest value of every block. Shaded: one block and its output.",
    )


def _cells(**grids: NDArray[np.int64]) -> pd.DataFrame:
    parts = []
    for name, grid in grids.items():
        part = cells(grid)
        part.insert(0, "grid", name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def figure_2_7(inputs: ArtefactInputs) -> Figure:
    """Figure 2.7: defensive distillation."""
    boxes = {
        "images": (0.1, 0.5, "training\nimages $x$"),
        "labels": (0.38, 0.88, "labels $y$"),
        "first": (0.38, 0.5, "first network $F$\nsoftmax at\ntemperature $T$"),
        "soft": (0.65, 0.88, "soft labels\n$F(x)$"),
        "second": (0.65, 0.5, "second network $F^d$\nsame design,\nsame $T$"),
        "use": (0.91, 0.5, "defended\nclassifier,\n$T = 1$"),
        "copy": (0.38, 0.1, "the same images"),
    }
    arrows = [
        ("images", "first"), ("labels", "first"), ("first", "soft"), ("soft", "second"),
        ("images", "copy"), ("copy", "second"), ("second", "use"),
    ]  # fmt: skip
    return flow_chart(
        boxes,
        arrows,
        "Defensive distillation: a first network, trained at a high temperature, labels the images anew with its "
        "probabilities; a second one of the same design learns from these.",
    )


def figure_2_8(inputs: ArtefactInputs) -> Figure:
    """Figure 2.8: the perturbation rectifying network."""
    boxes = {
        "input": (0.08, 0.5, "image"),
        "prn": (0.31, 0.78, "rectifying\nnetwork"),
        "difference": (0.31, 0.22, "difference of\noutput and input"),
        "detector": (0.58, 0.22, "detector"),
        "switch": (0.58, 0.62, "pass on the\nrectified image\nor the original"),
        "classifier": (0.87, 0.62, "classifier"),
    }
    arrows = [
        ("input", "prn"), ("input", "difference"), ("prn", "difference"), ("difference", "detector"),
        ("detector", "switch"), ("prn", "switch"), ("input", "switch"), ("switch", "classifier"),
    ]  # fmt: skip
    return flow_chart(
        boxes,
        arrows,
        "A perturbation rectifying network in front of a classifier: a detector looks at what the network changed; "
        "where it finds a perturbation, the classifier gets the rectified image, otherwise the original.",
        {("detector", "switch"): "perturbed\nor not"},
    )
