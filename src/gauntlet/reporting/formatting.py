"""Tables as text: numbers formatted once, for Markdown, LaTeX and HTML alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gauntlet.reporting.artefacts import Table
from gauntlet.reporting.numerals import ABSENT, SIGNIFICANT, format_number

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "$": r"\$",
        "&": r"\&",
        "#": r"\#",
        "%": r"\%",
        "_": r"\_",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "–": "--",
        "—": "---",
        "−": "$-$",
        "·": r"$\cdot$",
        "×": r"$\times$",
        "±": r"$\pm$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "≈": r"$\approx$",
        "→": r"$\to$",
        "∞": r"$\infty$",
        "°": r"$^\circ$",
        "ℓ": r"$\ell$",
        "²": r"$^2$",
        "α": r"$\alpha$",
        "β": r"$\beta$",
        "γ": r"$\gamma$",
        "δ": r"$\delta$",
        "ε": r"$\varepsilon$",
        "η": r"$\eta$",
        "θ": r"$\theta$",
        "κ": r"$\kappa$",
        "λ": r"$\lambda$",
        "μ": r"$\mu$",
        "σ": r"$\sigma$",
        "τ": r"$\tau$",
        "φ": r"$\varphi$",
    }
)


@dataclass(frozen=True)
class Grid:
    """A table whose cells are text.

    Attributes:
        header: one list of labels per header level, each as long as a row.
        rows: the cells.
        numeric: by column, whether it holds numbers (and is aligned right).
    """

    header: list[list[str]]
    rows: list[list[str]]
    numeric: list[bool]

    def spans(self) -> list[list[tuple[str, int]]]:
        """Return each header level as labels with the number of columns that they span.

        Equal neighbors are joined on all levels but the last, as long as the levels above join them too.
        """
        levels = []
        for depth, labels in enumerate(self.header):
            spans: list[tuple[str, int]] = []
            for position, label in enumerate(labels):
                joins = (
                    position > 0
                    and depth < len(self.header) - 1
                    and all(level[position] == level[position - 1] for level in self.header[: depth + 1])
                )
                if joins:
                    spans[-1] = (label, spans[-1][1] + 1)
                else:
                    spans.append((label, 1))
            levels.append(spans)
        return levels


def grid_of(table: Table) -> Grid:
    """Format a table's layout (or its frame) as text."""
    return format_frame(table.frame if table.layout is None else table.layout, table.decimals)


def format_frame(frame: pd.DataFrame, decimals: Mapping[str, int] | None = None) -> Grid:
    """Format a frame as text; an index that says something becomes the leading columns."""
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index(names=[name or "" for name in frame.index.names])
    labels = [column if isinstance(column, tuple) else (column,) for column in frame.columns]
    columns = [
        _format_column(frame.iloc[:, i], _digits(label, decimals or {})) for i, label in enumerate(labels)
    ]
    return Grid(
        header=[[str(label[level]) for label in labels] for level in range(frame.columns.nlevels)],
        rows=[list(row) for row in zip(*columns, strict=True)] if len(frame) else [],
        numeric=[_is_numeric(frame.iloc[:, i]) for i in range(frame.shape[1])],
    )


def escape_latex(text: str) -> str:
    """Escape what LaTeX would take for a command, and write Greek letters and relations as mathematics."""
    return text.translate(_LATEX)


def escape_markdown(text: str) -> str:
    """Escape what would end a Markdown table cell or be taken for a tag."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def to_markdown(grid: Grid) -> str:
    """Write a pipe table; several header levels are joined with a slash."""
    labels = [" / ".join(filter(None, parts)) for parts in zip(*grid.header, strict=True)]
    lines = [[escape_markdown(cell) for cell in line] for line in (labels, *grid.rows)]
    widths = [max(4, *(len(line[column]) for line in lines)) for column in range(len(labels))]
    columns = list(zip(widths, grid.numeric, strict=True))
    rule = ["-" * (width - 1) + ":" if numeric else "-" * width for width, numeric in columns]

    def padded(line: list[str]) -> list[str]:
        pairs = zip(line, columns, strict=True)
        return [cell.rjust(width) if numeric else cell.ljust(width) for cell, (width, numeric) in pairs]

    written = [padded(lines[0]), rule, *(padded(line) for line in lines[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in written)


def to_booktabs(grid: Grid, environment: str = "tabular") -> str:
    """Write a tabular with booktabs rules; spanning headers get a rule of their own."""
    lines = [
        rf"\begin{{{environment}}}{{{''.join('r' if numeric else 'l' for numeric in grid.numeric)}}}",
        r"\toprule",
    ]
    for depth, spans in enumerate(grid.spans()):
        cells, rules, start = [], [], 1
        for label, width in spans:
            text = escape_latex(label)
            cells.append(rf"\multicolumn{{{width}}}{{c}}{{{text}}}" if width > 1 else text)
            if width > 1 and label:
                rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
            start += width
        lines.append(" & ".join(cells) + r" \\")
        if depth < len(grid.header) - 1 and rules:
            lines.append(" ".join(rules))
    lines.append(r"\midrule")
    if environment == "longtable":
        lines.append(r"\endhead")
    lines += [" & ".join(escape_latex(cell) for cell in row) + r" \\" for row in grid.rows]
    return "\n".join([*lines, r"\bottomrule", rf"\end{{{environment}}}"])


def _digits(label: tuple[Any, ...], decimals: Mapping[str, int]) -> int | None:
    for part in reversed(label):
        if part in decimals:
            return decimals[part]
    return None


def _is_numeric(column: pd.Series) -> bool:
    if pd.api.types.is_bool_dtype(column):
        return False
    if pd.api.types.is_numeric_dtype(column):
        return True
    # Cells such as "31.2 (29.7)" are texts that line up as numbers do.
    texts = [str(value).strip() for value in column if not _is_absent(value)]
    return bool(texts) and all(not text or text[0] in "0123456789–−-±<>≤≥∞." for text in texts)


def _is_absent(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _format_column(column: pd.Series, decimals: int | None) -> list[str]:
    values = list(column)
    numbers = [float(v) for v in values if isinstance(v, (float, np.floating)) and math.isfinite(v)]
    if decimals is None and numbers:
        decimals = _common_digits(numbers)
    return [_format_cell(value, decimals) for value in values]


def _common_digits(numbers: Sequence[float]) -> int | None:
    """Return the digits after the point that suit a whole column, or None where it spans too many magnitudes.

    The largest number gets four significant digits, or fewer where all numbers are written in full with fewer: a column
    of counts that only absent values made floats gets none behind the point.
    """
    if all(number.is_integer() and abs(number) < 1e15 for number in numbers):
        return 0
    sizes = [abs(number) for number in numbers if number]
    most = max(0, SIGNIFICANT - 1 - math.floor(math.log10(max(sizes))))
    if min(sizes) < 10 ** (1 - most) or max(sizes) >= 1e7:
        return None
    full = [f"{number:.{most}f}" for number in numbers]
    return max(len(text.rstrip("0").partition(".")[2]) for text in full)


def _format_cell(value: Any, decimals: int | None) -> str:
    if _is_absent(value):
        return ABSENT
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return str(value).replace("-", "−") if decimals is None else format_number(float(value), decimals)
    if isinstance(value, (float, np.floating)):
        return format_number(float(value), decimals)
    return str(value)
