"""A small smooth network and a batch for it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gauntlet.contracts import Batch


@pytest.fixture
def smooth_model() -> nn.Module:
    """A network of 36 pixels and 3 classes whose loss is curved."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 16), nn.Tanh(), nn.Linear(16, 3)).train()


@pytest.fixture
def gray_batch():
    """Makes the batch anew, with its generator at the start; pixels keep away from black and white by 0.2."""

    def make(count: int = 8) -> Batch:
        random = torch.Generator().manual_seed(1)
        images = 0.2 + 0.6 * torch.rand(count, 1, 6, 6, generator=random)
        return Batch(images, torch.arange(count) % 3, torch.arange(count), random)

    return make
