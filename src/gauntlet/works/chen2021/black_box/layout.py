"""The shapes of the work's tables and figures: one column per metric; published ends of curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from gauntlet.reporting.comparison import side_by_side
from gauntlet.reporting.style import look


def one_column_per_metric(
    comparison: pd.DataFrame, *, rows: Sequence[str], metrics: Mapping[str, tuple[str, int]], group: str = ""
) -> pd.DataFrame:
    """Return cells ``reproduced (published)``, methods below each other and metrics side by side.

    Args:
        comparison: what `beside_published` returned, with a column ``metric``.
        rows: key columns that name the rows.
        metrics: heading and digits after the point by metric, in order; others are left out.
        group: column whose values span several metrics; none for a single group.
    """
    groups = list(comparison[group].unique()) if group else [""]
    laid: pd.DataFrame | None = None
    for name in groups:
        for metric, (heading, digits) in metrics.items():
            part = comparison[comparison["metric"] == metric]
            part = part[part[group] == name] if group else part
            if part.empty:
                continue
            cells = side_by_side(part, rows=rows, columns=["metric"], decimals=digits)
            cells = cells.rename(columns={metric: (name, heading)}).set_index(list(rows))
            laid = cells if laid is None else laid.join(cells, how="outer", sort=False)
    if laid is None:
        raise ValueError("a table needs at least one metric that was compared")
    order = list(comparison[list(rows)].drop_duplicates().itertuples(index=False, name=None))
    laid = laid.reindex([key[0] if len(rows) == 1 else key for key in order]).fillna("").reset_index()
    if group:
        labels = [column if isinstance(column, tuple) else ("", column) for column in laid.columns]
        laid.columns = pd.MultiIndex.from_tuples(labels)
    else:
        laid.columns = pd.Index(
            [column[1] if isinstance(column, tuple) else column for column in laid.columns]
        )
    return laid


def mark_published_ends(axes: Axes, series: Sequence[str], ends: Mapping[str, float], label: str) -> None:
    """Put the published end of each curve on the right edge, as a hollow marker of the curve's own kind.

    Args:
        axes: holds the curves, drawn in the order of ``series``.
        series: their names.
        ends: published heights by name; curves without one get no marker.
        label: what the legend says of hollow markers.
    """
    edge = axes.get_xlim()[1]
    hollow: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "white", "markeredgewidth": 1.3}
    for number, name in enumerate(series):
        if name in ends:
            axes.plot(
                [edge], [ends[name]], **{**look(number), **hollow}, markersize=7, zorder=5, clip_on=False
            )
    axes.plot([], [], marker="o", color="0.25", label=label, **hollow)
