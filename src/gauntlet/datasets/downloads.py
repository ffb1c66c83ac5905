"""Downloads: resumed where they broke off, checked against their MD5, never half there under their name."""

from __future__ import annotations

import fcntl
import hashlib
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from gauntlet.datasets.settings import Download
from gauntlet.errors import DataError, ResourceUnavailable
from gauntlet.runtime.job import say

_TIMEOUT_SECONDS = 60


def file_md5(path: Path) -> str:
    """Return the MD5 of a file, the checksum that the publishers of these data sets give."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def fetch(download: Download, folder: Path) -> Path:
    """Bring a file into the folder of downloads unless it is there, and return its path.

    Jobs that want the same file wait for the one that fetches it. A broken transfer is kept as ``.part`` and
    goes on from there the next time.

    Raises:
        ResourceUnavailable: the host cannot be reached or does not deliver.
        DataError: what it delivered has another checksum.
    """
    target = folder / download.to
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with target.with_name(f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return target
        say(f"Downloading {download.url}")
        try:
            _transfer(download.url, part)
        except (OSError, HTTPException) as error:
            raise ResourceUnavailable(
                f"{download.url} cannot be downloaded ({error}); try again later, or get the file elsewhere "
                f"and put it at {target}"
            ) from error
        found = file_md5(part)
        if found != download.md5:
            part.unlink()
            raise DataError(
                f"{download.url} delivered a file with MD5 {found} instead of {download.md5}; it was deleted"
            )
        part.rename(target)
    return target


def _transfer(url: str, part: Path) -> None:
    """Append to ``part`` what it lacks of the file at ``url``."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "gauntlet"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        # 416: there is nothing behind what we have. The checksum tells whether that is the whole file.
        if error.code == 416:
            return
        raise
    with response, part.open("ab" if response.status == 206 else "wb") as stream:
        announced = int(response.headers.get("Content-Length") or 0)
        done, spoken = 0, time.monotonic()
        while block := response.read(1 << 20):
            stream.write(block)
            done += len(block)
            if time.monotonic() - spoken > 10:
                spoken = time.monotonic()
                say(f"{done >> 20:,} of {announced >> 20:,} MiB")
    if announced and done < announced:
        raise OSError(f"the connection broke after {done:,} of {announced:,} bytes")
