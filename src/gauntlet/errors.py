"""Errors that a user can act on: every one names what was found, where, and the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class GauntletError(Exception):
    """Base of the errors whose message is meant for the user and needs no traceback."""


class ConfigurationError(GauntletError, ValueError):
    """A value of the configuration cannot be used.

    Args:
        problem: what is wrong, as a sentence.
        file: the file that holds the value.
        key: dotted path of the value inside the file.
        found: the offending value.
        valid: what would be accepted.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: object = None,
        key: str | None = None,
        found: object = None,
        valid: str | None = None,
    ) -> None:
        self.problem, self.file, self.key, self.found, self.valid = problem, file, key, found, valid
        lines = [problem]
        for label, value in (("file", file), ("key", key), ("found", found), ("valid", valid)):
            if value is not None:
                lines.append(f"  {label + ':':<7}{value}")
        super().__init__("\n".join(lines))


class DataError(GauntletError):
    """A data file is missing, truncated, altered or unreadable. The message names the file."""


class ResourceUnavailable(GauntletError):
    """Something outside the project (a host, a licensed data set) cannot be had here."""


class StorageError(GauntletError):
    """A file cannot be written: the disk is full, read-only or not ours. The message names the file and the cause."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Name the valid choices, the nearest first, for the ``valid`` line of an error."""
    choices = sorted(known)
    if not choices:
        return "none, as there is none here"
    near = get_close_matches(name, choices, n=3)
    if near:
        return f"did you mean {' or '.join(near)}? (all: {', '.join(choices)})"
    return f"one of {', '.join(choices)}"
