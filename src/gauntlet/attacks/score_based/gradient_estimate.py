"""Zeroth-order estimate of a gradient from antithetic pairs of queries (chen2021, Algorithm 3)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from gauntlet.attacks.queries.per_image_rng import PerImageRng

Directions = Literal["sphere", "gaussian"]
"""Distribution of the random directions: uniform on the sphere (option I) or standard normal (option II)."""


def estimate_gradient(
    loss: Callable[[Tensor, Tensor], Tensor],
    images: Tensor,
    rows: Tensor,
    rng: PerImageRng,
    draw: int,
    *,
    pairs: int,
    pixel_step: float,
    directions: Directions,
    largest_pass: int,
) -> tuple[Tensor, Tensor]:
    """Average (f(x + delta u) - f(x - delta u)) / (2 delta) u over random directions u.

    Directions on the sphere are scaled to length sqrt(D), so that ``pixel_step`` is the root mean square
    change per pixel for both distributions; in terms of a unit direction that is the printed formula with
    its delta equal to sqrt(D) times ``pixel_step``. Unbiased on linear and quadratic functions. The probed
    points are not clipped to the image box.

    Args:
        loss: maps probes ``[n, C, H, W]`` and the image each belongs to ``[n]`` to losses ``[n]``.
        images: where to estimate, ``[n, C, H, W]``.
        rows: the images' places in the batch, ``[n]``.
        rng: source of the directions.
        draw: number of this draw in the rng.
        pairs: b; 2 b queries are spent on each image.
        pixel_step: delta in pixel scale.
        directions: their distribution.
        largest_pass: probes are made for so many images at a time that their queries fit into this.

    Returns:
        The estimates ``[n, C, H, W]`` and the mean loss of each image's probes ``[n]``.
    """
    shape = tuple(images.shape[1:])
    estimates = torch.empty_like(images)
    levels = torch.empty(len(images), dtype=images.dtype, device=images.device)
    group = max(1, largest_pass // (2 * pairs))
    for begin in range(0, len(images), group):
        part = slice(begin, begin + group)
        noise = rng.normal(rows[part], draw, (pairs, math.prod(shape))).to(images.dtype)
        if directions == "sphere":
            noise *= math.sqrt(noise.shape[2]) / noise.norm(dim=2, keepdim=True)
        centre = images[part].flatten(1)[:, None]
        probes = torch.stack([centre + pixel_step * noise, centre - pixel_step * noise], 1)
        losses = loss(probes.view(-1, *shape), rows[part].repeat_interleave(2 * pairs))
        above, below = losses.view(-1, 2, pairs).unbind(1)
        slopes = (above - below) / (2 * pixel_step * pairs)
        estimates[part] = torch.bmm(slopes[:, None].to(noise.dtype), noise).view(-1, *shape)
        levels[part] = (above + below).mean(1) / 2
    return estimates, levels
