"""Training and test images on the device, and their augmentation in batches there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.contracts import Batch
from gauntlet.runtime.seeding import generator_for
from gauntlet.training.settings import Augmentation, Crop

if TYPE_CHECKING:
    from gauntlet.datasets.imageset import ImageSet


@dataclass(frozen=True)
class DeviceImages:
    """A split, or a part of it, on the device.

    Attributes:
        images: uint8 ``[N, C, H, W]``.
        labels: int64 ``[N]``.
        indices: position of each image in its split, int64 ``[N]``.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor

    @staticmethod
    def of(split: ImageSet, device: torch.device, samples: int | None = None) -> DeviceImages:
        """Copy a split to the device.

        Args:
            split: where the images come from.
            device: where they go.
            samples: copy only so many, the first ones of a fixed permutation: every model that is trained on
                n images of a split sees the same ones, and those it sees of fewer are among them.
        """
        chosen = torch.arange(len(split.labels))
        if samples is not None and samples < len(chosen):
            order = torch.randperm(len(chosen), generator=generator_for("cpu", "training samples"))
            chosen = order[:samples].sort().values
        positions = chosen.numpy()
        return DeviceImages(
            torch.from_numpy(split.images[positions]).to(device),
            torch.from_numpy(split.labels[positions]).to(device),
            chosen.to(device),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def batches(
        self, batch_size: int, generator: torch.Generator, augmentation: Sequence[Augmentation]
    ) -> Iterator[Batch]:
        """Go once through the images in a random order, augmented; everything random is the generator's."""
        order = torch.randperm(len(self), generator=generator, device=self.labels.device)
        for chosen in order.split(batch_size):
            images = augment(self.images[chosen], augmentation, generator)
            yield Batch(to_unit_range(images), self.labels[chosen], self.indices[chosen], generator)


def to_unit_range(images: Tensor) -> Tensor:
    """Turn uint8 images into float32 in [0, 1], channels last in memory."""
    return images.to(torch.float32, memory_format=torch.channels_last).div_(255)


def augment(images: Tensor, augmentation: Sequence[Augmentation], generator: torch.Generator) -> Tensor:
    """Apply each augmentation to a batch ``[N, C, H, W]``, with its own random choice for every image."""
    for one in augmentation:
        images = _crop(images, one.padding, generator) if isinstance(one, Crop) else _flip(images, generator)
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
