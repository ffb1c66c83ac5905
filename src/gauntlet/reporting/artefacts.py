"""The two kinds of artefact: a table and a figure, each with the data behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:  # Tables are made without matplotlib, whose import takes as long as a table.
    from matplotlib.figure import Figure as Canvas


@dataclass(frozen=True)
class Table:
    """A table of a work.

    Attributes:
        frame: what the csv holds: one row per table row (or cell), plain columns, numbers as numbers.
            Reproduced and published numbers stand in separate columns.
        caption: what the table shows, in one or two sentences.
        notes: what a reader must know (what was missing, which variant).
        layout: the frame as md and tex show it; by default ``frame`` itself.
        decimals: digits after the point for md and tex, by column, where four significant do not suit;
            in a layout with several header levels, by the lowest level that has the name.
    """

    frame: pd.DataFrame
    caption: str
    notes: tuple[str, ...] = ()
    layout: pd.DataFrame | None = None
    decimals: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A figure of a work.

    Attributes:
        canvas: the drawing.
        frame: the numbers it was drawn from.
        caption: what the figure shows, in one or two sentences.
        notes: what a reader must know.
        page: an HTML page that belongs to the figure, such as a form, written beside it; empty for none.
    """

    canvas: Canvas
    frame: pd.DataFrame
    caption: str
    notes: tuple[str, ...] = ()
    page: str = ""
