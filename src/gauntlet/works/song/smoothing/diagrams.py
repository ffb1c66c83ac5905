"""Drawings: Figures 2.1 (convolution), 2.2 (pooling), 2.7 (distillation) and 2.8 (rectifying network)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.diagrams import flow_chart
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
    windows = np.lib.stride_tricks.sliding_window_view(IMAGE, KERNEL.shape)
    output = np.einsum("yxij,ij->yx", windows, KERNEL)
    row, column = PLACE
    canvas, panels = new_figure(3, panel_height=2.5)
    _draw_grid(panels[0, 0], IMAGE, "input", (row, column, 3, 3))
    _draw_grid(panels[0, 1], KERNEL, "kernel", None)
    _draw_grid(panels[0, 2], output, "output", (row, column, 1, 1))
    terms = " ".join(
        f"{weight:+d}·{value}"
        for weight, value in zip(KERNEL.ravel(), windows[row, column].ravel(), strict=True)
        if weight
    )
    canvas.supxlabel(f"{terms} = {output[row, column]}", fontsize=9)
    return Figure(
        canvas,
        _cells({"input": IMAGE, "kernel": KERNEL, "output": output}),
        "A convolution layer multiplies the kernel with the part of the input under it and adds up; then the kernel "
        "moves on. Shaded: one output and what it is computed from.",
    )


def figure_2_2(inputs: ArtefactInputs) -> Figure:
    """Figure 2.2: how max pooling computes."""
    blocks = IMAGE.reshape(3, 2, 3, 2).swapaxes(1, 2)
    pooled = blocks.max(axis=(2, 3))
    row, column = PLACE
    canvas, panels = new_figure(2, width=5, panel_height=2.5)
    _draw_grid(panels[0, 0], IMAGE, "input", (2 * row, 2 * column, 2, 2))
    _draw_grid(panels[0, 1], pooled, "largest of each 2×2 block", (row, column, 1, 1))
    return Figure(
        canvas,
        _cells({"input": IMAGE, "output": pooled}),
        "Max pooling keeps the largest value of every block. Shaded: one block and its output.",
    )


def _draw_grid(
    axes: Axes, values: NDArray[np.int64], title: str, shaded: tuple[int, int, int, int] | None
) -> None:
    """Draw numbers in squares; ``shaded`` is row, column, height and width of what is marked."""
    height, width = values.shape
    if shaded is not None:
        top, left, rows, columns = shaded
        axes.add_patch(
            Rectangle((left, top), columns, rows, facecolor="#bcd7cd", edgecolor="0.1", linewidth=1.6)
        )
    for (row, column), value in np.ndenumerate(values):
        axes.text(column + 0.5, row + 0.5, str(value), ha="center", va="center", fontsize=8)
    axes.hlines(np.arange(height + 1), 0, width, color="0.6", linewidth=0.5)
    axes.vlines(np.arange(width + 1), 0, height, color="0.6", linewidth=0.5)
    axes.set(xlim=(-0.1, width + 0.1), ylim=(height + 0.1, -0.1), aspect="equal")
    axes.set_title(title, loc="center")
    axes.set_axis_off()


def _cells(grids: Mapping[str, NDArray[np.int64]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"grid": name, "row": row, "column": column, "value": int(value)}
            for name, grid in grids.items()
            for (row, column), value in np.ndenumerate(grid)
        ]
    )


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
