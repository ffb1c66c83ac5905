"""Check the configuration at all scales: a mistake in a value of ``full`` stops a run of ``demo``, too."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gauntlet.configuration.expansion import SCALES
from gauntlet.configuration.loading import load_catalogue
from gauntlet.errors import ConfigurationError
from gauntlet.runtime.files import compact_json, source_fingerprint, write_text


def check_every_scale(folder: Path, overrides: Mapping[str, Any], memory: Path) -> None:
    """Load the configuration at every scale, unless it was found right before and has not changed since.

    Args:
        folder: the configuration folder.
        overrides: values that go before those of ``config.yaml``.
        memory: file that remembers what was found right, so that a run pays for the check once.

    Raises:
        ConfigurationError: as `load_catalogue`; the message names the scale.
    """
    state = _fingerprint(folder, overrides)
    if memory.is_file() and memory.read_text(encoding="utf-8").strip() == state:
        return
    for scale in SCALES:
        try:
            load_catalogue(folder, {**overrides, "scale": scale})
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{error.problem} (at scale {scale})",
                file=error.file,
                key=error.key,
                found=error.found,
                valid=error.valid,
            ) from None
    write_text(memory, f"{state}\n")


def _fingerprint(folder: Path, overrides: Mapping[str, Any]) -> str:
    """Return digits that identify everything that the check reads: configuration, published files, code."""
    digest = hashlib.sha256(compact_json({key: str(value) for key, value in overrides.items()}).encode())
    for file in sorted(folder.rglob("*")):
        if file.suffix == ".yaml":
            digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
        elif file.suffix == ".csv":
            digest.update(str(file.relative_to(folder)).encode())
    digest.update(source_fingerprint("gauntlet").encode())
    return digest.hexdigest()[:16]
