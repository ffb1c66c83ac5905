"""From encoded images to uint8 arrays: size, color, and many at once."""

from __future__ import annotations

import io
import struct
import time
import warnings
import zlib
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from gauntlet.datasets.settings import Resize
from gauntlet.errors import DataError
from gauntlet.runtime.job import log

SUFFIXES = (".png", ".jpg", ".jpeg", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp", ".gif")
"""Endings, in any case, of the files that count as images."""

MOST_PIXELS = 1 << 26
"""An image with more pixels than this (8,192 x 8,192) is refused before it is decoded."""

_UNREADABLE = (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)
_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def decode(content: bytes, name: str, shape: tuple[int, int, int], resize: Resize) -> NDArray[np.uint8]:
    """Decode one image.

    Args:
        content: the encoded image.
        name: what to call it in messages.
        shape: channels (1: gray, 3: RGB), height and width that it shall have.
        resize: how to bring it to that size.

    Returns:
        uint8 ``[C, H, W]``.

    Raises:
        DataError: it is no image, is damaged or too large, has more than 8 bits per channel, or another size
            and ``resize`` is None.
    """
    channels, height, width = shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(content))
        if image.width * image.height > MOST_PIXELS:
            raise DataError(f"{name} has {image.width} x {image.height} pixels, which is refused")
        if image.mode in _DEEP_MODES:
            raise DataError(f"{name} has more than 8 bits per channel; convert it to 8 bits")
        image = image.convert("L" if channels == 1 else "RGB")
    except (*_UNREADABLE, Image.DecompressionBombError) as error:
        # Its own message names an object in memory.
        cause = "of no known format" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{name} is not a readable image ({cause}); replace it or take it out") from error
    if resize is not None:
        image = _resized(image, height, width, resize)
    if (image.height, image.width) != (height, width):
        raise DataError(
            f"{name} is {image.width} wide and {image.height} high instead of {width} and {height}; "
            "give its source a `resize` (stretch, square, or a number of pixels)"
        )
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _resized(image: Image.Image, height: int, width: int, resize: Resize) -> Image.Image:
    if resize == "stretch":
        return image.resize((width, height), Image.Resampling.BILINEAR)
    if resize == "square":
        side = min(image.size)
        return _centre(image, side, side).resize((width, height), Image.Resampling.BILINEAR)
    assert isinstance(resize, int)
    # The longer side is rounded down and the centre is rounded to even, as in torchvision's transforms.
    short = min(image.size)
    size = (resize * image.width // short, resize * image.height // short)
    image = image.resize(size, Image.Resampling.BILINEAR)
    return _centre(image, min(height, image.height), min(width, image.width))


def _centre(image: Image.Image, height: int, width: int) -> Image.Image:
    top, left = round((image.height - height) / 2), round((image.width - width) / 2)
    return image.crop((left, top, left + width, top + height))


def decode_all(
    encoded: Iterable[tuple[str, bytes]],
    places: Mapping[str, int],
    into: NDArray[np.uint8],
    *,
    where: Path,
    resize: Resize,
    threads: int,
) -> None:
    """Decode images in parallel while they are read.

    Args:
        encoded: names and contents, in any order.
        places: for every name the index of its image.
        into: uint8 ``[N, C, H, W]`` to fill.
        where: the folder or archive of the names, for messages.
        resize: how to bring images to the size.
        threads: number of threads; decoding lets them run side by side.

    Raises:
        DataError: see ``decode``; or an image of ``places`` was not among ``encoded``.
    """
    shape = into.shape[1], into.shape[2], into.shape[3]
    waiting: deque[Future[None]] = deque()
    found: set[str] = set()
    spoken = time.monotonic()

    def place(name: str, content: bytes) -> None:
        into[places[name]] = decode(content, str(where / name), shape, resize)

    pool = ThreadPoolExecutor(threads)
    try:
        for name, content in encoded:
            if name in found:
                raise DataError(f"{where} holds {name} twice; take one of the two out")
            found.add(name)
            waiting.append(pool.submit(place, name, content))
            # A short queue keeps the encoded images of a large archive out of memory.
            if len(waiting) > 64 * threads:
                waiting.popleft().result()
            if time.monotonic() - spoken > 10:
                spoken = time.monotonic()
                log(f"{len(found):,} of {len(places):,} images read")
        for future in waiting:
            future.result()
    finally:
        pool.shutdown(cancel_futures=True)
    if len(found) != len(places):
        gone = len(places) - len(found)
        raise DataError(f"{where}: {gone:,} images disappeared while they were read; try again")
