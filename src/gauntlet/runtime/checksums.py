"""Checksums of intermediate files: a file is as it was written, or it is refused.

A file carries its checksum inside, so that it survives a copy: in the metadata of a parquet file, under a key of a
JSON file, behind the end of a NumPy or torch file, which their readers leave alone. Files whose own hash identifies
something (weights, images) stay as they are; a manifest beside them holds their hashes.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gauntlet.errors import DataError
from gauntlet.runtime.files import atomic_path, file_sha256
from gauntlet.runtime.job import log

CHECKSUM_KEY = "gauntlet-checksum"
"""Key of the checksum in a file."""

_VALUE = "gauntlet-sha256:"
_BLANK = b"0" * 64
BLANK_CHECKSUM = _VALUE + _BLANK.decode()
"""Value of the key while the checksum is computed: the SHA-256 of the whole file, in which it stands like this."""

# Key and value name the checksum twice: a flipped bit may hide one of the two, but not both.
_MARK = re.compile(
    re.escape(CHECKSUM_KEY.encode()) + rb".{1,8}?" + re.escape(_VALUE.encode()) + rb"([0-9a-f]{64})",
    re.DOTALL,
)
_HALVES = (CHECKSUM_KEY.encode(), _VALUE.encode())
_TRAILER = f"\n{CHECKSUM_KEY} {BLANK_CHECKSUM}\n".encode()
_TAKE_A_TRAILER = (".npy", ".npz", ".pt")


@contextmanager
def sealed_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path, then put a checksum into what was written there and rename it to ``target``.

    A parquet or JSON file has to bring the key ``CHECKSUM_KEY`` with the value ``BLANK_CHECKSUM``.
    """
    with atomic_path(target) as temporary:
        yield temporary
        _seal(temporary)


def _seal(file: Path) -> None:
    digest = hashlib.sha256()
    with file.open("r+b") as stream:
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            digest.update(content)
            at = (
                content.rfind(BLANK_CHECKSUM.encode()) if file.suffix not in _TAKE_A_TRAILER else len(content)
            )
        if at < 0:
            raise ValueError(f"{file} has no place for a checksum")
        stream.seek(at)
        if file.suffix in _TAKE_A_TRAILER:
            digest.update(_TRAILER)
            stream.write(_TRAILER.replace(_BLANK, digest.hexdigest().encode()))
        else:
            stream.write(_VALUE.encode() + digest.hexdigest().encode())


def fault_of(file: Path) -> str | None:
    """Return why a file is not what was written, or None. A file without a checksum, of an earlier version, passes.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    with file.open("rb") as stream:
        if not file.stat().st_size:
            return "it is empty"
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            # Near the end in all formats, and so found at once.
            start = max(content.rfind(half) for half in _HALVES)
            if start < 0:
                return None
            mark = _MARK.search(content, max(0, start - len(_TRAILER)))
            if mark is None:
                return "its checksum is damaged"
            digest = hashlib.sha256()
            with memoryview(content) as whole:
                digest.update(whole[: mark.start(1)])
                digest.update(_BLANK)
                digest.update(whole[mark.end(1) :])
            same = digest.hexdigest().encode() == mark[1]
            del mark  # It refers to the map, which could not be closed.
            return None if same else "its content is not what was written"


def verify(file: Path) -> None:
    """Raise DataError if a file is absent, unreadable or not what was written."""
    try:
        fault = fault_of(file)
    except OSError as error:
        raise damaged(file, f"it cannot be read ({error.strerror})") from None
    if fault:
        raise damaged(file, fault)


def verify_hash(file: Path, sha256: str | None) -> str:
    """Return the SHA-256 of a file; raise DataError if it is not the recorded one. None: nothing was recorded."""
    try:
        found = file_sha256(file)
    except OSError as error:
        raise damaged(file, f"it cannot be read ({error.strerror})") from None
    if sha256 is not None and found != sha256:
        raise damaged(file, "its content is not what was written")
    return found


def damaged(file: Path, fault: object) -> DataError:
    """Return the error of a damaged result, with the commands that make it anew."""
    return DataError(
        f"{file} is damaged: {fault}\n"
        f"Remove it and give the same command again, which makes it anew:\n  rm -f {file}"
    )


def discard(file: Path, error: DataError) -> None:
    """Remove a damaged file that costs nothing but time, and say so."""
    file.unlink(missing_ok=True)
    log(f"{str(error).splitlines()[0]}; it is removed and computed anew")


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Verify a file; then raise whatever its reader says of damage as a DataError that names it."""
    verify(file)
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise damaged(file, f"{type(error).__name__}: {error}") from None


def write_sealed_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write a JSON mapping with its checksum, atomically, indented."""
    with sealed_path(path) as temporary:
        content = json.dumps({**value, CHECKSUM_KEY: BLANK_CHECKSUM}, indent=2)
        temporary.write_text(content + "\n", encoding="utf-8")


def read_sealed_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON mapping that `write_sealed_json` wrote, without its checksum.

    Raises:
        DataError: it is not there, or not what was written.
    """
    path = Path(path)
    with readable(path):
        content = dict(json.loads(path.read_text(encoding="utf-8")))
    content.pop(CHECKSUM_KEY, None)
    return content
