"""Common parts of the index and the works' pages: reading artefacts and verdicts back, and the templates."""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gauntlet.analysis.verdicts import DECISIONS, Decision
from gauntlet.reporting.numerals import ABSENT, duration, format_number
from gauntlet.runtime.checksums import read_sealed_json

SCALE_NOTES = {
    "demo": (
        "Demo scale: small networks on images of real digits that ship inside a Python package. It shows "
        "that every table and figure can be made. Its numbers say nothing of the works' data sets, and its "
        "verdicts hold for the digits only."
    ),
    "small": (
        "Small scale: the works' own data sets where they can be had, with fewer images, epochs and restarts "
        "and often smaller networks. Directions and orders can be compared with the published ones, absolute "
        "numbers cannot."
    ),
    "full": "Full scale: data, networks, training and attacks as published.",
}

SYMBOLS = {
    "supported": "✓",
    "contradicted": "✕",
    "inconclusive": "≈",
    "by construction": "=",
    "not testable": "○",
}

OUTCOMES: dict[str, tuple[Decision, ...]] = {
    "stand": ("supported", "by construction"),
    "fall": ("contradicted",),
    "remain open": ("inconclusive", "not testable"),
}
"""Verdicts in three words, for a reader with one minute."""

_LONG_TABLE_ROWS = 14
_COMPARED_ROWS = 200


@dataclass(frozen=True)
class Card:
    """One artefact as a page shows it.

    Attributes:
        name: the artefact's name.
        title: its title.
        kind: table or figure.
        missing: why it was not made, or None.
        meta: its sidecar; empty if it was not made.
        files: file names by suffix.
        compared: published beside reproduced numbers: header and rows as the csv has them.
        compared_total: number of compared rows in the csv, of which ``compared`` may hold the first only.
    """

    name: str
    title: str
    kind: str
    missing: str | None
    meta: Mapping[str, Any]
    files: Mapping[str, str]
    compared: Sequence[Sequence[str]]
    compared_total: int

    @property
    def made(self) -> bool:
        """Whether the artefact is there."""
        return bool(self.meta)

    @property
    def long(self) -> bool:
        """Whether a table is too long to stand open on the index."""
        return self.kind == "table" and self.made and len(self.meta["layout"]["rows"]) > _LONG_TABLE_ROWS

    @property
    def alternative(self) -> str:
        """Text for who cannot see the figure."""
        return f"{self.title}. {self.meta['caption']}"


def load_card(folder: Path, name: str, *, title: str = "", missing: str | None = None) -> Card:
    """Read an artefact of a work's report folder back; what is not there becomes a card that says so."""
    kind = name.split("-", 1)[0]
    sidecar = folder / f"{name}.json"
    if missing or not sidecar.is_file():
        return Card(
            name, title or _title_of(name), kind, missing or "It was not made at this scale.", {}, {}, (), 0
        )
    meta = read_sealed_json(sidecar)
    suffixes = ("csv", "md", "tex") if kind == "table" else ("csv", "svg", "png", "pdf")
    files = {suffix: f"{name}.{suffix}" for suffix in (*suffixes, "json")}
    compared: list[list[str]] = []
    total = 0
    if meta["agreement"] and meta["agreement"]["published"]:
        compared, total = _compared_rows(folder / files["csv"])
    return Card(name, title or meta["title"], kind, None, meta, files, compared, total)


def load_verdicts(path: Path) -> list[dict[str, str]]:
    """Read the verdicts of a work, as their csv has them; none if there is no such file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def count_decisions(verdicts: Iterable[Mapping[str, str]]) -> dict[str, int]:
    """Count the verdicts by decision, in the order of `DECISIONS`."""
    found = Counter(verdict["decision"] for verdict in verdicts)
    return {decision: found[decision] for decision in DECISIONS}


def count_outcomes(verdicts: Iterable[Mapping[str, str]]) -> dict[str, int]:
    """Count the claims that stand, fall and remain open."""
    decisions = count_decisions(verdicts)
    return {outcome: sum(decisions[each] for each in joined) for outcome, joined in OUTCOMES.items()}


def share(part: int, whole: int) -> str:
    """Write a part of a whole in percent, or a dash where there is nothing to take a part of."""
    return f"{100 * part / whole:.0f}\u202f%" if whole else ABSENT


def add_agreements(cards: Iterable[Card]) -> dict[str, int]:
    """Add up how many published numbers were reproduced and lie inside our intervals."""
    total = dict.fromkeys(("published", "reproduced", "with_interval", "inside"), 0)
    for card in cards:
        for key, count in (card.meta.get("agreement") or {}).items():
            total[key] += count
    return total


@cache
def environment() -> Environment:
    """Return the templates; every value is escaped, and an undefined one is an error."""
    templates = Environment(
        loader=PackageLoader("gauntlet.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["duration"] = duration
    templates.globals |= {
        "symbols": SYMBOLS,
        "decisions": DECISIONS,
        "outcomes": OUTCOMES,
        "scale_notes": SCALE_NOTES,
        "share": share,
    }
    return templates


def render_page(template: str, **context: Any) -> str:
    """Render a whole page with the style sheet inlined."""
    style = (Path(__file__).parent / "templates" / "page.css").read_text(encoding="utf-8")
    return environment().get_template(template).render(style=Markup(style), **context)


def render_part(macro: str, *arguments: Any, **options: Any) -> str:
    """Render one of the macros that the pages share."""
    return str(getattr(environment().get_template("parts.html").module, macro)(*arguments, **options))


def _title_of(name: str) -> str:
    """Turn ``table-4-3`` into ``Table 4.3``, for an artefact that is not there to tell its title."""
    kind, *parts = name.split("-")
    return f"{kind.capitalize()} {('.' if parts[0].isdigit() else ' ').join(parts)}"


def _compared_rows(path: Path) -> tuple[list[list[str]], int]:
    """Return header and rows that have a published number, and how many of them there are."""
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream)
        header = next(reader)
        at = {name: header.index(name) for name in ("reproduced", "published")}
        bounds = [header.index(name) for name in ("ci_low", "ci_high") if name in header]
        keys = [i for i in range(at["reproduced"]) if header[i] not in ("ci_low", "ci_high", "published")]
        found = [row for row in reader if row[at["published"]]]
    rows = [["" if row[i] == "nan" else row[i] for i in keys] + _beside(row, at, bounds) for row in found]
    titles = [header[i] for i in keys] + ["reproduced", "95 % interval", "published", "difference"]
    return [titles, *itertools.islice(rows, _COMPARED_ROWS)], len(found)


def _beside(row: Sequence[str], at: Mapping[str, int], bounds: Sequence[int]) -> list[str]:
    published, ours = float(row[at["published"]]), row[at["reproduced"]]
    if not ours:
        return [ABSENT, "", format_number(published), ""]
    low_high = [format_number(float(row[i])) for i in bounds if row[i]]
    interval = f"{low_high[0]} to {low_high[1]}" if len(low_high) == 2 else ""
    return [
        format_number(float(ours)),
        interval,
        format_number(published),
        format_number(float(ours) - published),
    ]
