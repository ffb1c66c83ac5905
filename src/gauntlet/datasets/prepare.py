"""Prepare a split: find or fetch its files, turn them into arrays, say in a manifest what was done."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gauntlet.datasets.containers import Folder, Place, locate
from gauntlet.datasets.downloads import UNPACKED_MD5, fetch, file_md5
from gauntlet.datasets.imageset import IMAGES, LABELS, MANIFEST
from gauntlet.datasets.reading import Reading, read_source, unpacked
from gauntlet.datasets.settings import (
    CifarBinary,
    DatasetSettings,
    EmbeddedDigits,
    Idx,
    ImageFolder,
    ImageNetValidation,
    ImageTable,
    NumpyArrays,
    Source,
    SplitSettings,
)
from gauntlet.errors import ConfigurationError, DataError, ResourceUnavailable
from gauntlet.runtime.availability import Availability
from gauntlet.runtime.checksums import write_sealed_json
from gauntlet.runtime.files import file_sha256, storing, unfinished
from gauntlet.runtime.job import log
from gauntlet.runtime.manifest import Recorder

DOWNLOADS = Path("results/downloads")
"""Folder of downloaded files unless another one is given."""


@dataclass(frozen=True)
class _Found:
    """A source whose files exist, below ``data_root`` or below the folder of downloads."""

    source: Source
    places: dict[str, Place]
    origin: str


def availability(
    settings: DatasetSettings, split: str, data_root: str | Path | None = None, cache: str | Path = DOWNLOADS
) -> Availability:
    """Return whether a split can be had here, without opening its files and without the network.

    Raises:
        ConfigurationError: ``data_root`` does not exist, or there is no such split.
    """
    wanted = settings.split(split)
    if _find(wanted, data_root, Path(cache)):
        return Availability(local=True, hosts=(), reason="")
    absent = [download for download in wanted.downloads if not (Path(cache) / download.to).exists()]
    hosts = tuple(sorted({download.host for download in absent}))
    return Availability(local=False, hosts=hosts, reason=_not_found(wanted, data_root))


def prepare_split(
    settings: DatasetSettings,
    dataset: str,
    split: str,
    output_folder: str | Path,
    *,
    data_root: str | Path | None = None,
    cache: str | Path = DOWNLOADS,
    threads: int | None = None,
) -> dict[str, Any]:
    """Write ``images.npy``, ``labels.npy`` and ``manifest.json`` into a folder: all of them or none.

    Args:
        settings: the data set's entry of the configuration.
        dataset: its name.
        split: ``train`` or ``test``.
        output_folder: where to write.
        data_root: folder in which data is looked for before anything is downloaded; empty: none.
        cache: the folder of downloads.
        threads: threads that decode images; by default one per processor, eight at most.

    Returns:
        The manifest.

    Raises:
        DataError: a file is missing, damaged, or not what the settings say.
        ResourceUnavailable: there is no local source, and none can be downloaded.
        ConfigurationError: ``data_root`` does not exist, or there is no such split.
    """
    recorder = Recorder()
    output, cache = Path(output_folder), Path(cache)
    wanted = settings.split(split)
    found = _find(wanted, data_root, cache)
    if found is None:
        if not wanted.downloads:
            raise ResourceUnavailable(f"{dataset}/{split} {_not_found(wanted, data_root)}")
        found = _download(wanted, cache)
    notes, warnings = _check_published_files(found, wanted)
    origin = "the package that ships it" if found.origin == "embedded" else found.origin
    log(f"Preparing {dataset}/{split} from {origin} ({_describe(found.source)})")
    reading = read_source(found.source, found.places, settings, split)
    count = len(reading.labels)
    if count == 0:
        raise DataError(f"{_describe(found.source)}: no image of {dataset}/{split} found there")
    counts = np.bincount(reading.labels, minlength=len(reading.classes))
    warnings += _unusual(counts, reading.classes, wanted.size)
    temporary = unfinished(output)
    try:
        with storing(output):
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            _write_arrays(reading, settings.shape, temporary, threads or min(8, os.cpu_count() or 1))
            manifest = recorder.manifest(
                {"dataset": dataset, "split": split, "settings": settings.specification(split)},
                source={"origin": found.origin, **found.source.model_dump(mode="json")},
                shape=[count, *settings.shape],
                classes=reading.classes,
                images_per_class=dict(zip(reading.classes, counts.tolist(), strict=True)),
                images_sha256=file_sha256(temporary / IMAGES),
                labels_sha256=file_sha256(temporary / LABELS),
                notes=[*notes, *reading.notes],
                warnings=warnings,
                licence=settings.licence,
            )
            write_sealed_json(temporary / MANIFEST, manifest)
            output.mkdir(exist_ok=True)
            # The manifest goes first and comes last: without it the folder does not count as prepared.
            (output / MANIFEST).unlink(missing_ok=True)
            for name in (IMAGES, LABELS, MANIFEST):
                (temporary / name).replace(output / name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    summary = f"{dataset}/{split}: {count:,} images of {len(reading.classes):,} classes"
    log("; ".join([summary, *manifest["notes"]]))
    for warning in warnings:
        log(f"Warning: {dataset}/{split}: {warning}")
    return manifest


def _write_arrays(reading: Reading, shape: tuple[int, int, int], folder: Path, threads: int) -> None:
    size = len(reading.labels) * int(np.prod(shape))
    # A memory map on a full disk ends the process without a message.
    if size > shutil.disk_usage(folder).free:
        raise DataError(f"{folder.parent} has no room for {size >> 20:,} MiB of images; free some space")
    images = np.lib.format.open_memmap(folder / IMAGES, "w+", np.uint8, (len(reading.labels), *shape))
    reading.fill(images, threads)
    images.flush()
    np.save(folder / LABELS, reading.labels)


def _find(wanted: SplitSettings, data_root: str | Path | None, cache: Path) -> _Found | None:
    """Return the first source that exists, those below ``data_root`` first."""
    roots: list[tuple[str, Path | None]] = [("data_root", _data_root(data_root)), ("downloads", cache)]
    for origin, root in roots:
        for source in wanted.sources:
            places = _places(source, root)
            if places is not None:
                return _Found(source, places, origin if places else "embedded")
    return None


def _data_root(data_root: str | Path | None) -> Path | None:
    if not data_root:
        return None
    folder = Path(data_root).expanduser()
    if folder.is_file():  # A bundle of results, which holds no data sets.
        return None
    if not folder.is_dir():
        raise ConfigurationError(
            "the folder of local data does not exist",
            key="data_root",
            found=data_root,
            valid="a folder, or empty",
        )
    return folder


def _places(source: Source, root: Path | None) -> dict[str, Place] | None:
    """Return the places of a source's files, by setting; None if one is absent; ``{}`` if it needs none."""
    places: Mapping[str, Place | None]
    match source:
        case EmbeddedDigits():
            return {}
        case Idx():
            files = {"images": source.images, "labels": source.labels}
            places = {key: locate(root, path) or locate(root, f"{path}.gz") for key, path in files.items()}
        case CifarBinary():
            place = locate(root, source.path)
            is_here = place is not None and all(_may_hold(place, file) for file in source.files)
            places = {"path": place if is_here else None}
        case ImageFolder() | NumpyArrays():
            places = {"path": locate(root, source.path)}
        case ImageTable():
            places = {"path": locate(root, source.path), "table": locate(root, source.table)}
        case ImageNetValidation():
            place, devkit = locate(root, source.path), locate(root, source.devkit)
            if devkit is None:
                # Class folders need no development kit; whether an archive has them shows when it is read.
                return {"path": place} if place is not None and _has_folders(place) else None
            places = {"path": place, "devkit": devkit}
    present = {key: place for key, place in places.items() if place is not None}
    return present if len(present) == len(places) else None


def _may_hold(place: Place, file: str) -> bool:
    return not isinstance(place.container, Folder) or (place.container.path / place.inside / file).is_file()


def _has_folders(place: Place) -> bool:
    if not isinstance(place.container, Folder):
        return True
    with os.scandir(place.container.path) as entries:
        return any(entry.is_dir() and not entry.name.startswith(".") for entry in entries)


def _download(wanted: SplitSettings, cache: Path) -> _Found:
    for download in wanted.downloads:
        fetch(download, cache)
    found = _find(wanted, None, cache)
    if found is None:
        raise ConfigurationError(
            "the downloads make none of the sources",
            key="downloads",
            found=", ".join(download.to for download in wanted.downloads),
            valid=_looked_for(wanted),
        )
    return found


def _check_published_files(found: _Found, wanted: SplitSettings) -> tuple[list[str], list[str]]:
    """Compare files that have a published checksum, packed or unpacked, with it; return notes and warnings.

    A user's own file may differ, which is a warning; a downloaded one was right once and may not.
    """
    published = {Path(download.to).name: download.md5 for download in wanted.downloads}
    notes, warnings = [], []
    for place in found.places.values():
        path = place.container.path
        file = path / place.inside if isinstance(place.container, Folder) else path
        name = next((name for name in (file.name, f"{file.name}.gz") if name in published), None)
        if not file.is_file() or name is None:
            continue
        if name == file.name and file_md5(file) == published[name]:
            notes.append(f"{file.name} is the published file")
        elif published[name] in UNPACKED_MD5 and _unpacked_md5(place) == UNPACKED_MD5[published[name]]:
            notes.append(f"{file.name} holds what the published file holds")
        elif found.origin == "downloads":
            raise DataError(
                f"{file} has changed since it was downloaded; delete it, and it is downloaded again"
            )
        elif name == file.name or published[name] in UNPACKED_MD5:
            warnings.append(f"{file.name} differs from the published file")
    return notes, warnings


def _unpacked_md5(place: Place) -> str:
    return hashlib.md5(unpacked(place), usedforsecurity=False).hexdigest()


def _unusual(counts: np.ndarray, classes: list[str], size: int | None) -> list[str]:
    """Return what is unusual about the numbers of images, for the user to be warned of."""
    warnings = []
    if size and counts.sum() != size:
        warnings.append(f"{counts.sum():,} of {size:,} images")
    absent = [name for name, count in zip(classes, counts, strict=True) if not count]
    if absent:
        shown = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
        warnings.append(f"no image of {len(absent)} of {len(classes)} classes ({shown})")
    return warnings


def _not_found(wanted: SplitSettings, data_root: str | Path | None) -> str:
    where = f"in data_root ({data_root})" if data_root else "as no data_root is set"
    reason = f"not found {where}: looked for {_looked_for(wanted)}"
    return f"{reason}. {wanted.obtain}" if wanted.obtain else reason


def _looked_for(wanted: SplitSettings) -> str:
    return ", ".join(dict.fromkeys(_describe(source) for source in wanted.sources))


def _describe(source: Source) -> str:
    """Name a source by its first path."""
    match source:
        case EmbeddedDigits():
            return f"embedded digits, {source.variant}"
        case Idx():
            return source.images
        case _:
            return source.path
