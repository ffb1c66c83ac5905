"""Published numbers beside reproduced ones. The two never share a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gauntlet.setting_types import parse_number

COMPARED = ("reproduced", "ci_low", "ci_high", "published", "difference")
"""The columns of a comparison, in order, after its keys."""

PARENTHESES = (
    "Published numbers stand in parentheses; a dash stands for a number that was not reproduced here."
)
"""Note for tables laid out by `side_by_side`."""

_KEY_DIGITS = 9


def beside_published(
    frame: pd.DataFrame,
    published: pd.DataFrame,
    *,
    on: Sequence[str],
    value: str = "value",
    scale: float = 1.0,
    keep: Sequence[str] = (),
) -> pd.DataFrame:
    """Put the published number of each cell beside ours.

    Args:
        frame: reproduced numbers: the key columns, ``reproduced`` and, where known, ``ci_low``, ``ci_high``;
            further columns are kept.
        published: published numbers: the key columns and ``value``; further columns are dropped.
        on: key columns. A published key may be written as a fraction (``8/255``) where ours is a number.
        value: the published column.
        scale: factor from the published unit to ours, such as 0.01 from percent.
        keep: further columns of the published numbers to stand beside them.

    Returns:
        The rows of ``frame`` in their order, then the published rows that we have no counterpart of (with
        ``reproduced`` empty). ``difference`` is reproduced minus published.

    Raises:
        KeyError: a needed column is missing.
        ValueError: a key occurs twice on one side, or a published value is not a number.
    """
    keys = list(on)
    for name, table, needed in (
        ("frame", frame, [*keys, "reproduced"]),
        ("published", published, [*keys, value]),
    ):
        absent = [column for column in needed if column not in table.columns]
        if absent and not (name == "published" and table.empty):
            raise KeyError(
                f"the {name} lacks {', '.join(absent)}; it has {', '.join(map(str, table.columns))}"
            )
    taken = [column for column in ("published", "difference") if column in frame.columns]
    if taken:
        raise ValueError(f"the reproduced frame must not bring its own {' and '.join(taken)}")
    ours = frame.reset_index(drop=True).copy()
    theirs = published.reindex(columns=[*keys, value, *keep]).reset_index(drop=True)
    theirs = theirs.rename(columns={value: "published"})
    theirs["published"] = _numbers(theirs["published"]) * scale
    for key in keys:
        if pd.api.types.is_numeric_dtype(ours[key]) and not pd.api.types.is_bool_dtype(ours[key]):
            theirs[key] = _numbers(theirs[key])
    ours["_key"], theirs["_key"] = _keys(ours[keys]), _keys(theirs[keys])
    for name, table in (("reproduced", ours), ("published", theirs)):
        twice = table["_key"][table["_key"].duplicated()]
        if len(twice):
            raise ValueError(
                f"{name} numbers are not unique by {', '.join(keys)}: {', '.join(twice.unique()[:5])}"
            )
    found = theirs.set_index("_key")
    ours["published"] = ours["_key"].map(found["published"]).astype(float)
    for column in keep:
        ours[column] = ours["_key"].map(found[column])
    lonely = theirs[~theirs["_key"].isin(ours["_key"])]
    joined = pd.concat([ours, lonely], ignore_index=True) if len(lonely) else ours
    for column in ("ci_low", "ci_high"):
        if column not in joined:
            joined[column] = np.nan
    joined["difference"] = joined["reproduced"] - joined["published"]
    others = [column for column in (*frame.columns, *keep) if column not in (*keys, *COMPARED)]
    return joined[[*keys, *COMPARED, *others]]


def published_value(
    published: pd.DataFrame, *, value: str = "value", absent: float | None = None, **where: Any
) -> float:
    """Return the one published number in the row that ``where`` picks.

    Args:
        published: published numbers.
        value: the column of the number.
        absent: what to return if no row matches, such as NaN; by default that is an error.
        where: value by column. Numbers are equal however either side writes them (``8/255``, ``inf``).

    Raises:
        LookupError: no row (without ``absent``) or several rows match.
    """
    chosen = published
    for column, wanted in where.items():
        chosen = chosen[chosen[column].map(_written) == _written(wanted)]
    if absent is not None and chosen.empty:
        return absent
    if len(chosen) != 1:
        asked = ", ".join(f"{column}={wanted!r}" for column, wanted in where.items())
        raise LookupError(f"{len(chosen)} published numbers match {asked}; exactly one must")
    return float(_numbers(chosen[value]).iloc[0])


def side_by_side(
    comparison: pd.DataFrame, *, rows: Sequence[str], columns: Sequence[str], decimals: int = 2
) -> pd.DataFrame:
    """Lay a comparison out as a grid of cells ``reproduced (published)``; a dash for what was not reproduced.

    Args:
        comparison: what `beside_published` returned.
        rows: key columns that name the grid's rows, in their order of appearance.
        columns: key columns that name the grid's columns, likewise.
        decimals: digits after the point.
    """

    def cell(row: Any) -> str:
        ours = "–" if pd.isna(row.reproduced) else f"{row.reproduced:.{decimals}f}"
        return ours if pd.isna(row.published) else f"{ours} ({row.published:.{decimals}f})"

    cells = comparison[[*rows, *columns]].assign(cell=[cell(row) for row in comparison.itertuples()])
    column_order = list(cells[list(columns)].drop_duplicates().itertuples(index=False, name=None))
    row_order = list(cells[list(rows)].drop_duplicates().itertuples(index=False, name=None))
    looked_up = {
        (row[: len(rows)], row[len(rows) : -1]): row[-1] for row in cells.itertuples(index=False, name=None)
    }
    records = [[*row, *(looked_up.get((row, column), "") for column in column_order)] for row in row_order]
    if len(columns) == 1:
        header: Any = [*rows, *(str(column[0]) for column in column_order)]
    else:
        blank = [""] * (len(columns) - 1)
        header = pd.MultiIndex.from_tuples(
            [*((*blank, row) for row in rows), *(tuple(map(str, column)) for column in column_order)]
        )
    return pd.DataFrame(records, columns=header)


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
    keys, laid = list(rows), {}
    for name in comparison[group].unique() if group else [""]:
        for metric, (heading, digits) in metrics.items():
            part = comparison[comparison["metric"] == metric]
            part = part[part[group] == name] if group else part
            if len(part):
                column = side_by_side(part, rows=keys, columns=["metric"], decimals=digits)
                laid[(name, heading)] = column.set_index(keys)[metric]
    order = comparison[keys].drop_duplicates()
    cells = pd.concat(list(laid.values()), axis=1, keys=range(len(laid)))
    grid = order.reset_index(drop=True).join(cells, on=keys).fillna("")
    names = [*(("", key) for key in keys), *laid]
    grid.columns = pd.MultiIndex.from_tuples(names) if group else pd.Index([each for _, each in names])
    return grid


def agreement(frame: pd.DataFrame) -> dict[str, int] | None:
    """Count the published numbers of a frame, those with a reproduced one, and those inside its interval.

    Returns:
        ``published``, ``reproduced``, ``with_interval`` and ``inside``; None where nothing is compared.
    """
    if not {"reproduced", "published"} <= set(frame.columns):
        return None
    published = frame["published"].notna()
    both = published & frame["reproduced"].notna()
    low = frame["ci_low"] if "ci_low" in frame else pd.Series(np.nan, index=frame.index)
    high = frame["ci_high"] if "ci_high" in frame else pd.Series(np.nan, index=frame.index)
    inside = both & (low <= frame["published"]) & (frame["published"] <= high)
    return {
        "published": int(published.sum()),
        "reproduced": int(both.sum()),
        "with_interval": int((both & low.notna() & high.notna()).sum()),
        "inside": int(inside.sum()),
    }


def _numbers(column: pd.Series) -> pd.Series:
    """Return a column as floats, fractions included; empty cells are NaN."""
    parsed = column.map(parse_number)
    numbers = pd.to_numeric(parsed, errors="coerce").astype(float)
    wrong = column[numbers.isna() & column.notna()]
    if len(wrong):
        raise ValueError(
            f"column {column.name!r} holds what is not a number: {', '.join(map(str, wrong.unique()))}"
        )
    return numbers


def _written(value: Any) -> str:
    """Return a value as text that equal values share, however they are typed."""
    text = str(value).strip()
    try:
        return f"{float(parse_number(text)):.{_KEY_DIGITS}g}"
    except ValueError:
        return text.lower() if text.lower() in ("true", "false") else text


def _keys(columns: pd.DataFrame) -> pd.Series:
    """Return one text per row that equal keys share."""
    return columns.apply(lambda row: " / ".join(map(_written, row)), axis=1).astype(str)
