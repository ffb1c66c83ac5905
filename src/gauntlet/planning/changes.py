"""Results that were made under another specification than the present one.

Snakemake compares specifications only where it has records of its own, in ``.snakemake``. Copied results have none, but
say themselves what they were made from.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gauntlet.errors import DataError
from gauntlet.runtime.files import compact_json, write_text

NEWER = Path(".snakemake/gauntlet-changed")
"""A file that is newer than every result that is to be made anew."""


def newer_input(
    result: Path, manifest_of: Callable[[Path], Mapping[str, Any]], specification: Mapping[str, Any]
) -> list[Path]:
    """Return an input that makes Snakemake run a job again if its result is out of date; else none.

    Args:
        result: the file that has the manifest of the job.
        manifest_of: reads it.
        specification: of the job, as it is now.
    """
    if not result.is_file() or _made_from(result, manifest_of) == json.loads(compact_json(specification)):
        return []
    # Left alone where it is newer already: the processes of one run shall agree about it.
    if not NEWER.is_file() or NEWER.stat().st_mtime_ns <= result.stat().st_mtime_ns:
        # Another content each time, as Snakemake takes a newer file of the same content for an old one.
        write_text(NEWER, f"{time.time_ns()}\n")
    return [NEWER]


def _made_from(result: Path, manifest_of: Callable[[Path], Mapping[str, Any]]) -> Any:
    try:
        return manifest_of(result)["specification"]
    except (DataError, KeyError):  # Damaged: made anew, too.
        return None
