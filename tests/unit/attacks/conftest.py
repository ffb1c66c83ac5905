"""Classifiers whose answers and smallest adversarial perturbations are known, and small batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

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
    """Build a batch of random images with random labels, and targets that differ from them if wanted."""

    def build(
        count: int = 6,
        shape: tuple[int, ...] = (3, 8, 8),
        classes: int = 4,
        *,
        seed: int = 0,
        margin: float = 0.0,
        targeted: bool = False,
    ) -> Batch:
        generator = torch.Generator().manual_seed(100)
        images = margin + (1 - 2 * margin) * torch.rand(count, *shape, generator=generator)
        labels = torch.randint(classes, (count,), generator=generator)
        return batch_of(images, labels, seed=seed, targets=(labels + 1) % classes if targeted else None)

    return build


@dataclass(frozen=True)
class AffineProblem:
    """Two-class affine model, images near the middle of the box, and their exact linf distances."""

    model: nn.Module
    batch: Batch
    distances: Tensor


@pytest.fixture
def affine_problem(affine_model: Callable[..., nn.Module], batch_of: Callable[..., Batch]) -> AffineProblem:
    """Images of 3x4x4 pixels, labelled as the model sees them, far from the faces of the box."""
    model = affine_model(size=48, classes=2).double()
    images = 0.4 + 0.2 * torch.rand(
        6, 3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    with torch.no_grad():
        logits = model(images)
    weight = (model.weight[0] - model.weight[1]).detach()
    distances = (logits[:, 0] - logits[:, 1]).abs() / weight.abs().sum()
    return AffineProblem(model, batch_of(images, logits.argmax(1)), distances)


@pytest.fixture
def rows_of() -> Callable[[Batch, list[int]], Batch]:
    """Take some images out of a batch; its generator starts anew."""

    def take(batch: Batch, rows: list[int]) -> Batch:
        return replace(
            batch,
            images=batch.images[rows],
            labels=batch.labels[rows],
            indices=batch.indices[rows],
            targets=None if batch.targets is None else batch.targets[rows],
            generator=torch.Generator().manual_seed(batch.generator.initial_seed()),
        )

    return take


class Counted(nn.Module):
    """A model that counts the images it has seen."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.seen = 0

    def forward(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        return self.model(images)


@pytest.fixture
def counted() -> type[Counted]:
    """Wrap a model so that it counts the images it has seen."""
    return Counted


class AffineMargin(nn.Module):
    """Two classes; the margin of class 0 is <w_i, x_i> + b_i, with weights of its own for each image."""

    def __init__(self, weights: Tensor, offsets: Tensor) -> None:
        super().__init__()
        self.weights, self.offsets = weights, offsets

    def forward(self, images: Tensor) -> Tensor:
        count = len(images) // len(self.weights)
        weights, offsets = self.weights.repeat(count, 1), self.offsets.repeat(count)
        margin = (images.flatten(1) * weights).sum(1) + offsets
        return torch.stack([margin, torch.zeros_like(margin)], 1)


def _margin_problem(
    *, images: int, shape: tuple[int, int, int], scale: float = 1.0, seed: int = 0
) -> tuple[AffineMargin, Batch]:
    """Draw images in [0.3, 0.7] and Gaussian weights of length about ``scale`` with margin 0.15 * scale."""
    generator = torch.Generator().manual_seed(seed)
    n = shape[0] * shape[1] * shape[2]
    x = 0.3 + 0.4 * torch.rand(images, *shape, generator=generator)
    weights = torch.randn(images, n, generator=generator) * scale / n**0.5
    offsets = 0.15 * scale - (x.flatten(1) * weights).sum(1)
    labels = torch.zeros(images, dtype=torch.long)
    return AffineMargin(weights, offsets), Batch(x, labels, torch.arange(images), generator)


def _exact_sizes(model: AffineMargin, batch: Batch, norm: str) -> Tensor:
    """The smallest perturbation of each image inside the image box (l0: of a one-channel image)."""
    return torch.tensor(
        [
            _exact_size(x.double(), w.double(), float(b), norm)
            for x, w, b in zip(batch.images.flatten(1), model.weights, model.offsets, strict=True)
        ]
    )


def _exact_size(x: Tensor, w: Tensor, b: float, norm: str) -> float:
    if norm in ("linf", "l2"):
        # The best point moves against the weights (linf: their sign) and stops at the box.
        direction, low, high = w.sign() if norm == "linf" else w, 0.0, 1e3
        for _ in range(100):
            length = (low + high) / 2
            point = (x - length * direction).clamp(0, 1)
            low, high = (length, high) if point @ w + b > 0 else (low, length)
        return high if norm == "linf" else float((point - x).norm())
    # Coordinates are used up one by one: for l1 the steepest first, for l0 those that gain the most.
    room = torch.where(w > 0, x, 1 - x)
    gain, missing = w.abs() * room, float(x @ w + b)
    order = (w.abs() if norm == "l1" else gain).argsort(descending=True)
    used = 0.0
    for i in order:
        if gain[i] >= missing:
            return used + (missing / float(w[i].abs()) if norm == "l1" else 1)
        used, missing = used + (float(room[i]) if norm == "l1" else 1), missing - float(gain[i])
    raise ValueError("the box holds no adversarial point")


@pytest.fixture
def margin_problem() -> Callable[..., tuple[AffineMargin, Batch]]:
    return _margin_problem


@pytest.fixture
def exact_sizes() -> Callable[[AffineMargin, Batch, str], Tensor]:
    return _exact_sizes
