"""From a few block coefficients to an image: the variables of the BOBYQA attack (maerz2023, section 4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.attacks.queries.per_image_rng import PerImageRng

WeightOrder = Literal["aligned", "channels_last"]
"""Block that a contrast weights: its own, or (as in the published code) the one with its number in (row,
column, channel) order, although blocks are numbered by (channel, row, column)."""

_NO_CONTRAST = 1e-6


def room(images: Tensor, clean: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return how far each pixel may still fall (<= 0) and rise (>= 0) in the linf ball and the box."""
    change = images - clean
    down = torch.maximum(-eps - change, -images).clamp_(max=0)
    up = torch.minimum(eps - change, 1 - images).clamp_(min=0)
    return down, up


def block_of_pixels(grid: int, shape: tuple[int, int, int], device: torch.device) -> Tensor:
    """Number each channel's blocks by (channel, row, column); return the block of each pixel, ``[D]``."""
    channels, height, width = shape
    row = torch.arange(height, device=device) * grid // height
    column = torch.arange(width, device=device) * grid // width
    channel = torch.arange(channels, device=device)
    return ((channel[:, None, None] * grid + row[:, None]) * grid + column).flatten()


def block_contrast(images: Tensor, grid: int) -> Tensor:
    """Measure the local contrast of each block, float64 ``[n, C, grid, grid]``.

    The image is resized to the grid (bilinear, without smoothing); a block's contrast is the standard
    deviation of its up to eight neighbors in the same channel. Blocks without contrast get a hundredth of
    the smallest contrast of their image, so that they too are drawn one day.
    """
    small = F.interpolate(images.double(), size=(grid, grid), mode="bilinear", align_corners=False)
    count, channels = small.shape[:2]
    neighbors = torch.arange(9, device=images.device) != 4
    windows = F.unfold(small, 3, padding=1).view(count, channels, 9, grid, grid)[:, :, neighbors]
    exists = F.unfold(torch.ones_like(small[:1, :1]), 3, padding=1).view(1, 1, 9, grid, grid)[:, :, neighbors]
    number = exists.sum(2, keepdim=True).clamp(min=1)
    mean = windows.sum(2, keepdim=True) / number
    contrast = ((windows - mean).square() * exists).sum(2).div(number.squeeze(2)).sqrt()
    flat = contrast.flatten(1)
    lowest = flat.where(flat > _NO_CONTRAST, torch.inf).amin(1)
    fallback = torch.where(lowest.isinf(), 1.0, lowest / 100)[:, None, None, None]
    return contrast.where(contrast > _NO_CONTRAST, fallback)


def draw_order(
    images: Tensor, grid: int, rows: Tensor, rng: PerImageRng, draw: int, weight_order: WeightOrder
) -> Tensor:
    """Draw the order in which an image's blocks become variables, without replacement, by contrast.

    Returns:
        Block numbers, int64 ``[n, C * grid * grid]``.
    """
    contrast = block_contrast(images, grid)
    if weight_order == "channels_last":
        contrast = contrast.permute(0, 2, 3, 1)
    weights = contrast.flatten(1)
    # The order of exponential arrival times with these rates is a weighted draw without replacement.
    uniform = rng.uniform(rows, draw, (weights.shape[1],)).double()
    return (-torch.log1p(-uniform) / weights).argsort(1)


@dataclass(frozen=True)
class Lifting:
    """The images that the coefficients of some blocks describe, for several images at once.

    Coefficient c of a block changes each of its pixels by c times half the widest room in the block plus the
    middle of the pixel's own room, clipped to that room. Pixels of other blocks stay.

    Attributes:
        images: current images ``[n, C, H, W]``.
        down: how far pixels may fall, ``[n, D]``.
        up: how far pixels may rise, ``[n, D]``.
        reach: half the widest room of the pixel's block, ``[n, D]``.
        variable: which variable moves the pixel, -1 for none, int64 ``[n, D]``.
        still: coefficients that leave the widest pixel of each block where it is, ``[n, q]``.
    """

    images: Tensor
    down: Tensor
    up: Tensor
    reach: Tensor
    variable: Tensor
    still: Tensor

    @classmethod
    def of(cls, images: Tensor, clean: Tensor, eps: float, blocks: Tensor, grid: int) -> Lifting:
        """Prepare a sub-problem.

        Args:
            images: current images ``[n, C, H, W]``.
            clean: clean images, same shape.
            eps: linf radius in pixel scale.
            blocks: block number of each variable, int64 ``[n, q]``.
            grid: blocks per side of a channel.
        """
        count, channels, height, width = images.shape
        down, up = (bound.flatten(1) for bound in room(images, clean, eps))
        block = block_of_pixels(grid, (channels, height, width), images.device).expand(count, -1)
        empty = down.new_zeros(count, channels * grid * grid)
        widest = empty.scatter_reduce(1, block, up - down, "amax")
        reach = widest.gather(1, block) / 2
        pixels = torch.arange(block.shape[1], device=images.device)
        candidates = torch.where(up - down >= 2 * reach, pixels, block.shape[1] - 1)
        first = torch.full_like(empty, block.shape[1] - 1, dtype=torch.int64)
        first = first.scatter_reduce(1, block, candidates, "amin").gather(1, blocks)
        middle = (up + down).gather(1, first)
        span = (up - down).gather(1, first).clamp(min=torch.finfo(up.dtype).tiny)
        numbers = torch.arange(blocks.shape[1], device=images.device).expand_as(blocks)
        variable = torch.full_like(empty, -1, dtype=torch.int64).scatter(1, blocks, numbers).gather(1, block)
        return cls(images, down, up, reach, variable, (-middle / span).clamp(-1, 1))

    def lift(self, points: Tensor, rows: Tensor) -> Tensor:
        """Return the images of coefficient vectors.

        Args:
            points: ``[m, k, q]``: k vectors for each of m images.
            rows: places of these images in this lifting, int64 ``[m]``.

        Returns:
            ``[m, k, C, H, W]``.
        """
        many = points.shape[1]
        variable = self.variable[rows, None].expand(-1, many, -1)
        coefficients = points.to(self.images.dtype).gather(2, variable.clamp(min=0))
        down, up = self.down[rows, None], self.up[rows, None]
        change = coefficients * self.reach[rows, None] + (up + down) / 2
        change = torch.minimum(torch.maximum(change, down), up) * (variable >= 0)
        return self.images[rows, None] + change.view(len(rows), many, *self.images.shape[1:])

    def rounded(self, images: Tensor, rows: Tensor) -> Tensor:
        """Move every pixel of ``images`` ``[m, C, H, W]`` to the nearer end of its room; ties stay."""
        change = (images - self.images[rows]).flatten(1)
        down, up = self.down[rows], self.up[rows]
        to_up, to_down = up - change, change - down
        moved = torch.where(to_up < to_down, up, torch.where(to_down < to_up, down, change))
        return self.images[rows] + moved.view_as(images)
