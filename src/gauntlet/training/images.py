"""Training and test images on the device, and their augmentation in batches there."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from gauntlet.contracts import Batch
from gauntlet.errors import GauntletError
from gauntlet.runtime.seeding import generator_for
from gauntlet.training.settings import Augmentation, Crop, Flip, ResizedCrop, Validation

if TYPE_CHECKING:
    from gauntlet.datasets.imageset import ImageSet


LARGEST_ON_DEVICE = 16 * 2**30
"""Bytes of a split above which it stays on the host, in its memory map, and travels batch by batch."""


@dataclass(frozen=True)
class DeviceImages:
    """A split, or a part of it, on the device.

    Attributes:
        images: uint8 ``[N, C, H, W]``; on the host where a whole split is too large for the device.
        labels: int64 ``[N]``.
        indices: position of each image in its split, int64 ``[N]``.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor

    @staticmethod
    def of(
        split: ImageSet,
        device: torch.device,
        samples: int | None = None,
        *,
        held_out: bool = False,
        among: Tensor | None = None,
    ) -> DeviceImages:
        """Copy a split to the device.

        Args:
            split: where the images come from.
            device: where they go.
            samples: copy only so many, the first ones of a fixed permutation: every model that is trained on
                n images of a split sees the same ones, and those it sees of fewer are among them.
            held_out: copy the images that ``samples`` leaves out instead.
            among: the positions to choose from, ascending; the whole split if None.
        """
        pool = torch.arange(len(split.labels)) if among is None else among
        order = torch.randperm(len(pool), generator=generator_for("cpu", "training samples"))
        chosen = pool[(order[samples:] if held_out else order[:samples]).sort().values]
        positions = chosen.numpy()
        if samples is None and among is None and split.images.nbytes > LARGEST_ON_DEVICE:
            images = _mapped(split.images)
        else:
            images = torch.from_numpy(split.images[positions]).to(device)
        return DeviceImages(
            images,
            torch.from_numpy(split.labels[positions]).to(device),
            chosen.to(device),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int | None) -> DeviceImages:
        """Return the first images only, all of them for None."""
        return DeviceImages(self.images[:count], self.labels[:count], self.indices[:count])

    def select(self, positions: Tensor) -> DeviceImages:
        """Return some of the images, all of them on the device, by their numbers there."""
        images = self.images[positions.to(self.images.device)].to(positions.device)
        return DeviceImages(images, self.labels[positions], self.indices[positions])

    def joined(self, other: DeviceImages) -> DeviceImages:
        """Return these images and the others after them."""
        return DeviceImages(
            torch.cat([self.images, other.images]),
            torch.cat([self.labels, other.labels]),
            torch.cat([self.indices, other.indices]),
        )


@dataclass(frozen=True)
class TrainingImages:
    """Images to learn from, of one pool or of two.

    Attributes:
        own: the training images.
        pool: further ones, such as images with pseudo-labels, or None.
        share: of the images of each batch that are drawn from the second pool.
    """

    own: DeviceImages
    pool: DeviceImages | None = None
    share: float = 0.0

    def updates(self, batch_size: int) -> int:
        """Return the number of batches of an epoch, with a second pool as many as without."""
        return math.ceil(len(self.own) / batch_size)

    def batches(
        self,
        batch_size: int,
        orders: Sequence[torch.Generator],
        augmentation: Sequence[Augmentation],
        noise: torch.Generator,
    ) -> Iterator[Batch]:
        """Go through an epoch: once through the images in a random order, augmented.

        Where there is a second pool it has its share of each batch, drawn with replacement after the others, and
        the epoch sees as many of the own images less.

        Args:
            batch_size: images per batch and order.
            orders: one generator for each independent order of the images, from which their augmentation comes
                as well. A batch joins one batch of each order.
            augmentation: applied to every image by itself.
            noise: generator of whatever else is drawn for a batch. It has no influence on order and augmentation.
        """
        for parts in zip(*(self._order(batch_size, order) for order in orders), strict=True):
            images = [
                augment(part.images, augmentation, order) for part, order in zip(parts, orders, strict=True)
            ]
            labels = torch.cat([part.labels for part in parts])
            indices = torch.cat([part.indices for part in parts])
            yield Batch(to_unit_range(torch.cat(images)), labels, indices, noise)

    def _order(self, batch_size: int, generator: torch.Generator) -> Iterator[DeviceImages]:
        """Yield the batches of one order."""
        device, steps = self.own.labels.device, self.updates(batch_size)
        pooled = 0 if self.pool is None else round(self.share * batch_size)
        permutation = torch.randperm(len(self.own), generator=generator, device=device)
        own = permutation[: steps * (batch_size - pooled)].split(batch_size - pooled)
        if self.pool is None:
            yield from (self.own.select(chosen) for chosen in own)
            return
        drawn = torch.randint(len(self.pool), (steps, pooled), generator=generator, device=device)
        for chosen, further in zip(own, drawn, strict=True):
            yield self.own.select(chosen).joined(self.pool.select(further))


def split_off(count: int, validation: Validation, seed: int) -> tuple[Tensor, Tensor]:
    """Return the positions to learn from and those of the validation split, both ascending.

    Args:
        count: images of the training split.
        validation: how many are held out, and which.
        seed: of the model, which a random choice depends on.

    Raises:
        GauntletError: none would be left to learn from.
    """
    if validation.count >= count:
        raise GauntletError(
            f"training.validation holds out {validation.count} of {count} training images; lower its count"
        )
    order = torch.arange(count)
    if validation.choose == "random":
        order = torch.randperm(count, generator=generator_for("cpu", "validation split", seed))
    elif validation.choose == "last":
        order = order.flip(0)
    return order[validation.count :].sort().values, order[: validation.count].sort().values


def _mapped(images: NDArray[np.uint8]) -> Tensor:
    """Return a memory map as a tensor that must not be written to; nothing is copied."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(images)


def to_unit_range(images: Tensor) -> Tensor:
    """Turn uint8 images into float32 in [0, 1], channels last in memory."""
    return images.to(torch.float32, memory_format=torch.channels_last).div_(255)


def augment(images: Tensor, augmentation: Sequence[Augmentation], generator: torch.Generator) -> Tensor:
    """Apply each augmentation to a batch ``[N, C, H, W]``, with its own random choice for every image."""
    for one in augmentation:
        match one:
            case Crop():
                images = _crop(images, one.padding, generator)
            case Flip():
                images = _flip(images, generator)
            case ResizedCrop():
                images = _resized_crop(images, one, generator)
    return images


def _crop(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    count, _, height, width = images.shape
    padded = F.pad(images, (padding,) * 4)
    # Every crop is a view: windows[n, :, i, j] is image n cut at row i and column j.
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    row, column = torch.randint(2 * padding + 1, (2, count), generator=generator, device=images.device)
    return windows[torch.arange(count, device=images.device), :, row, column]


def _flip(images: Tensor, generator: torch.Generator) -> Tensor:
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5
    return torch.where(mirrored, images.flip(3), images)


def _resized_crop(images: Tensor, settings: ResizedCrop, generator: torch.Generator) -> Tensor:
    """Scale bilinearly; a part that would be longer than a side of the image is as long as the side."""
    draws = torch.rand(4, len(images), generator=generator, device=images.device)
    area = settings.smallest + (1 - settings.smallest) * draws[0]
    ratio = settings.stretch ** (2 * draws[1] - 1)
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    # Of the part's centre, where the image reaches from -1 to 1.
    x, y = (1 - width) * (2 * draws[2] - 1), (1 - height) * (2 * draws[3] - 1)
    nothing = torch.zeros_like(x)
    transforms = torch.stack([width, nothing, x, nothing, height, y], 1).view(-1, 2, 3)
    grid = F.affine_grid(transforms, list(images.shape), align_corners=False)
    scaled = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    return scaled.round_().to(torch.uint8)
