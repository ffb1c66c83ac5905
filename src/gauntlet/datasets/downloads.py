"""Fetch the files of a data set, checked against the MD5 that its publisher gives."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gauntlet.datasets.settings import Download
from gauntlet.runtime.downloads import download

UNPACKED_MD5 = {
    "f68b3c2dcbeaaa9fbdd348bbdeb94873": "6bbc9ace898e44ae57da46a324031adb",
    "d53e105ee54ea40749a09fcbcd1e9432": "a25bea736e30d166cdddb491f175f624",
    "9fb629c4189551a2d022fa330f9573f3": "2646ac647ad5339dbf082846283269ea",
    "ec29112dd5afa0611ce80d1b7f02629c": "27ae3e4e09519cfbb04c329615203637",
}
"""MD5 of the content of MNIST's four files by the MD5 of the published, compressed file: many keep them unpacked."""


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
