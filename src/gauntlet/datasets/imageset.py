"""A prepared split, opened: images in a memory map, labels, class names, provenance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gauntlet.errors import DataError
from gauntlet.runtime.checksums import read_sealed_json, verify_hash

if TYPE_CHECKING:
    import torch

IMAGES, LABELS, MANIFEST = "images.npy", "labels.npy", "manifest.json"

Indices = NDArray[np.integer[Any]] | list[int] | slice
"""Positions of images in a split."""


@dataclass(frozen=True)
class ImageSet:
    """The images of one split of a data set.

    Attributes:
        images: uint8 ``[N, C, H, W]``, memory-mapped and read-only.
        labels: int64 ``[N]``.
        classes: names in the order of the labels.
        manifest: how the split was made.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: list[str]
    manifest: dict[str, Any]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def tensor(self, indices: Indices, device: torch.device | str = "cpu") -> torch.Tensor:
        """Return images as float32 ``[n, C, H, W]`` in [0, 1]; they travel to the device as uint8."""
        import torch

        chosen = torch.from_numpy(np.array(self.images[indices]))
        return chosen.to(device).float().div_(255)

    def labels_tensor(self, indices: Indices, device: torch.device | str = "cpu") -> torch.Tensor:
        """Return labels as int64 ``[n]``."""
        import torch

        return torch.from_numpy(np.array(self.labels[indices])).to(device)


def open_split(folder: str | Path) -> ImageSet:
    """Open what ``prepare_split`` wrote into ``folder``.

    Raises:
        DataError: a file is absent or unreadable, or the three do not belong together.
    """
    folder = Path(folder)
    again = f"remove the folder and give the same command again, which prepares it anew:\n  rm -r {folder}"
    try:
        manifest = read_sealed_json(folder / MANIFEST)
        images = np.load(folder / IMAGES, mmap_mode="r", allow_pickle=False)
        labels = np.load(folder / LABELS, allow_pickle=False)
        shape, classes = tuple(manifest["shape"]), list(manifest["classes"])
    except Exception as error:  # NumPy takes the header of an array for Python code, and fails in many ways.
        raise DataError(f"{folder} holds no readable prepared split ({error}); {again}") from error
    problems = [
        (images.dtype != np.uint8, f"{IMAGES} holds {images.dtype} instead of uint8"),
        (images.shape != shape, f"{IMAGES} has shape {images.shape} instead of {shape}"),
        (labels.dtype != np.int64, f"{LABELS} holds {labels.dtype} instead of int64"),
        (labels.shape != shape[:1], f"{LABELS} has shape {labels.shape} instead of {shape[:1]}"),
    ]
    for wrong, problem in problems:
        if wrong:
            raise DataError(f"{folder}: {problem}; {again}")
    if labels.size and not 0 <= labels.min() <= labels.max() < len(classes):
        raise DataError(f"{folder}: {LABELS} holds a class outside 0 to {len(classes) - 1}; {again}")
    for name, key in ((IMAGES, "images_sha256"), (LABELS, "labels_sha256")):
        verify_hash(folder / name, manifest.get(key))
    return ImageSet(images, labels, classes, manifest)
