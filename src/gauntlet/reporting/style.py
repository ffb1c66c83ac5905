"""One look for every figure: readable in gray, safe for color-blind readers, the same bytes each time.

Importing this module sets matplotlib's defaults. Figures are built without pyplot, so that no global state
leaks from one artefact into the next: start with `new_figure`.
"""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

COLOURS = ("#30145d", "#762044", "#0e5b90", "#ad5f30", "#5991b9", "#df9934", "#b0c48b", "#d2d295")
"""From dark to light, also for color-blind eyes, with hues that alternate between cold and warm."""

LINES: tuple[Any, ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (5, 1, 1, 1, 1, 1)),
    (0, (7, 2)),
    (0, (3, 1)),
    (0, (1, 1)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "||||", "----", "++++")

PUBLISHED: dict[str, Any] = {
    "color": "0.25",
    "marker": "x",
    "linestyle": "none",
    "markersize": 5,
    "markeredgewidth": 1.2,
}
"""Mark of a published number in a drawing: a gray cross that no series of ours uses."""

COLUMN_WIDTH, PAGE_WIDTH = 3.4, 7.0
"""Widths in inches of a narrow and a full-width figure."""

SEQUENTIAL = LinearSegmentedColormap.from_list(
    "gauntlet", ["#f6f4ec", "#bcd7cd", "#5aa2ae", "#206a8c", "#1d1f4f"]
)
"""Color map for heatmaps: lightness falls evenly."""

DIVERGING = LinearSegmentedColormap.from_list("gauntlet_diverging", ["#00637a", "#f6f4ec", "#a33b20"])
"""Color map for signed values around zero."""

mpl.rcParams.update(
    {
        "axes.axisbelow": True,
        "axes.edgecolor": "0.35",
        "axes.grid": True,
        "axes.labelcolor": "0.1",
        "axes.labelsize": 8,
        "axes.linewidth": 0.7,
        "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=LINES) + cycler(marker=MARKERS),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 8.5,
        "figure.dpi": 100,
        "figure.facecolor": "white",
        "font.family": "DejaVu Sans",  # ships with matplotlib: the same everywhere
        "font.size": 8,
        "grid.color": "0.9",
        "grid.linewidth": 0.6,
        "hatch.linewidth": 0.6,
        "image.cmap": "gray",
        "image.interpolation": "nearest",
        "legend.fontsize": 7.5,
        "legend.frameon": False,
        "legend.handlelength": 2.6,
        "lines.linewidth": 1.4,
        "lines.markersize": 4,
        "pdf.fonttype": 42,
        "savefig.dpi": 200,
        "savefig.pad_inches": 0.06,
        "svg.fonttype": "path",  # looks the same without the font
        "xtick.color": "0.35",
        "xtick.labelcolor": "0.1",
        "xtick.labelsize": 7.5,
        "ytick.color": "0.35",
        "ytick.labelcolor": "0.1",
        "ytick.labelsize": 7.5,
    }
)


def new_figure(
    columns: int = 1,
    rows: int = 1,
    *,
    width: float | None = None,
    panel_height: float = 2.4,
    share_x: bool = False,
    share_y: bool = False,
    letters: bool = False,
) -> tuple[Figure, NDArray[Any]]:
    """Return an empty figure with a grid of panels.

    Args:
        columns: panels side by side.
        rows: panels below each other.
        width: inches; by default a page's width, and less for a single panel.
        panel_height: inches per row.
        share_x: whether all panels have one horizontal scale.
        share_y: whether all panels have one vertical scale.
        letters: whether panels are lettered (a), (b), ... in reading order.

    Returns:
        The figure and its axes, always of shape ``[rows, columns]``.
    """
    if width is None:
        width = COLUMN_WIDTH * 1.25 if columns == 1 else PAGE_WIDTH
    figure = Figure(figsize=(width, panel_height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=share_x, sharey=share_y, squeeze=False)
    if letters:
        for number, panel in enumerate(axes.flat):
            panel.set_title(f"({chr(ord('a') + number)})", loc="left")
    return figure, axes


def look(number: int) -> dict[str, Any]:
    """Return color, line style and marker of the series ``number``; eight more have hollow markers."""
    position = number % len(COLOURS)
    found = {"color": COLOURS[position], "linestyle": LINES[position], "marker": MARKERS[position]}
    return found | {"markerfacecolor": "white"} if number // len(COLOURS) % 2 else found


def bar_look(number: int) -> dict[str, Any]:
    """Return fill, hatch and edge of the bars of series ``number``; the hatch contrasts with its fill."""
    position = number % len(COLOURS)
    dark = lightness(COLOURS[position]) < 55
    return {
        "facecolor": COLOURS[position],
        "hatch": HATCHES[position],
        "edgecolor": "white" if dark else "0.2",
        "linewidth": 0.4,
    }


def lightness(color: Any) -> float:
    """Return the CIE lightness L* of a color that matplotlib knows, 0 for black and 100 for white."""
    channels = np.asarray(mpl.colors.to_rgb(color), dtype=float)
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


def shared_legend(figure: Figure, axes: Axes, *, columns: int = 4) -> None:
    """Put one legend, taken from ``axes``, above all panels."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=min(columns, max(1, len(labels))))
