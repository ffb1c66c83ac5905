"""Principal components of images, in float64 and in passes over parts of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

IMAGES_AT_ONCE = 2048
"""Images per matrix product of the covariance; in float64 they take 50 MB at 32x32x3."""


def unit_range(images: Tensor) -> Tensor:
    """Return uint8 images as numbers in [0, 1], float64."""
    return images.double().div_(255)


def principal_components(
    images: Tensor,
    prepare: Callable[[Tensor], Tensor] = unit_range,
    *,
    least_variance: float | None = None,
) -> tuple[Tensor, Tensor, Tensor, float]:
    """Return mean, variances and directions of images, by the eigen-decomposition of their covariance.

    Args:
        images: uint8 ``[N, C, H, W]``, N at least 2.
        prepare: what becomes of some of the images before, float64 of the same shape.
        least_variance: only directions with more variance than this are returned; None for all D.

    Returns:
        In float64: mean ``[D]``; variances ``[k]``, the sample covariance's eigenvalues, largest first;
        directions ``[D, k]``, one orthonormal eigenvector per column in the same order; then the variance of all
        D directions together.
    """
    size = images[0].numel()
    mean = torch.zeros(size, dtype=torch.float64, device=images.device)
    for part in images.split(IMAGES_AT_ONCE):
        mean += prepare(part).flatten(1).sum(0)
    mean /= len(images)
    covariance = mean.new_zeros(size, size)
    for part in images.split(IMAGES_AT_ONCE):
        centred = prepare(part).flatten(1) - mean
        covariance.addmm_(centred.T, centred)
    covariance /= len(images) - 1
    if least_variance is None:
        variances, directions = torch.linalg.eigh(covariance)
    else:
        # Where few directions of thousands are wanted, the solver that finds only those takes half the time.
        found = scipy.linalg.eigh(
            covariance.cpu().numpy(), subset_by_value=(least_variance, np.inf), driver="evr"
        )
        variances, directions = (torch.from_numpy(array).to(mean) for array in found)
    return mean, variances.flip(0).clamp_(min=0), directions.flip(1), float(covariance.trace())
