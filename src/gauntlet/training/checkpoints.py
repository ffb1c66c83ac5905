"""Published checkpoints: where they come from, and that they are what they claim to be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from gauntlet.errors import DataError, ResourceUnavailable
from gauntlet.runtime.availability import Availability
from gauntlet.runtime.downloads import download
from gauntlet.runtime.files import file_sha256
from gauntlet.training.schedules import Strict

FOLDER = "checkpoints"
"""Folder of checkpoints below the data root, and below the folder of downloads."""

FormatName = Literal[
    "torchvision",
    "madrylab_imagenet",
    "madrylab_cifar",
    "locuslab_imagenet",
    "locuslab_cifar",
    "hadisalman_cifar",
    "trades_cifar",
    "rays_mnist",
    "keras",
]


class CheckpointSettings(Strict):
    """Source of a published network: the grammar of a model's ``checkpoint``.

    Settings:
        file: its name, looked for in the folder ``checkpoints`` of the data root before any download.
        url: address that delivers the file itself; null where a person has to fetch it.
        page: where a person finds it.
        sha256: its SHA-256, or at least the first eight digits, which torch hub puts into file names. A file
            whose hash is not given here is not used.
        format: how its parameters are named.
    """

    file: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    page: str | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")] | None = None
    format: FormatName

    @model_validator(mode="after")
    def _has_an_origin(self) -> CheckpointSettings:
        if self.url is None and self.page is None:
            raise ValueError("a checkpoint needs a url, or the page where a person finds it")
        return self


def availability(settings: CheckpointSettings, data_root: Path | None, downloads: Path) -> Availability:
    """Return whether a checkpoint can be had, without fetching it.

    Args:
        settings: the checkpoint.
        data_root: the user's folder of data, if there is one.
        downloads: the folder of downloads.
    """
    here = find(settings, data_root, downloads)
    if settings.sha256 is None:
        return Availability(local=False, reason=_trust(settings, here))
    if here is not None:
        return Availability(local=True)
    hosts = () if settings.url is None else (urlsplit(settings.url).hostname or "",)
    return Availability(local=False, hosts=hosts, reason=_by_hand(settings))


def find(settings: CheckpointSettings, data_root: Path | None, downloads: Path) -> Path | None:
    """Return the file in the data root or among the downloads, unchecked, or None."""
    for folder in (data_root, downloads):
        if folder is not None and (folder / FOLDER / settings.file).is_file():
            return folder / FOLDER / settings.file
    return None


def fetch(settings: CheckpointSettings, data_root: Path | None, downloads: Path) -> Path:
    """Return the checkpoint's file, downloaded if need be, with its hash checked.

    Raises:
        ResourceUnavailable: it is not here and cannot be downloaded, or its hash is not given.
        DataError: its hash is another one.
    """
    here = find(settings, data_root, downloads)
    if settings.sha256 is None:
        raise ResourceUnavailable(_trust(settings, here))
    if here is None:
        if settings.url is None:
            raise ResourceUnavailable(_by_hand(settings))
        here = download(settings.url, downloads / FOLDER / settings.file, lambda file: _fault(file, settings))
    fault = _fault(here, settings)
    if fault:
        raise DataError(f"{here} cannot be used: {fault}; remove it to have it fetched anew")
    return here


def _fault(file: Path, settings: CheckpointSettings) -> str | None:
    found = file_sha256(file)
    if settings.sha256 is not None and found.startswith(settings.sha256):
        return None
    return f"its SHA-256 is {found}, and not {settings.sha256}"


def _trust(settings: CheckpointSettings, here: Path | None) -> str:
    """Log how to name the hash of a checkpoint that has none yet."""
    if here is None:
        return (
            f"no SHA-256 is known for {settings.file}: save it from {settings.url or settings.page} "
            f"in the folder {FOLDER} of the data root, and its SHA-256 will be shown here"
        )
    return f"{here} has SHA-256 {file_sha256(here)}; if you trust it, write this as sha256 of the checkpoint"


def _by_hand(settings: CheckpointSettings) -> str:
    return (
        f"{settings.file} is not here: save it from {settings.url or settings.page} "
        f"in the folder {FOLDER} of the data root"
    )
