"""The frame of every job: its log, errors without a traceback, and its end with the run that started it."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from gauntlet.errors import GauntletError
from gauntlet.runtime.files import is_alive, storing

RUN_VARIABLE = "GAUNTLET_RUN"
"""Environment variable that names a run to its jobs: where it goes on, and its process."""

SECONDS_BETWEEN_LOOKS = 0.5
"""Time after which a job has noticed that the run was killed."""


class _Tee:
    """Write to the terminal and to the job's log at once."""

    def __init__(self, terminal: TextIO, log: TextIO) -> None:
        self._terminal, self._log = terminal, log

    def write(self, text: str) -> int:
        with suppress(OSError):  # A log on a full disk must not hide what the job has to say.
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
    _end_with_the_run()
    path = Path(snakemake.log[0])
    terminal = sys.stderr
    try:
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = path.open("w", encoding="utf-8")
    except GauntletError as error:
        print(f"\n{error}\n", file=terminal)
        sys.exit(1)
    with closing_quietly(stream):
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
            # The process is about to end: a last search for cycles among a million objects of the libraries takes
            # half a second of every job.
            gc.freeze()


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


@contextmanager
def closing_quietly(stream: TextIO) -> Iterator[None]:
    """Close a stream at the end, whose last lines may find no room."""
    try:
        yield
    finally:
        with suppress(OSError):
            stream.close()


def this_place() -> str:
    """Return where processes see each other: the node, and under Slurm the allocation."""
    return f"{os.uname().nodename}/{os.environ.get('SLURM_JOB_ID', '')}"


def _end_with_the_run() -> None:
    """Let the job end soon after the run that started it was killed, so that nothing goes on unseen.

    A job that runs elsewhere, through Slurm, goes on.
    """
    place, _, process = os.environ.get(RUN_VARIABLE, "").rpartition(":")
    if place != this_place():
        return

    def watch() -> None:
        while is_alive(int(process)):
            time.sleep(SECONDS_BETWEEN_LOOKS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def log(message: str) -> None:
    """Print one progress line with the time of day."""
    with suppress(OSError):  # Standard error may be a file on a full disk.
        print(f"[{time.strftime('%H:%M:%S')}] {message}", file=sys.stderr, flush=True)
