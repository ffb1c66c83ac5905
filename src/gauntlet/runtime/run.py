"""The start of a run: alone in its folder, after whatever a killed one left there, with places to write to."""

from __future__ import annotations

import atexit
import hashlib
import os
import tempfile
import time
from pathlib import Path

from filelock import FileLock, Timeout

from gauntlet.errors import GauntletError, StorageError
from gauntlet.runtime.files import read_json, remove_unfinished, storing, write_json
from gauntlet.runtime.job import RUN_VARIABLE, SECONDS_BETWEEN_LOOKS, log, this_place

_held: list[FileLock] = []
"""The lock of this process; it is released when the process ends, however it ends."""


def begin_run(folder: Path, outputs: tuple[Path, ...]) -> None:
    """Begin a run in a folder; after a killed one it goes on where that stopped.

    Args:
        folder: the working directory.
        outputs: folders that the run writes to.

    Raises:
        GauntletError: another run is alive in the folder.
        StorageError: a folder cannot be written to.
    """
    folder = folder.resolve()  # Snakemake may have left it by the time this process ends.
    note = folder / ".snakemake" / "gauntlet-run.json"
    for output in outputs:
        check_writable(output)
    note.parent.mkdir(parents=True, exist_ok=True)
    if not _take_lock(folder, note.with_suffix(".lock")):
        raise GauntletError(
            f"another run goes on in {folder}{_whose(note)}: wait for it, or end it first (Ctrl-C)"
        )
    if note.is_file():
        log("The last run here was killed. This one goes on where it stopped.")
        # Its jobs notice within that time, and end.
        time.sleep(2 * SECONDS_BETWEEN_LOOKS)
    removed = remove_unfinished(*outputs)
    if removed:
        log(f"Removed {len(removed)} unfinished files or folders that killed jobs had left")
    run = f"{this_place()}:{os.getpid()}"
    write_json(note, {"run": run, "since": time.strftime("%H:%M on %Y-%m-%d")})
    os.environ[RUN_VARIABLE] = run
    atexit.register(note.unlink, missing_ok=True)


def _take_lock(folder: Path, file: Path) -> bool:
    """Lock a folder until this process ends; False if another process holds the lock."""
    # Some file systems of clusters know no locks; there, runs of one machine exclude each other.
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    for place in (file, Path(tempfile.gettempdir()) / f"gauntlet-run-{os.getuid()}-{name}.lock"):
        lock = FileLock(place)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        except (NotImplementedError, OSError):
            continue
        _held.append(lock)
        return True
    return True


def _whose(note: Path) -> str:
    try:
        content = read_json(note)
        place, _, process = content["run"].rpartition(":")
        return f", process {process} on {place.rstrip('/')} since {content['since']}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def check_writable(folder: Path) -> None:
    """Raise StorageError if a folder cannot be written to, or made."""
    try:
        with storing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(b"probe")
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}; it has to be a folder") from None
