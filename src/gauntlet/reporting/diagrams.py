"""Diagrams that several works redraw: boxes and arrows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pandas as pd

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
