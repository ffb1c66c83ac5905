"""Classifiers whose answers are known, and small batches."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gauntlet.contracts import Batch


class Affine(nn.Module):
    """Logits W x + b of the flattened image."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.bias = nn.Parameter(bias.clone())

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight.T + self.bias


@pytest.fixture
def affine_model() -> Callable[..., Affine]:
    """Build an affine model whose logits all vanish at the middle of the image box."""

    def build(size: int = 48, classes: int = 2, seed: int = 0) -> Affine:
        weight = torch.randn(classes, size, generator=torch.Generator().manual_seed(seed))
        return Affine(weight, -weight.sum(1) / 2).eval()

    return build


@pytest.fixture
def cnn() -> nn.Module:
    """A random four-class network with batch normalization for 3x8x8 images."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, 4),
    )
    return network.eval()


@pytest.fixture
def batch_of() -> Callable[..., Batch]:
    """Build a batch with a seeded generator."""

    def build(images: Tensor, labels: Tensor, *, seed: int = 0, targets: Tensor | None = None) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        return Batch(images, labels, torch.arange(len(images)), generator, targets)

    return build


@pytest.fixture
def random_batch(batch_of: Callable[..., Batch]) -> Callable[..., Batch]:
    """Build a batch of random images with random labels and targets that differ from them."""

    def build(
        count: int = 6,
        shape: tuple[int, ...] = (3, 8, 8),
        classes: int = 4,
        *,
        seed: int = 0,
        margin: float = 0.0,
    ) -> Batch:
        generator = torch.Generator().manual_seed(100)
        images = margin + (1 - 2 * margin) * torch.rand(count, *shape, generator=generator)
        labels = torch.randint(classes, (count,), generator=generator)
        return batch_of(images, labels, seed=seed, targets=(labels + 1) % classes)

    return build
