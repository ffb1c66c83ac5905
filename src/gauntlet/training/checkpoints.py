"""Published checkpoints: where they come from, and that they are what they claim to be."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal
from urllib.parse import urlsplit

from filelock import FileLock
from pydantic import AfterValidator, Field, model_validator

from gauntlet.errors import DataError, ResourceUnavailable
from gauntlet.runtime.availability import Availability
from gauntlet.runtime.checksums import readable
from gauntlet.runtime.downloads import download
from gauntlet.runtime.files import file_sha256, read_json, write_json
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
    "mmr",
    "fab_mnist",
    "fab_cifar",
    "fab_cifar_plain",
    "mnist_challenge",
    "cifar10_challenge",
]


def _below_the_folder(file: str) -> str:
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or not path.name or "\\" in file:
        raise ValueError("a checkpoint's file is a path below the folder checkpoints")
    return file


class CheckpointSettings(Strict):
    """Source of a published network: the grammar of a model's ``checkpoint``.

    Settings:
        file: its name as the publisher gave it, with the folders of an unpacked archive before it; looked for in
            the folder ``checkpoints`` of the data root before any download.
        url: address that delivers the file itself; null where a person has to fetch it.
        page: where a person finds it.
        sha256: its SHA-256, or at least the first eight digits, which torch hub puts into file names. Without it
            the file is never downloaded; one in the data root is accepted on first use and held to its hash from
            then on.
        format: how its parameters are named.
    """

    file: Annotated[str, AfterValidator(_below_the_folder)]
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
    if here is not None:
        return Availability(local=True)
    hosts = (urlsplit(settings.url).hostname or "",) if settings.url and settings.sha256 else ()
    return Availability(local=False, hosts=hosts, reason=_by_hand(settings))


def find(settings: CheckpointSettings, data_root: Path | None, downloads: Path) -> Path | None:
    """Return the file in the data root or, if its hash is published, among the downloads; unchecked, or None."""
    for folder in (data_root, downloads if settings.sha256 else None):
        if folder is not None and (folder / FOLDER / settings.file).is_file():
            return folder / FOLDER / settings.file
    return None


def fetch(settings: CheckpointSettings, data_root: Path | None, downloads: Path, accepted: Path) -> Path:
    """Return the checkpoint's file, downloaded if need be, with its hash checked.

    Args:
        settings: the checkpoint.
        data_root: the user's folder of data, if there is one.
        downloads: the folder of downloads.
        accepted: file of the hashes that were accepted on first use.

    Raises:
        ResourceUnavailable: it is not here and cannot be downloaded.
        DataError: its hash is another one than the published one or that of its first use.
    """
    here = find(settings, data_root, downloads)
    if here is not None and settings.sha256 is None:
        _hold_to_first_use(settings.file, here, accepted)
        return here
    if here is None:
        if settings.url is None or settings.sha256 is None:
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


def _hold_to_first_use(name: str, file: Path, accepted: Path) -> None:
    """Accept a file without a published hash the first time; from then on only the same content under its name."""
    accepted.parent.mkdir(parents=True, exist_ok=True)
    # Several models may be imported at once.
    with FileLock(accepted.with_name(f".{accepted.name}.lock")):
        hashes: dict[str, str] = {}
        if accepted.is_file():
            with readable(accepted):
                hashes = dict(read_json(accepted))
        found = file_sha256(file)
        if hashes.setdefault(name, found) != found:
            raise DataError(
                f"{file} has changed: its SHA-256 is {found}, and {accepted} holds {hashes[name]} under the "
                f"key {name} since its first use. Put the old file back; or, if the new one is right, remove "
                "that key and the models that were imported from the old one"
            )
        write_json(accepted, dict(sorted(hashes.items())))


def _by_hand(settings: CheckpointSettings) -> str:
    return (
        f"{FOLDER}/{settings.file} is not below the data root: save it there "
        f"from {settings.url or settings.page}"
    )
