"""Classifiers whose minimal adversarial perturbations are known exactly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gauntlet.contracts import Batch


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


def _affine_problem(
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
def affine_problem() -> Callable[..., tuple[AffineMargin, Batch]]:
    return _affine_problem


@pytest.fixture
def exact_sizes() -> Callable[[AffineMargin, Batch, str], Tensor]:
    return _exact_sizes
