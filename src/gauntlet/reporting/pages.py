"""Common parts of the index and the works' pages: reading artefacts and verdicts back, and the templates."""

from __future__ import annotations

import csv
import itertools
import re
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
        claims: the verdicts that are judged on what it shows.
        sources: what makes it: what each is, its name, and the file it links to from the work's folder (empty where
            there is none).
        command: the command that makes it alone.
        size: width and height of a figure in pixels.
    """

    name: str
    title: str
    kind: str
    missing: str | None
    meta: Mapping[str, Any]
    files: Mapping[str, str]
    compared: Sequence[Sequence[str]]
    compared_total: int
    claims: Sequence[Mapping[str, Any]] = ()
    sources: Sequence[tuple[str, str, str]] = ()
    command: str = ""
    size: tuple[int, int] = (0, 0)

    @property
    def made(self) -> bool:
        """Whether the artefact is there."""
        return bool(self.meta)

    @property
    def own_rows(self) -> set[int]:
        """Rows of a table that hold the work's own methods: one of their texts names them."""
        layout = self.meta["layout"]
        texts = [at for at, numeric in enumerate(layout["numeric"]) if not numeric]
        return {at for at, row in enumerate(layout["rows"]) if any(self._is_own(row[text]) for text in texts)}

    @property
    def own_columns(self) -> set[int]:
        """Columns of a table that hold the work's own methods."""
        return {at for at, (name, _) in enumerate(self.meta["layout"]["header"][-1]) if self._is_own(name)}

    def _is_own(self, text: str) -> bool:
        """Whether a heading names one of the work's own methods, alone or with settings behind a comma."""
        return text.split(",")[0] in self.meta["provenance"]["own"]

    @property
    def alternative(self) -> str:
        """Text for who cannot see the figure."""
        return f"{self.title}. {self.meta['caption']}"


def load_card(
    folder: Path,
    name: str,
    *,
    title: str = "",
    missing: str | None = None,
    verdicts: Iterable[Mapping[str, Any]] = (),
) -> Card:
    """Read an artefact of a work's report folder back; what is not there becomes a card that says so.

    Args:
        folder: ``<reports>/<scale>/<work>``.
        name: the artefact's name.
        title: its title; by default that of its sidecar.
        missing: why it was not made.
        verdicts: those of the work, of which the card keeps its own.
    """
    kind = name.split("-", 1)[0]
    sidecar = folder / f"{name}.json"
    claims = [verdict for verdict in verdicts if name in verdict["artefacts"]]
    if missing or not sidecar.is_file():
        reason = missing or "It was not made at this scale."
        return Card(name, title or artefact_label(name), kind, reason, {}, {}, (), 0, claims)
    meta = read_sealed_json(sidecar)
    suffixes = ("csv", "md", "tex") if kind == "table" else ("csv", "svg", "png", "pdf")
    files = {suffix: f"{name}.{suffix}" for suffix in (*suffixes, "json")}
    compared: list[list[str]] = []
    total = 0
    if meta["agreement"] and meta["agreement"]["published"]:
        compared, total = _compared_rows(folder / files["csv"])
    return Card(
        name,
        title or meta["title"],
        kind,
        None,
        meta,
        files,
        compared,
        total,
        claims,
        _sources(folder, name, meta["provenance"]),
        rerun_command(folder, name),
        _size_of(folder / f"{name}.png") if kind == "figure" else (0, 0),
    )


def load_verdicts(path: Path) -> list[dict[str, Any]]:
    """Read the verdicts of a work, as their csv has them; none if there is no such file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [{**row, "artefacts": row["artefacts"].split()} for row in csv.DictReader(stream)]


def rerun_command(folder: Path, artefact: str) -> str:
    """Return the command that makes one artefact of a report folder again, and all that it depends on."""
    suffix = "csv" if artefact.startswith("table-") else "svg"
    return f"snakemake --cores all --forcerun -- reports/{'/'.join(folder.parts[-2:])}/{artefact}.{suffix}"


def count_decisions(verdicts: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Count the verdicts by decision, in the order of `DECISIONS`."""
    found = Counter(verdict["decision"] for verdict in verdicts)
    return {decision: found[decision] for decision in DECISIONS}


def count_outcomes(verdicts: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Count the claims that stand, fall and remain open."""
    decisions = count_decisions(verdicts)
    return {outcome: sum(decisions[each] for each in joined) for outcome, joined in OUTCOMES.items()}


def first_sentence(text: str) -> tuple[str, str]:
    """Split a verdict's reason behind its first sentence; a point inside a number ends none."""
    first, *rest = re.split(r"(?<=\.)\s+", text, maxsplit=1)
    return first, "".join(rest)


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
        "label": artefact_label,
        "first_sentence": first_sentence,
    }
    return templates


def render_page(template: str, **context: Any) -> str:
    """Render a whole page with style sheet and script inlined."""
    folder = Path(__file__).parent / "templates"
    inlined = {
        name: Markup((folder / file).read_text(encoding="utf-8"))
        for name, file in (("style", "page.css"), ("script", "page.js"))
    }
    return environment().get_template(template).render(**inlined, **context)


def render_part(macro: str, *arguments: Any, **options: Any) -> str:
    """Render one of the macros that the pages share."""
    return str(getattr(environment().get_template("parts.html").module, macro)(*arguments, **options))


def _size_of(picture: Path) -> tuple[int, int]:
    """Return width and height of a png, which its first chunk holds."""
    with picture.open("rb") as stream:
        head = stream.read(24)
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def artefact_label(name: str) -> str:
    """Turn ``table-4-3`` into ``Table 4.3`` and ``figure-5-curves`` into ``Figure 5 (curves)``."""
    kind, *parts = name.split("-")
    number = ".".join(itertools.takewhile(lambda part: part[0].isdigit(), parts))
    words = " ".join(itertools.dropwhile(lambda part: part[0].isdigit(), parts))
    return " ".join(filter(None, [kind.capitalize(), number, f"({words})" if number and words else words]))


def _sources(folder: Path, name: str, origin: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return what made an artefact: its entry in the configuration, its function, the published numbers."""
    module = origin["function"].rpartition(".")[0]
    code = f"src/{module.replace('.', '/')}.py"
    found = [("Entry", f"{origin['entry']}: artefacts.{name}", origin["entry"])]
    found += [("Function", origin["function"], code)]
    found += [("Published numbers", file, file) for file in origin["published"]]
    # Reports lie in the working directory; they may be read where the configuration and the code are not.
    root = folder.parents[2]
    return [(kind, text, f"../../../{file}" if (root / file).is_file() else "") for kind, text, file in found]


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
