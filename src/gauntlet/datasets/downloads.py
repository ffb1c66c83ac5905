"""Fetch the files of a data set, checked against the MD5 that its publisher gives."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gauntlet.datasets.settings import Download
from gauntlet.runtime.downloads import download


def file_md5(path: Path) -> str:
    """Return the MD5 of a file, the checksum that the publishers of these data sets give."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def fetch(wanted: Download, folder: Path) -> Path:
    """Bring a file into the folder of downloads unless it is there, and return its path.

    Raises:
        ResourceUnavailable: the host cannot be reached or does not deliver.
        DataError: what it delivered has another checksum; it was deleted.
    """

    def fault(file: Path) -> str | None:
        found = file_md5(file)
        return None if found == wanted.md5 else f"MD5 {found} instead of {wanted.md5}"

    return download(wanted.url, folder / wanted.to, fault)
