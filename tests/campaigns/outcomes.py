"""What became of each fault, counted."""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gauntlet.errors import GauntletError

REFUSED, HEALED, WARNED, HARMLESS = "refused", "healed", "warned", "harmless"
TRACEBACK, SILENT, LEFT = "traceback", "silent", "left behind"
COLUMNS = (REFUSED, HEALED, WARNED, HARMLESS, TRACEBACK, SILENT, LEFT)
BAD = (TRACEBACK, SILENT, LEFT)


@dataclass
class Section:
    """The faults of one kind.

    Attributes:
        name: the kind.
        counts: how many had which outcome.
        bad: description of every fault that ended as none may.
    """

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)

    def add(self, fault: str, outcome: str, why: str = "") -> None:
        """Count one fault."""
        self.counts[outcome] += 1
        if outcome in BAD:
            self.bad.append(f"{self.name}: {fault}: {outcome} {why}".strip())
            print(self.bad[-1], file=sys.stderr)

    def attempt(self, fault: str, action: Callable[[], str]) -> None:
        """Run an action under a fault. It returns its outcome; a GauntletError is a refusal, other errors are not."""
        try:
            outcome = action()
        except GauntletError:
            outcome = REFUSED
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            self.add(
                fault,
                TRACEBACK,
                f"{type(error).__name__}: {str(error)[:120]} ({frame.filename}:{frame.lineno})",
            )
            return
        self.add(fault, outcome)


def table(sections: Iterable[Section]) -> str:
    """Return all sections as a Markdown table."""
    lines = [f"| fault | cases | {' | '.join(COLUMNS)} |", f"| --- | ---: |{' ---: |' * len(COLUMNS)}"]
    for section in sections:
        counts = " | ".join(str(section.counts[column] or "") for column in COLUMNS)
        lines.append(f"| {section.name} | {section.counts.total()} | {counts} |")
    return "\n".join(lines)
