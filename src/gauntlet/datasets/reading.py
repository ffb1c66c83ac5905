"""Readers of the formats: each turns the files of one source into labels and a way to fill the images."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gauntlet.datasets.containers import MOST_BYTES, Place
from gauntlet.datasets.decoding import decode_all
from gauntlet.datasets.digits import embedded_digits
from gauntlet.datasets.folders import Listing, list_folder, list_imagenet, list_table
from gauntlet.datasets.settings import (
    CifarBinary,
    DatasetSettings,
    EmbeddedDigits,
    Idx,
    ImageFolder,
    ImageNetValidation,
    ImageTable,
    NumpyArrays,
    Resize,
    Source,
)
from gauntlet.errors import DataError

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """One split before its images are written.

    Attributes:
        labels: int64 ``[N]``.
        classes: names in the order of the labels.
        fill: writes the images into a uint8 array ``[N, C, H, W]`` with this many threads.
        notes: what the manifest should say.
    """

    labels: Labels
    classes: list[str]
    fill: Callable[[NDArray[np.uint8], int], None]
    notes: list[str] = field(default_factory=list)


def read_source(
    source: Source, places: Mapping[str, Place], settings: DatasetSettings, split: str
) -> Reading:
    """Read a source whose files have been found at ``places`` (by the name of the source's setting).

    Raises:
        DataError: a file is damaged, or holds something else than the settings say.
    """
    match source:
        case EmbeddedDigits():
            return _of_arrays(*embedded_digits(split, source.variant), settings, "the embedded digits")
        case Idx():
            return _read_idx(places["images"], places["labels"], settings)
        case CifarBinary():
            return _read_cifar(source, places["path"], settings)
        case ImageFolder():
            return _of_listing(list_folder(places["path"], settings, source.order), settings, source.resize)
        case ImageTable():
            listing = list_table(places["path"], places["table"], source, settings)
            return _of_listing(listing, settings, source.resize)
        case ImageNetValidation():
            listing = list_imagenet(places["path"], places.get("devkit"), settings)
            return _of_listing(listing, settings, source.resize)
        case NumpyArrays():
            return _read_arrays(places["path"], settings)


def _of_arrays(
    images: NDArray[np.uint8], labels: Labels, settings: DatasetSettings, where: object
) -> Reading:
    if images.shape[1:] != settings.shape:
        raise DataError(f"{where}: images have shape {images.shape[1:]} instead of {settings.shape}")
    if len(images) != len(labels):
        raise DataError(f"{where}: {len(images):,} images but {len(labels):,} labels; get both files again")
    if len(labels) and not 0 <= labels.min() <= labels.max() < settings.class_count:
        raise DataError(
            f"{where}: labels run from {labels.min()} to {labels.max()}, but there are "
            f"{settings.class_count} classes"
        )
    names = settings.class_names or [str(label) for label in range(settings.class_count)]

    def fill(into: NDArray[np.uint8], threads: int) -> None:
        into[:] = images

    return Reading(labels, names, fill)


def _read_arrays(place: Place, settings: DatasetSettings) -> Reading:
    try:
        # Without pickles: to load one is to run what it says.
        with np.load(place.container.path / place.inside, allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{place} holds no plain arrays named images and labels ({error})") from error
    if images.dtype != np.uint8 or images.ndim != 4 or labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"{place}: images are {images.dtype} of shape {images.shape} and labels {labels.dtype} of shape "
            f"{labels.shape} instead of uint8 [N, H, W, C] and integers [N]"
        )
    return _of_arrays(images.transpose(0, 3, 1, 2), labels.astype(np.int64), settings, place)


def _of_listing(listing: Listing, settings: DatasetSettings, resize: Resize) -> Reading:
    places = {name: index for index, name in enumerate(listing.names)}

    def fill(into: NDArray[np.uint8], threads: int) -> None:
        container = listing.container
        encoded = container.read(listing.names)
        decode_all(encoded, places, into, where=container.path, resize=resize, threads=threads)

    return Reading(listing.labels, listing.classes, fill, listing.notes)


def _read_idx(images: Place, labels: Place, settings: DatasetSettings) -> Reading:
    return _of_arrays(
        parse_idx(unpacked(images), str(images), dimensions=3)[:, None],
        parse_idx(unpacked(labels), str(labels), dimensions=1).astype(np.int64),
        settings,
        images,
    )


def parse_idx(content: bytes, name: str, *, dimensions: int) -> NDArray[np.uint8]:
    """Parse an IDX file of bytes: two zeros, type 8, number of dimensions, big-endian sizes, then the data.

    Raises:
        DataError: another type, another number of dimensions, or another length than the header says.
    """
    start = 4 + 4 * dimensions
    if len(content) < start or content[:4] != bytes([0, 0, 8, dimensions]):
        raise DataError(f"{name} is no IDX file of bytes with {dimensions} dimension(s)")
    sizes = struct.unpack(f">{dimensions}I", content[4:start])
    # In Python's integers: the product of four-byte sizes of a damaged header must not wrap around.
    expected = 1
    for size in sizes:
        expected *= size
    if len(content) - start != expected:
        raise DataError(
            f"{name} is truncated or altered: its header announces {expected:,} bytes, "
            f"{len(content) - start:,} follow; get it again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(sizes)


def unpacked(place: Place) -> bytes:
    """Return a file's content, decompressed if it is gzip-compressed.

    Raises:
        DataError: it is damaged, or larger than what is read.
    """
    content = place.content()
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        plain = gzip.GzipFile(fileobj=io.BytesIO(content)).read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{place} is truncated or damaged ({error}); get it again") from error
    if len(plain) > MOST_BYTES:
        raise DataError(f"{place} unpacks to more than {MOST_BYTES >> 20} MiB, which is refused")
    return plain


def _read_cifar(source: CifarBinary, folder: Place, settings: DatasetSettings) -> Reading:
    pixels = int(np.prod(settings.shape))
    record = source.label_bytes + pixels
    names = {f"{folder.inside}/{file}".lstrip("/"): file for file in source.files}
    parts: dict[str, NDArray[np.uint8]] = {}
    for name, content in folder.container.read(list(names)):
        if not content or len(content) % record:
            raise DataError(
                f"{folder.container.path / name} is truncated or altered: {len(content):,} bytes are no "
                f"whole number of records of {record:,} bytes; get it again"
            )
        parts[names[name]] = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
    missing = [file for file in source.files if file not in parts]
    if missing:
        raise DataError(f"{folder} does not hold {', '.join(missing)}")
    records = np.concatenate([parts[file] for file in source.files])
    labels = records[:, source.label_bytes - 1].astype(np.int64)
    images = records[:, source.label_bytes :].reshape(-1, *settings.shape)
    return _of_arrays(images, labels, settings, folder)
