"""Images of a folder or archive, their order and their classes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from gauntlet.datasets.containers import Container, Place
from gauntlet.datasets.decoding import SUFFIXES
from gauntlet.datasets.settings import DatasetSettings, ImageTable, Order
from gauntlet.errors import ConfigurationError, DataError

_SHUFFLE_SEED = 1998


@dataclass(frozen=True)
class Listing:
    """Images that are still encoded.

    Attributes:
        container: the folder or archive.
        names: names of the images in it, in the order of the split.
        labels: int64 ``[N]``.
        classes: names in the order of the labels.
        notes: what the manifest should say.
    """

    container: Container
    names: list[str]
    labels: NDArray[np.int64]
    classes: list[str]
    notes: list[str] = field(default_factory=list)


def list_folder(place: Place, settings: DatasetSettings, order: Order) -> Listing:
    """List a folder that has one sub-folder per class, with images at any depth below it.

    Raises:
        DataError: a class has no image, or the folders are not as many as the classes.
    """
    images, notes = _images(place)
    found = sorted({relative.partition("/")[0] for relative in images if "/" in relative})
    classes = _class_names(found, settings, f"{place}")
    label_of = {name: label for label, name in enumerate(classes)}
    chosen = [relative for relative in images if relative.partition("/")[0] in label_of and "/" in relative]
    if len(chosen) < len(images):
        notes.append(f"{len(images) - len(chosen):,} images outside the folders of the classes left out")
    chosen.sort(key=lambda relative: (_natural(PurePosixPath(relative).name), relative))
    if order == "shuffled":
        # RandomState: the one generator of NumPy whose numbers are promised never to change.
        permutation = np.random.RandomState(_SHUFFLE_SEED).permutation(len(chosen))
        chosen = [chosen[index] for index in permutation]
    labels = np.array([label_of[relative.partition("/")[0]] for relative in chosen], dtype=np.int64)
    return Listing(place.container, [_join(place, relative) for relative in chosen], labels, classes, notes)


def list_table(place: Place, table: Place, source: ImageTable, settings: DatasetSettings) -> Listing:
    """List a folder of images whose classes stand in a table, as class names or as numbers from 0.

    Raises:
        DataError: the table is no such table, names an image that is absent, or an unknown class.
    """
    rows = _table_rows(table, source)
    images, notes = _images(place)
    files = [file for file, _ in rows]
    absent = sorted(set(files) - set(images))
    if absent:
        raise DataError(
            f"{table} names {len(absent):,} images that {place} does not hold, such as {absent[0]}"
        )
    if len(set(files)) != len(files):
        raise DataError(f"{table} names an image twice")
    if len(images) > len(files):
        notes.append(f"{len(images) - len(files):,} images that the table does not name left out")
    labels, classes = _table_labels([value for _, value in rows], table, settings)
    return Listing(place.container, [_join(place, file) for file in files], labels, classes, notes)


def list_imagenet(place: Place, devkit: Place | None, settings: DatasetSettings) -> Listing:
    """List the ILSVRC 2012 validation images in their official order.

    Either one folder per WordNet id, or flat: then the number in the file's name is the line of the
    development kit's ground truth, and the kit's numbers are translated into ranks among the sorted WordNet
    ids.

    Raises:
        DataError: the images are flat and there is no kit, or kit and images do not belong together.
    """
    images, notes = _images(place)
    if not images:
        raise DataError(f"{place} holds no images")
    if all("/" in relative for relative in images):
        return list_folder(place, settings, "name")
    if devkit is None:
        raise DataError(
            f"{place} has no class folders, and the development kit with the labels was not found; "
            "put ILSVRC2012_devkit_t12.tar.gz beside it"
        )
    truth, classes = _development_kit(devkit)
    if len(classes) != settings.class_count:
        raise DataError(f"{devkit} describes {len(classes):,} classes instead of {settings.class_count:,}")
    labels = []
    images.sort(key=_natural)
    for relative in images:
        number = re.search(r"_(\d+)\.\w+$", relative)
        if number is None or not 1 <= int(number[1]) <= len(truth):
            raise DataError(
                f"{place}: {relative} is no validation image; its name ends in a number up to {len(truth):,}"
            )
        labels.append(truth[int(number[1]) - 1])
    names = [_join(place, relative) for relative in images]
    return Listing(place.container, names, np.array(labels, dtype=np.int64), classes, notes)


def _images(place: Place) -> tuple[list[str], list[str]]:
    """Return the images below a place, relative to it, and a note on what else lies there."""
    prefix = f"{place.inside}/" if place.inside else ""
    names = place.container.names(place.inside)
    images = [name.removeprefix(prefix) for name in names if name.lower().endswith(SUFFIXES)]
    others = len(names) - len(images)
    return images, [f"{others:,} files that are no images left out"] if others else []


def _class_names(found: Sequence[str], settings: DatasetSettings, where: str) -> list[str]:
    """Return the classes of the settings, or the names found where the settings give only their number."""
    if settings.class_names is None:
        if len(found) != settings.class_count:
            raise DataError(
                f"{where} holds {len(found):,} classes instead of {settings.class_count:,}; correct "
                "`classes`, or list the names of the wanted ones there"
            )
        return sorted(found)
    missing = [name for name in settings.class_names if name not in found]
    if missing:
        raise DataError(
            f"{where} has no images of {_some(missing)} (classes there: {_some(sorted(found)) or 'none'})"
        )
    return settings.class_names


def _table_rows(table: Place, source: ImageTable) -> list[tuple[str, str]]:
    """Return file and class of every line of the table."""
    try:
        text = table.content().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{table} is not a text file ({error})") from error
    lines = [line for line in csv.reader(io.StringIO(text), delimiter=source.delimiter) if line]
    if isinstance(source.file_column, str):
        header = [name.strip() for name in lines[0]] if lines else []
        for column in (source.file_column, source.class_column):
            if column not in header:
                raise ConfigurationError(
                    "the table has no such column",
                    file=table,
                    found=column,
                    valid=", ".join(header) or "(empty)",
                )
        columns = header.index(source.file_column), header.index(str(source.class_column))
        lines = lines[1:]
    else:
        columns = source.file_column, int(source.class_column)
    if any(len(line) <= max(columns) for line in lines):
        raise DataError(f"{table} has a line with fewer than {max(columns) + 1} columns")
    return [(line[columns[0]].strip(), line[columns[1]].strip()) for line in lines]


def _table_labels(
    values: list[str], table: Place, settings: DatasetSettings
) -> tuple[NDArray[np.int64], list[str]]:
    """Return the labels that class names or numbers stand for, and the names of the classes."""
    distinct = sorted(set(values))
    names = settings.class_names
    if names is None and not all(value.isdecimal() for value in distinct):
        names = _class_names(distinct, settings, f"{table}")
    label_of = {str(label): label for label in range(settings.class_count)}
    label_of |= {name: label for label, name in enumerate(names or [])}
    unknown = [value for value in distinct if value not in label_of]
    if unknown:
        raise DataError(f"{table} names unknown classes: {_some(unknown)}")
    labels = np.array([label_of[value] for value in values], dtype=np.int64)
    return labels, names or [str(label) for label in range(settings.class_count)]


def _development_kit(devkit: Place) -> tuple[list[int], list[str]]:
    """Return the label of every validation image and the WordNet ids in the order of the labels."""
    from scipy.io import loadmat

    data = f"{devkit.inside}/data".lstrip("/")
    wanted = {f"{data}/meta.mat": "meta", f"{data}/ILSVRC2012_validation_ground_truth.txt": "truth"}
    contents = {wanted[name]: content for name, content in devkit.container.read(list(wanted))}
    if len(contents) != len(wanted):
        raise DataError(f"{devkit} is no development kit of ILSVRC 2012: it lacks one of {', '.join(wanted)}")
    try:
        synsets = np.atleast_1d(loadmat(io.BytesIO(contents["meta"]), squeeze_me=True)["synsets"])
        # Synsets with children are inner nodes of the hierarchy, not classes.
        wordnet_id = {
            int(number): str(name)
            for number, name, children in zip(
                synsets["ILSVRC2012_ID"], synsets["WNID"], synsets["num_children"], strict=True
            )
            if children == 0
        }
        classes = sorted(wordnet_id.values())
        rank = {name: label for label, name in enumerate(classes)}
        return [rank[wordnet_id[int(line)]] for line in contents["truth"].split()], classes
    except (KeyError, ValueError, TypeError, OSError, IndexError) as error:
        raise DataError(f"{devkit} is damaged or no development kit of ILSVRC 2012 ({error!r})") from error


def _natural(name: str) -> list[str | int]:
    """Sort key that counts: ``val_9`` before ``val_10``."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _join(place: Place, relative: str) -> str:
    return f"{place.inside}/{relative}" if place.inside else relative


def _some(names: Sequence[str]) -> str:
    """Name at most five of many."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
