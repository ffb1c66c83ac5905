"""Downloads: resumed where they broke off, checked before they get their name, shared between jobs."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from filelock import FileLock

from gauntlet.errors import DataError, ResourceUnavailable
from gauntlet.runtime.job import log

PATIENCE_SECONDS = 60
SECONDS_BETWEEN_LINES = 10
BLOCK = 1 << 20


def download(url: str, target: Path, fault: Callable[[Path], str | None]) -> Path:
    """Fetch a file unless it is there; a job that wants the same file waits for the first one.

    Args:
        url: where it is.
        target: where it goes. An unfinished transfer stays beside it as ``.part`` and is continued next time.
        fault: looks at the fetched file and says what is wrong with it, or None.

    Returns:
        The target.

    Raises:
        ResourceUnavailable: the host cannot be reached or does not deliver.
        DataError: what it delivered has a fault; it is removed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with FileLock(target.with_name(f".{target.name}.lock")):
        if target.is_file():
            return target
        log(f"downloading {url}")
        try:
            _transfer(url, part)
        except (OSError, HTTPException) as error:
            raise ResourceUnavailable(
                f"{url} cannot be downloaded ({error}); try again, or save the file as {target} yourself"
            ) from error
        found = fault(part)
        if found:
            part.unlink()
            raise DataError(f"what {url} delivers cannot be used: {found}")
        part.rename(target)
    return target


def _transfer(url: str, part: Path) -> None:
    """Append to ``part`` whatever it lacks of the file."""
    size = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "gauntlet"})
    if size:
        request.add_header("Range", f"bytes={size}-")
    try:
        response = urllib.request.urlopen(request, timeout=PATIENCE_SECONDS)
    except urllib.error.HTTPError as error:
        if (
            error.code == 416 and size
        ):  # No bytes follow: the file is complete, or its check will say what it is.
            return
        raise
    with response, part.open("ab" if response.status == 206 else "wb") as stream:
        expected = int(response.headers.get("Content-Length") or 0)
        received, last_line = 0, time.monotonic()
        while block := response.read(BLOCK):
            stream.write(block)
            received += len(block)
            if time.monotonic() - last_line > SECONDS_BETWEEN_LINES:
                last_line = time.monotonic()
                log(f"{received / 2**20:.0f} of {expected / 2**20:.0f} MiB")
    if received < expected:
        raise OSError(f"the connection broke after {received} of {expected} bytes")
