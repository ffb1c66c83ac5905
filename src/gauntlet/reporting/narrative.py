"""Artefacts and verdicts of a work as HTML, by name, for its notebook."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from gauntlet.errors import ConfigurationError, did_you_mean
from gauntlet.reporting.pages import (
    SCALE_NOTES,
    add_agreements,
    count_decisions,
    load_card,
    load_verdicts,
    render_part,
    rerun_command,
)


class Fragment(str):
    """A piece of HTML that a notebook shows as such."""

    def _repr_html_(self) -> str:
        return str(self)


@dataclass
class Narrative:
    """The made artefacts and verdicts of one work at one scale.

    Attributes:
        work: the work's name.
        scale: demo, small or full.
        reports: the folder that holds one folder per scale.
    """

    work: str
    scale: str
    reports: str | Path
    _shown: set[str] = field(default_factory=set, init=False)

    @property
    def folder(self) -> Path:
        """Folder of the work's artefacts."""
        return Path(self.reports) / self.scale / self.work

    def overview(self) -> Fragment:
        """Return the scale and how the work fared."""
        cards = [load_card(self.folder, name) for name in self.artefacts()]
        verdicts = load_verdicts(self.folder / "claims.csv")
        return Fragment(
            render_part(
                "overview",
                SCALE_NOTES[self.scale],
                len(cards),
                add_agreements(cards),
                count_decisions(verdicts),
            )
        )

    def artefacts(self) -> list[str]:
        """Return the names of the artefacts that were made, in reading order."""
        found = (path.stem for path in self.folder.glob("*.json"))
        return sorted((name for name in found if name.startswith(("table-", "figure-"))), key=_reading_order)

    def show(self, *patterns: str) -> Fragment:
        """Show artefacts by name or pattern, such as ``table-4-3`` or ``figure-4-*``.

        One that was not made at this scale is replaced by a line that says so.
        """
        names = [name for pattern in patterns for name in self._matching(pattern)]
        self._shown.update(names)
        return self._cards(names)

    def others(self) -> Fragment:
        """Show every artefact that no earlier cell has shown."""
        return self._cards([name for name in self.artefacts() if name not in self._shown])

    def verdicts(self, *claims: str) -> Fragment:
        """Show the verdicts on the named claims, or on all.

        Raises:
            ConfigurationError: the work has no such claim.
        """
        found = load_verdicts(self.folder / "claims.csv")
        known = {row["claim"]: row for row in found}
        for claim in claims:
            if claim not in known:
                raise ConfigurationError(
                    f"{self.work} has no such claim", found=claim, valid=did_you_mean(claim, known)
                )
        return Fragment(render_part("verdict_table", [known[claim] for claim in claims] if claims else found))

    def rerun(self, artefact: str) -> Fragment:
        """Show the command that makes one artefact again, and all that it depends on."""
        return Fragment(render_part("command", rerun_command(self.folder, artefact)))

    def _matching(self, pattern: str) -> list[str]:
        if "*" not in pattern:
            return [pattern]
        return [name for name in self.artefacts() if fnmatchcase(name, pattern)]

    def _cards(self, names: Iterable[str]) -> Fragment:
        verdicts = load_verdicts(self.folder / "claims.csv")
        cards = [load_card(self.folder, name, verdicts=verdicts) for name in names]
        return Fragment("\n".join(render_part("card", card, "") for card in cards))


def _reading_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """Order by the numbers in the name: chapter, then number; tables and figures mixed as in the work."""
    kind, *parts = name.split("-")
    numbers = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]
    return (*numbers, (2, 0, kind))
