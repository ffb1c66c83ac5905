"""The frame of every job: its log, its threads, its device, and errors without a traceback."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from gauntlet.errors import GauntletError


class _Tee:
    """Write to the terminal and to the job's log at once."""

    def __init__(self, terminal: TextIO, log: TextIO) -> None:
        self._terminal, self._log = terminal, log

    def write(self, text: str) -> int:
        self._log.write(text)
        self._log.flush()
        return self._terminal.write(text)

    def flush(self) -> None:
        self._terminal.flush()

    def isatty(self) -> bool:
        return False


@contextmanager
def job(snakemake: Any) -> Iterator[None]:
    """Run a script's body with its standard error copied into the rule's log.

    A GauntletError ends the job with its message alone; any other error keeps its traceback. The log of a try that
    failed or was killed stays beside the log of the last one, as ``<name>.1.log``, ``<name>.2.log`` and so on.
    """
    path = Path(snakemake.log[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    terminal = sys.stderr
    with path.open("w", encoding="utf-8") as stream:
        sys.stderr = _Tee(terminal, stream)
        kept = _second_name(path)
        try:
            yield
            kept.unlink(missing_ok=True)
        except GauntletError as error:
            print(f"\n{error}\n", file=sys.stderr)
            sys.exit(1)
        except Exception:
            traceback.print_exc()
            sys.exit(1)
        finally:
            sys.stderr = terminal


def _second_name(path: Path) -> Path:
    """Give a log a second name, under which it outlasts Snakemake's removal of the first before another try."""
    number = 1
    while True:
        second = path.with_name(f"{path.stem}.{number}{path.suffix}")
        try:
            second.hardlink_to(path)
        except FileExistsError:
            number += 1
        except OSError:  # A file system without hard links keeps the last log alone.
            return second
        else:
            return second


def log(message: str) -> None:
    """Print one progress line with the time of day."""
    print(f"[{time.strftime('%H:%M:%S')}] {message}", file=sys.stderr, flush=True)
