"""A small network and a batch for it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gauntlet.contracts import Batch


@pytest.fixture
def network() -> nn.Module:
    """A random four-class network with in-place activations and batch normalization, in eval mode."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 8, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 2 * 2, 4),
    ).eval()


@pytest.fixture
def batch() -> Batch:
    """Five random 3x8x8 images."""
    generator = torch.Generator().manual_seed(7)
    images = torch.rand(5, 3, 8, 8, generator=generator)
    labels = torch.randint(4, (5,), generator=generator)
    return Batch(images, labels, torch.arange(5), torch.Generator().manual_seed(0))
