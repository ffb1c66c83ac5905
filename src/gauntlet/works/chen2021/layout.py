"""Lay comparisons out as the work's tables: one column per metric, each with its own number of digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from gauntlet.reporting.comparison import side_by_side


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
