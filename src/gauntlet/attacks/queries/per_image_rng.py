"""Random numbers that belong to an image: the same whether it is attacked alone or among others."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 2^64 divided by the golden ratio, as a signed 64-bit integer
_FIRST = -4658895280553007687
_SECOND = -7723592293110705685
_DRAW = 1 << 28  # words reserved for one draw


def _mix(words: Tensor) -> Tensor:
    """Scramble 64-bit words so that neighboring inputs give unrelated outputs (SplitMix64's finalizer)."""
    words = (words ^ ((words >> 30) & 0x3FFFFFFFF)).mul_(_FIRST)
    words ^= (words >> 27) & 0x1FFFFFFFFF
    words *= _SECOND
    words ^= (words >> 31) & 0x1FFFFFFFF
    return words


class PerImageRng:
    """One counter-based random stream per image.

    A number is a function of the batch's seed, the image's index, the draw and the position in the draw. So
    it does not matter which other images are drawn for, nor in which order.

    Args:
        generator: gives the seed (one number is drawn) and the device of all numbers.
        indices: position of each image in its data set split, int64 ``[N]``.
    """

    def __init__(self, generator: torch.Generator, indices: Tensor) -> None:
        seed = torch.randint(1 << 62, (1,), generator=generator, device=generator.device)
        self._keys = _mix(_mix(indices.to(seed.device) * _GOLDEN) + seed)

    def _words(self, rows: Tensor, draw: int, count: int) -> Tensor:
        """Return ``count`` 64-bit words for each of ``rows``, int64 ``[n, count]``."""
        start = draw * _DRAW + 1
        counter = torch.arange(start, start + count, device=rows.device) * _GOLDEN
        return _mix(self._keys[rows, None] + counter)

    def _halves(self, rows: Tensor, draw: int, size: int) -> tuple[Tensor, Tensor]:
        """Return two independent integers below 2^24 for each pair of numbers asked for, as float32."""
        words = self._words(rows, draw, (size + 1) // 2)
        return ((words >> 40) & 0xFFFFFF).float(), ((words >> 8) & 0xFFFFFF).float()

    def uniform(self, rows: Tensor, draw: int, shape: tuple[int, ...]) -> Tensor:
        """Draw from [0, 1), float32 ``[n, *shape]``, for the images ``rows`` (``[n]``)."""
        size = math.prod(shape)
        values = torch.cat(self._halves(rows, draw, size), 1)[:, :size].mul_(2.0**-24)
        return values.reshape(len(rows), *shape)

    def signs(self, rows: Tensor, draw: int, shape: tuple[int, ...]) -> Tensor:
        """Draw -1 or +1 with equal chances, float32 ``[n, *shape]``."""
        return (self.uniform(rows, draw, shape) < 0.5).float().mul_(2).sub_(1)

    def normal(self, rows: Tensor, draw: int, shape: tuple[int, ...]) -> Tensor:
        """Draw from the standard normal distribution, float32 ``[n, *shape]`` (Box-Muller)."""
        size = math.prod(shape)
        radius, angle = self._halves(rows, draw, size)
        radius = radius.add_(0.5).mul_(2.0**-24).log_().mul_(-2).sqrt_()
        angle = angle.mul_(2 * math.pi * 2.0**-24)
        values = torch.cat([angle.cos().mul_(radius), angle.sin_().mul_(radius)], 1)[:, :size]
        return values.reshape(len(rows), *shape)
