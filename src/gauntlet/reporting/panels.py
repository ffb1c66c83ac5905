"""Drawings that recur across the works, each into given axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike

from gauntlet.reporting.style import DIVERGING, SEQUENTIAL, bar_look, lightness, look

MARKER_WIDTH, MARKER_HEIGHT = 0.035, 0.06
"""Size of a hollow marker as a part of a panel."""


def draw_lines(
    axes: Axes,
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    series: str,
    low: str | None = None,
    high: str | None = None,
) -> None:
    """Draw one line per value of ``series``, with a band between ``low`` and ``high`` where given.

    Args:
        axes: where to draw.
        frame: one row per point; series appear in the order of their first row.
        x: column of the horizontal axis.
        y: column of the vertical axis.
        series: column that names the line.
        low: column of the band's lower edge.
        high: column of the band's upper edge.
    """
    for number, (name, rows) in enumerate(frame.groupby(series, sort=False)):
        rows = rows.sort_values(x)
        axes.plot(rows[x], rows[y], label=str(name), markevery=_marks(len(rows)), **look(number))
        if low and high and rows[[low, high]].notna().all(axis=None):
            axes.fill_between(
                rows[x], rows[low], rows[high], color=look(number)["color"], alpha=0.13, linewidth=0
            )


def draw_cdf(
    axes: Axes, costs: Mapping[str, ArrayLike], *, limit: float, percent: bool = True, start: float = 0.0
) -> pd.DataFrame:
    """Draw the share of samples that were done at each cost, one step line per series.

    Args:
        axes: where to draw.
        costs: per series the cost of each sample (queries until success, distance); NaN or infinity for a
            sample that was never done, which counts in the total.
        limit: right end of the axis, such as the query budget.
        percent: whether shares are written in percent.
        start: left end of the axis.

    Returns:
        The corners of every step: ``series``, ``cost``, ``share``.
    """
    unit = 100.0 if percent else 1.0
    corners = []
    for number, (name, values) in enumerate(costs.items()):
        sample = np.asarray(values, dtype=float)
        reached = np.sort(sample[np.isfinite(sample) & (sample <= limit)])
        where, count = np.unique(reached, return_counts=True)
        shares = np.cumsum(count) / max(len(sample), 1) * unit
        points = pd.DataFrame({"cost": [start, *where], "share": [0.0, *shares]})
        corners.append(points.assign(series=name)[["series", "cost", "share"]])
        end = points["share"].iloc[-1]
        axes.plot(
            [*points["cost"], limit],
            [*points["share"], end],
            drawstyle="steps-post",
            label=str(name),
            markevery=0.12,
            **look(number),
        )
    axes.set_xlim(start, limit)
    axes.set_ylim(bottom=0)
    return pd.concat(corners, ignore_index=True)


def draw_histograms(
    axes: Axes,
    samples: Mapping[str, ArrayLike],
    *,
    bins: int | Sequence[float] = 10,
    looks: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> pd.DataFrame:
    """Draw histograms as bars side by side within each bin, as shares of the sample.

    Args:
        axes: where to draw.
        samples: finite values by series.
        bins: the bin edges, or their number over the common range.
        looks: fill, hatch and edge of the bars by series, in place of the usual ones.

    Returns:
        The bars: ``series``, ``low``, ``high`` (of the bin), ``share``.
    """
    arrays = {name: np.asarray(values, dtype=float) for name, values in samples.items()}
    edges = np.histogram_bin_edges(np.concatenate(list(arrays.values())), bins=bins)
    widths = np.diff(edges) * 0.86 / len(arrays)
    bars = []
    for number, (name, values) in enumerate(arrays.items()):
        shares = np.histogram(values, bins=edges)[0] / max(len(values), 1)
        left = edges[:-1] + np.diff(edges) * 0.07 + widths * number
        axes.bar(
            left, shares, width=widths, align="edge", label=str(name), **looks.get(name, bar_look(number))
        )
        bars.append(pd.DataFrame({"series": name, "low": edges[:-1], "high": edges[1:], "share": shares}))
    axes.set_xlim(edges[0], edges[-1])
    axes.grid(axis="x", visible=False)
    return pd.concat(bars, ignore_index=True)


def mark_published_ends(axes: Axes, series: Sequence[str], ends: Mapping[str, float], label: str) -> None:
    """Put the published end of each curve on the right edge, as a hollow marker of the curve's own kind.

    Markers that would cover each other stand side by side.

    Args:
        axes: holds the curves, drawn in the order of ``series``; its vertical limits are set.
        series: their names.
        ends: published heights by name; curves without one get no marker.
        label: what the legend says of hollow markers.
    """
    hollow: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "white", "markeredgewidth": 1.3}
    bottom, top = axes.get_ylim()
    placed: list[tuple[int, float]] = []
    for number, name in enumerate(series):
        if name in ends:
            height = (ends[name] - bottom) / (top - bottom)
            beside = {slot for slot, other in placed if abs(other - height) < MARKER_HEIGHT}
            slot = min(set(range(len(beside) + 1)) - beside)
            placed.append((slot, height))
            axes.plot(
                [1 + MARKER_WIDTH * slot], [ends[name]], **{**look(number), **hollow}, markersize=7, zorder=5,
                clip_on=False, transform=axes.get_yaxis_transform(),
            )  # fmt: skip
    axes.plot([], [], marker="o", color="0.25", label=label, **hollow)


def draw_heatmap(
    axes: Axes,
    frame: pd.DataFrame,
    *,
    decimals: int = 2,
    low: float | None = None,
    high: float | None = None,
    colors: Colormap = SEQUENTIAL,
) -> AxesImage:
    """Draw a matrix as colored cells with their numbers, in ink that contrasts with the cell.

    Args:
        axes: where to draw.
        frame: the matrix; index and columns label the cells. NaN cells stay blank.
        decimals: digits after the point of the numbers.
        low: value of the first color; by default the smallest.
        high: value of the last color; by default the largest.
        colors: color map.

    Returns:
        The image, for a color bar.
    """
    values = frame.to_numpy(dtype=float)
    image = axes.imshow(values, cmap=colors, vmin=low, vmax=high, aspect="auto")
    size = float(np.clip(52 / max(values.shape), 4, 7.5))
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = "white" if lightness(image.to_rgba(value)) < 58 else "0.1"
            axes.text(
                column, row, f"{value:.{decimals}f}", ha="center", va="center", color=ink, fontsize=size
            )
    steep = max((len(str(name)) for name in frame.columns), default=0) * values.shape[1] > 40
    axes.set_xticks(
        range(values.shape[1]),
        [str(name) for name in frame.columns],
        rotation=45 if steep else 0,
        ha="right" if steep else "center",
        rotation_mode="anchor",
    )
    axes.set_yticks(range(values.shape[0]), [str(name) for name in frame.index])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return image


def draw_image(axes: Axes, image: ArrayLike, title: str = "") -> None:
    """Show an image ``[C, H, W]`` (one or three channels) or ``[H, W]`` in [0, 1], without a frame."""
    axes.imshow(_channels_last(np.clip(np.asarray(image, dtype=float), 0, 1)), vmin=0, vmax=1)
    _bare(axes, title)


def draw_difference(
    axes: Axes, difference: ArrayLike, title: str = "", *, reach: float | None = None
) -> None:
    """Show a perturbation ``[C, H, W]``, scaled so that ``reach`` (by default its largest entry) is the end.

    Color images are shown around mid-gray, gray ones in two colors around white.
    """
    signed = np.asarray(difference, dtype=float)
    reach = float(np.abs(signed).max()) if reach is None else reach
    shown = _channels_last(signed / (2 * reach) + 0.5 if reach else np.full_like(signed, 0.5))
    arguments: dict[str, Any] = {"cmap": DIVERGING, "vmin": 0, "vmax": 1} if shown.ndim == 2 else {}
    axes.imshow(np.clip(shown, 0, 1), **arguments)
    _bare(axes, title)


def _channels_last(image: Any) -> Any:
    if image.ndim == 2:
        return image
    if image.shape[0] not in (1, 3):
        raise ValueError(f"an image has one or three channels first; found shape {image.shape}")
    return image[0] if image.shape[0] == 1 else np.moveaxis(image, 0, -1)


def _bare(axes: Axes, title: str) -> None:
    axes.set_title(title)
    axes.set_axis_off()


def _marks(points: int) -> int:
    """Mark about a dozen points of a line."""
    return max(1, points // 12)
