"""Variance of images along their principal directions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

IMAGES_AT_ONCE = 2048


def principal_variances(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the variances of images along their principal directions, in pixel scale, largest first.

    Args:
        images: uint8 ``[N, C, H, W]``, N at least 2.
    """
    rows = images.reshape(len(images), -1)
    starts = range(0, len(rows), IMAGES_AT_ONCE)
    # float32 products of a part at a time; their sum keeps the digits that small variances need.
    mean = sum(rows[start : start + IMAGES_AT_ONCE].sum(0, dtype=np.float64) for start in starts) / len(rows)
    covariance = np.zeros((rows.shape[1], rows.shape[1]))
    for start in starts:
        centered = (rows[start : start + IMAGES_AT_ONCE] - mean).astype(np.float32) / np.float32(255)
        covariance += centered.T @ centered
    variances = np.linalg.eigvalsh(covariance / (len(rows) - 1))
    return np.clip(variances[::-1], 0, None)
