"""Files that are either whole or absent: write beside the target, then rename. What cannot be written is explained."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gauntlet.errors import StorageError

STORAGE_CAUSES = {
    errno.ENOSPC: "no space is left on the disk; free some",
    errno.EDQUOT: "the quota of the disk is used up; free some space",
    errno.EFBIG: "the file would be larger than is allowed; raise the limit (ulimit -f)",
    errno.EROFS: "the file system is read-only; make it writable",
    errno.EACCES: "permission is denied; change the owner or the mode",
    errno.EPERM: "the operation is not permitted; change the owner or the mode",
    errno.EIO: "the disk reports an error; look at the system's log",
}
"""Causes of errors that lie in the disk and not in what is written, with the remedy."""

_UNFINISHED = re.compile(r"\..+\.unfinished-(.+)-(\d+)(\.\w+)?")
_A_DAY = 86_400
_PROBE_BYTES = 1 << 20


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` and rename it there on success; remove it on failure.

    The temporary name keeps the suffix, because writers choose a format by it.

    Raises:
        StorageError: the disk is full or not to be written.
    """
    target = Path(target)
    temporary = unfinished(target)
    try:
        with storing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def unfinished(target: Path) -> Path:
    """Return the name that a file or folder has until it is whole; it names the process that writes it."""
    return target.with_name(f".{target.stem}.unfinished-{_node()}-{os.getpid()}{target.suffix}")


def remove_unfinished(*folders: Path) -> list[Path]:
    """Remove what killed processes of this node left unfinished below some folders, and what others left a day ago."""
    removed = []
    for folder in folders:
        for parent, names, files in os.walk(folder):
            for name in [*names, *files]:
                found = _UNFINISHED.fullmatch(name)
                place = Path(parent) / name
                if found and _is_abandoned(place, found[1], int(found[2])):
                    removed.append(place)
                    if name in names:
                        names.remove(name)
                        shutil.rmtree(place, ignore_errors=True)
                    else:
                        place.unlink(missing_ok=True)
    return removed


def _is_abandoned(place: Path, node: str, process: int) -> bool:
    try:
        return not is_alive(process) if node == _node() else time.time() - place.stat().st_mtime > _A_DAY
    except FileNotFoundError:
        return False


def is_alive(process: int) -> bool:
    """Whether a process of this user on this node is alive."""
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


def _node() -> str:
    return re.sub(r"\W", "_", os.uname().nodename)


@contextmanager
def storing(target: Path) -> Iterator[None]:
    """Turn whatever a writer says over a full or read-only disk into a StorageError that names file and cause."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause = _storage_cause(error, target.parent)
        if cause is None:
            raise
        raise StorageError(
            f"{target} cannot be written: {cause}. Then give the same command again"
        ) from error


def _storage_cause(error: Exception, folder: Path) -> str | None:
    """Return what is wrong with the disk; None if an error has other causes."""
    number = getattr(error, "errno", None)
    if number is None:
        # NumPy and torch do not pass on why a write failed. Another one tells.
        probe = folder / f".probe-{os.getpid()}"
        try:
            probe.write_bytes(bytes(_PROBE_BYTES))
        except OSError as found:
            number = found.errno
        finally:
            probe.unlink(missing_ok=True)
    return STORAGE_CAUSES.get(number) if number is not None else None


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON atomically, indented, keys in their given order."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def compact_json(value: Any) -> str:
    """Write a value as JSON without spaces. Keys keep their order, because the order of entries can matter."""
    return json.dumps(value, separators=(",", ":"))


def fingerprint(value: Any) -> str:
    """Return 16 hexadecimal digits that identify a JSON value, the order of its keys included."""
    return hashlib.sha256(compact_json(value).encode()).hexdigest()[:16]


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, read in blocks."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def source_fingerprint(*packages: str) -> str:
    """Return digits that identify the source code of packages, without importing them."""
    digest = hashlib.sha256()
    for package in packages:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            for file in sorted(Path(folder).rglob("*.py")):
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
