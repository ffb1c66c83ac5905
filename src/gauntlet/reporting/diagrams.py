"""Diagrams that several works redraw: boxes and arrows, grids of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.style import new_figure


def flow_chart(
    boxes: Mapping[str, tuple[float, float, str]],
    arrows: Sequence[tuple[str, str]],
    caption: str,
    labels: Mapping[tuple[str, str], str] = MappingProxyType({}),
) -> Figure:
    """Draw boxes and arrows between them.

    Args:
        boxes: center (in [0, 1]) and text of each box, by name.
        arrows: names of the boxes that each arrow joins.
        caption: of the figure.
        labels: texts beside some of the arrows.
    """
    canvas, panels = new_figure(width=7, panel_height=2.9)
    axes = panels[0, 0]
    style = {"boxstyle": "round,pad=0.5", "facecolor": "#f3f1ea", "edgecolor": "0.3"}
    drawn = {
        name: axes.text(x, y, text, ha="center", va="center", fontsize=8.5, bbox=style)
        for name, (x, y, text) in boxes.items()
    }
    rows = []
    for start, end in arrows:
        (x, y, text), (to_x, to_y, to_text) = boxes[start], boxes[end]
        axes.annotate(
            "", (to_x, to_y), (x, y),
            arrowprops={"arrowstyle": "-|>", "color": "0.25", "linewidth": 1, "shrinkA": 1, "shrinkB": 1,
                        "patchA": drawn[start].get_bbox_patch(), "patchB": drawn[end].get_bbox_patch()},
        )  # fmt: skip
        label = labels.get((start, end), "")
        axes.text((x + to_x) / 2 + 0.015, (y + to_y) / 2, label, fontsize=7.5, va="center", color="0.3")
        lines = {"from": text, "to": to_text, "label": label}
        rows.append({column: line.replace("\n", " ") for column, line in lines.items()})
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()
    return Figure(canvas, pd.DataFrame(rows), caption)


def draw_numbers(
    axes: Axes,
    values: NDArray[Any],
    title: str,
    *,
    shaded: tuple[int, int, int, int] | None = None,
    form: str = "g",
) -> None:
    """Draw a matrix as numbers in squares.

    Args:
        axes: where to draw.
        values: the matrix.
        title: above it.
        shaded: row, column, height and width of what is marked.
        form: how numbers are written, as a format specification.
    """
    height, width = values.shape
    if shaded is not None:
        top, left, rows, columns = shaded
        axes.add_patch(
            Rectangle((left, top), columns, rows, facecolor="#bcd7cd", edgecolor="0.1", linewidth=1.6)
        )
    for (row, column), value in np.ndenumerate(values):
        axes.text(column + 0.5, row + 0.5, f"{value:{form}}", ha="center", va="center", fontsize=8)
    axes.hlines(np.arange(height + 1), 0, width, color="0.6", linewidth=0.5)
    axes.vlines(np.arange(width + 1), 0, height, color="0.6", linewidth=0.5)
    axes.set(xlim=(-0.1, width + 0.1), ylim=(height + 0.1, -0.1), aspect="equal")
    axes.set_title(title, loc="center")
    axes.set_axis_off()


def cells(values: NDArray[Any]) -> pd.DataFrame:
    """Return the entries of a matrix one below the other: ``row``, ``column``, ``value``."""
    rows, columns = np.indices(values.shape)
    return pd.DataFrame({"row": rows.ravel(), "column": columns.ravel(), "value": values.ravel()})


def convolved(image: NDArray[Any], kernel: NDArray[Any]) -> NDArray[Any]:
    """Return the weighted sum of every full neighborhood, as a convolutional layer computes it (no flip)."""
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.einsum("yxij,ij->yx", windows, kernel)
