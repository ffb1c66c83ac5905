"""The smoothed classifier: what a base classifier says on average under Gaussian noise.

The noise of an image is cut into blocks of fixed size. A block's draws depend on the image's key and the
block's number alone, so that neither the number of noisy images per forward pass nor the company of other
images changes a single draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from gauntlet.contracts import Batch, Classifier
from gauntlet.runtime.seeding import seed_for

BLOCK = 100
"""Noise draws per seeded block: enough that seeding is free, few enough to fit in memory for large images."""

NUMBERS_PER_PASS = {"cpu": 200_000, "cuda": 12_000_000}
"""Input numbers per forward pass: on a CPU few enough for its caches, on a GPU enough to keep it busy."""

Mapping = Literal["hard", "soft"]
"""Contribution of a noisy image: ``hard`` one vote for its top class, ``soft`` its softmax probabilities."""


@dataclass(frozen=True)
class Votes:
    """Votes of the noise draws of each image.

    Attributes:
        totals: float64 ``[N, K]``, sum over the draws of the votes (whole numbers) or probabilities.
        squares: float64 ``[N, K]``, sum of their squares.
        draws: number of draws behind every row.
    """

    totals: Tensor
    squares: Tensor
    draws: int


@dataclass(frozen=True)
class SmoothedClassifier:
    """Estimate ``E[M(f(x + noise))]`` by Monte Carlo, with isotropic Gaussian noise that is never clipped.

    Attributes:
        base: the classifier f, in eval mode.
        sigma: standard deviation of the noise, in pixel scale.
        mapping: M.
        inverse_temperature: factor on the logits before a soft mapping's softmax.
        noise_batch: noisy images per forward pass, at most; None chooses by device and image size.

    Source: song, equations 2.4 and 2.5; maerz2023, definitions 3.4 and 3.5.
    """

    base: Classifier
    sigma: float
    mapping: Mapping = "hard"
    inverse_temperature: float = 1.0
    noise_batch: int | None = None

    def sample(self, images: Tensor, keys: Sequence[int], draws: int) -> Votes:
        """Draw noise for every image and collect what the base classifier says.

        Args:
            images: float32 ``[N, C, H, W]``, N at least 1.
            keys: one per image; equal keys mean equal noise.
            draws: noise draws per image. The first draws do not depend on how many follow, block by block.
        """
        shape = images.shape[1:]
        at_once = self.noise_batch or max(1, NUMBERS_PER_PASS[images.device.type] // shape.numel())
        generator = torch.Generator(images.device)
        totals = squares = None
        with torch.inference_mode():
            for rows, blocks, size in _passes(len(images), draws, at_once):
                part = images[rows]
                noisy = torch.empty(
                    (len(blocks), len(part), size, *shape), dtype=part.dtype, device=part.device
                )
                for of_block, block in zip(noisy, blocks, strict=True):
                    for of_image, key in zip(of_block, keys[rows], strict=True):
                        of_image.normal_(
                            0.0, self.sigma, generator=generator.manual_seed(seed_for(key, block))
                        )
                noisy += part[:, None]
                logits = torch.cat([self.base(some) for some in noisy.flatten(0, 2).split(at_once)])
                first, second = self._moments(logits.view(len(blocks), len(part), size, -1))
                if totals is None or squares is None:
                    totals = first.new_zeros(len(images), logits.shape[-1])
                    squares = torch.zeros_like(totals)
                totals[rows] += first
                squares[rows] += second
        if totals is None or squares is None:
            raise ValueError("sampling needs at least one image and one draw")
        return Votes(totals, squares, draws)

    def _moments(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Sum the draws and their squares: ``[blocks, N, draws, K]`` to twice ``[N, K]``."""
        if self.mapping == "hard":
            classes = torch.arange(logits.shape[-1], device=logits.device)
            votes = (logits.argmax(-1, keepdim=True) == classes).sum((0, 2)).double()
            return votes, votes
        probabilities = (self.inverse_temperature * logits.double()).softmax(-1)
        return probabilities.sum((0, 2)), probabilities.square().sum((0, 2))


def _passes(images: int, draws: int, at_once: int) -> Iterator[tuple[slice, range, int]]:
    """Cut the work into passes: which images, which blocks, and the draws of each block.

    A block larger than a pass stays whole here: its noise is drawn at once and sent through in parts.
    """
    full, rest = divmod(draws, BLOCK)
    for blocks, size in ((range(full), BLOCK), (range(full, full + 1), rest)):
        if not size:
            continue
        units = max(1, at_once // size)
        rounds = max(1, units // images)
        parts = -(-images // units)
        for start in range(0, len(blocks), rounds):
            for part in range(parts):
                rows = slice(images * part // parts, images * (part + 1) // parts)
                yield rows, blocks[start : start + rounds], size


def noise_keys(batch: Batch, *purposes: str) -> list[list[int]]:
    """Return one list of keys per purpose, one key per image; purposes get independent noise.

    A key depends on one draw of the batch's generator and on the image's index: a batch cut in two, with
    equally seeded generators, gives every image the keys of the whole.
    """
    root = int(torch.randint(2**62, (), generator=batch.generator, device=batch.generator.device))
    indices = batch.indices.tolist()
    return [[seed_for(root, purpose, index) for index in indices] for purpose in purposes]
