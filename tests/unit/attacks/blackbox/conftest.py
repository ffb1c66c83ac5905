"""Problems whose answers are known in closed form, for attacks that only ask questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from gauntlet.contracts import Batch


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
