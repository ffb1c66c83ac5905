"""Write artefacts: a table as csv, md and tex; a figure as csv, pdf, svg and png; both with a json sidecar.

Every csv ends with the columns ``scale``, ``dataset`` (``ran_on`` where the frame has its own) and ``samples``, every
md and tex with a line of provenance, every figure with a footer. Equal inputs give equal bytes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from gauntlet.analysis.published import PARENTHESES, agreement
from gauntlet.reporting.artefacts import Figure, Table
from gauntlet.reporting.formatting import (
    Grid,
    escape_latex,
    escape_markdown,
    grid_of,
    to_booktabs,
    to_markdown,
)
from gauntlet.reporting.provenance import Provenance
from gauntlet.runtime.checksums import write_sealed_json
from gauntlet.runtime.files import atomic_path, write_text

if TYPE_CHECKING:  # Tables are written without matplotlib, whose import takes as long as a table.
    from matplotlib.figure import Figure as Canvas
    from matplotlib.text import Text

TABLE_OUTPUTS = ("csv", "md", "tex", "meta")
FIGURE_OUTPUTS = ("csv", "pdf", "svg", "png", "meta")

_LONG_TABLE = 45
_FOOTER_POINTS = 5.5
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


def write_table(table: Table, provenance: Provenance, outputs: Mapping[str, str | Path]) -> None:
    """Write a table.

    Args:
        table: the artefact.
        provenance: what it was made from.
        outputs: target files, by ``csv``, ``md``, ``tex`` and ``meta``.
    """
    grid = grid_of(table)
    if not any("(" in cell for row in grid.rows for cell in row):
        table = replace(table, notes=tuple(note for note in table.notes if note != PARENTHESES))
    _write_csv(table.frame, provenance, outputs["csv"])
    write_text(outputs["md"], markdown_document(table, grid, provenance))
    write_text(outputs["tex"], latex_document(table, grid, provenance))
    layout = {
        "header": [list(map(list, level)) for level in grid.spans()],
        "rows": grid.rows,
        "numeric": grid.numeric,
    }
    write_sealed_json(outputs["meta"], {**_sidecar("table", table, provenance), "layout": layout})


def write_figure(figure: Figure, provenance: Provenance, outputs: Mapping[str, str | Path]) -> None:
    """Write a figure with a footer that states its provenance.

    Args:
        figure: the artefact; its canvas is left as it was.
        provenance: what it was made from.
        outputs: target files, by ``csv``, ``pdf``, ``svg``, ``png`` and ``meta``; the figure's page goes beside the
            csv as ``.html``.
    """
    import matplotlib as mpl

    _write_csv(figure.frame, provenance, outputs["csv"])
    footer = _add_footer(figure.canvas, provenance.statement())
    # The layout is solved once, not anew for each kind of file.
    engine = figure.canvas.get_layout_engine()
    figure.canvas.draw_without_rendering()
    figure.canvas.set_layout_engine("none")
    # The salt makes the identifiers inside an svg a function of the drawing.
    with mpl.rc_context({"svg.hashsalt": f"{provenance.work}/{provenance.artefact}"}):
        for kind, metadata in _METADATA.items():
            with atomic_path(outputs[kind]) as temporary:
                figure.canvas.savefig(temporary, format=kind, metadata=metadata, bbox_inches="tight")
    figure.canvas.set_layout_engine(engine)
    footer.remove()
    if figure.page:
        write_text(Path(outputs["csv"]).with_suffix(".html"), figure.page)
    write_sealed_json(outputs["meta"], _sidecar("figure", figure, provenance))


def markdown_document(table: Table, grid: Grid, provenance: Provenance) -> str:
    """Return a table as a Markdown section: title, caption, table, notes, provenance."""
    parts = [f"## {escape_markdown(provenance.title)}", escape_markdown(table.caption), to_markdown(grid)]
    if table.notes:
        parts.append("\n".join(f"- {escape_markdown(note)}" for note in table.notes))
    lines = [line for line in (provenance.statement(), provenance.origin()) if line]
    parts.append("  \n".join(f"*{escape_markdown(line)}*" for line in lines))
    return "\n\n".join(parts) + "\n"


def latex_document(table: Table, grid: Grid, provenance: Provenance) -> str:
    """Return a table as a LaTeX float to be included; a long one as a longtable, which breaks over pages."""
    caption = escape_latex(f"{provenance.title}. {table.caption}")
    label = f"tab:{provenance.work}-{provenance.artefact}"
    notes = [*table.notes, provenance.statement(), provenance.origin()]
    small = " ".join(escape_latex(note if note.endswith(".") else f"{note}.") for note in notes if note)
    comment = f"% needs booktabs{', longtable' if len(grid.rows) > _LONG_TABLE else ''}"
    if len(grid.rows) > _LONG_TABLE:
        tabular = to_booktabs(grid, "longtable").split("\n")
        head = [tabular[0], rf"\caption{{{caption}}}\label{{{label}}}\\", *tabular[1:]]
        return "\n".join([comment, *head, rf"{{\footnotesize {small}\par}}"]) + "\n"
    lines = [
        comment,
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\label{{{label}}}",
        to_booktabs(grid),
        rf"\par\medskip{{\footnotesize {small}\par}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def with_origin_columns(frame: pd.DataFrame, provenance: Provenance) -> pd.DataFrame:
    """Append ``scale``, ``dataset`` and ``samples``; a column that the frame has already stays as it is.

    Where the frame names data sets itself, those that really ran stand in ``ran_on``.

    They stay empty in rows that hold a published number alone: nothing was measured for them.
    """
    counts = sorted(set(provenance.samples.values()))
    # A frame's own column names the work's data set, whose place another one may have taken.
    own = "dataset" in frame.columns
    values = {
        "scale": provenance.scale,
        **({"ran_on": ";".join(provenance.datasets)} if own else {}),
        "dataset": ";".join(provenance.datasets),
        "samples": ";".join(map(str, counts)),
    }
    added = frame.assign(**{name: value for name, value in values.items() if name not in frame.columns})
    if "reproduced" in frame.columns:
        added.loc[frame["reproduced"].isna(), [name for name in values if name not in frame.columns]] = ""
    return added


def _write_csv(frame: pd.DataFrame, provenance: Provenance, target: str | Path) -> None:
    flat = frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()
    if flat.columns.nlevels > 1:
        raise ValueError("the frame of an artefact has plain columns; put grouped headers into the layout")
    with atomic_path(target) as temporary:
        with_origin_columns(flat, provenance).to_csv(temporary, index=False, lineterminator="\n")


def _sidecar(kind: str, artefact: Table | Figure, provenance: Provenance) -> dict[str, Any]:
    return {
        "work": provenance.work,
        "name": provenance.artefact,
        "kind": kind,
        "title": provenance.title,
        "scale": provenance.scale,
        "caption": artefact.caption,
        "notes": list(artefact.notes),
        "agreement": agreement(artefact.frame),
        "provenance": provenance.to_json(),
    }


def _add_footer(canvas: Canvas, statement: str) -> Text:
    """Add the statement below the drawing; saving with a tight box makes room for it."""
    from matplotlib.transforms import ScaledTranslation

    width = canvas.get_figwidth()
    # A letter of the default font is about half as wide as it is high.
    letters = max(30, int(width * 72 / (_FOOTER_POINTS * 0.55)))
    return canvas.text(
        0,
        0,
        "\n".join(textwrap.wrap(statement, letters)),
        # Saving with a tight box moves the figure's own coordinates along, but not bare inches.
        transform=canvas.transFigure + ScaledTranslation(0.02, -0.08, canvas.dpi_scale_trans),
        fontsize=_FOOTER_POINTS,
        color="0.4",
        ha="left",
        va="top",
    )
