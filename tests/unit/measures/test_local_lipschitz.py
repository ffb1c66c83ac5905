"""The local Lipschitz estimate of a linear network has a closed form."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from gauntlet.contracts import PROCEDURES, Batch, Task
from gauntlet.errors import ConfigurationError
from gauntlet.measures.local_lipschitz import LocalLipschitz


class TwoClasses(nn.Module):
    """Logits (w x, 0) of images with two entries."""

    weights = torch.tensor([3.0, -1.0])

    def forward(self, images: Tensor) -> Tensor:
        logit = images.flatten(1) @ self.weights
        return torch.stack([logit, torch.zeros_like(logit)], 1)


@pytest.fixture
def two_images() -> Batch:
    """Two images of two pixels each, far from the edges of the box, one of either class."""
    images = torch.tensor([[0.5, 0.4], [0.3, 0.6]]).view(2, 1, 1, 2)
    return Batch(images, torch.tensor([0, 1]), torch.arange(2), torch.Generator().manual_seed(0))


def lipschitz(model: nn.Module, batch: Batch, **settings: object) -> Tensor:
    return (
        PROCEDURES.parse({"name": "local_lipschitz", **settings}).run(model, batch).columns["local_lipschitz"]
    )


def test_of_a_linear_network_the_last_iterate_has_the_largest_gradient(two_images: Batch) -> None:
    """A step lowers the margin by step times |w|_1; the gradient is (1 - p) w at the end of all steps but one."""
    found = lipschitz(
        TwoClasses(),
        two_images,
        start={"name": "clean"},
        loss="cross_entropy",
        eps=0.1,
        steps=4,
        step_size=0.02,
    )
    margins = torch.tensor([3 * 0.5 - 0.4, -(3 * 0.3 - 0.6)]) - 3 * 0.02 * 4.0
    torch.testing.assert_close(found, torch.sigmoid(-margins) * 4.0)


def test_the_iterates_stay_in_the_ball(two_images: Batch) -> None:
    """Long steps end at the ball's corner, where the margin is lower by eps times |w|_1."""
    found = lipschitz(
        TwoClasses(),
        two_images,
        start={"name": "clean"},
        loss="cross_entropy",
        eps=0.05,
        steps=4,
        step_size=0.04,
    )
    margins = torch.tensor([3 * 0.5 - 0.4, -(3 * 0.3 - 0.6)]) - 0.05 * 4.0
    torch.testing.assert_close(found, torch.sigmoid(-margins) * 4.0)


def test_the_divergence_has_the_gradient_of_the_change_in_probability(two_images: Batch) -> None:
    """The gradient of KL(p || q) of two classes is (q - p) w; with one step it is that at the start."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(two_images.images.shape, generator=generator)
    found = lipschitz(
        TwoClasses(), two_images, start={"name": "gaussian", "scale": 0.01}, eps=0.1, steps=1, step_size=0.02
    )
    clean, moved = (
        TwoClasses()(images).softmax(1)[:, 0]
        for images in (two_images.images, two_images.images + 0.01 * noise)
    )
    torch.testing.assert_close(found, (moved - clean).abs() * 4.0, rtol=1e-4, atol=1e-6)


def test_the_largest_gradient_is_kept_where_later_ones_are_smaller() -> None:
    """Below 0.4 the loss is flat: the second iterate has no gradient."""

    class Bend(nn.Module):
        """Logits (10 max(x - 0.4, 0), 0) of images with the single entry x."""

        def forward(self, images: Tensor) -> Tensor:
            logit = 10 * torch.relu(images.flatten(1) - 0.4)
            return torch.cat([logit, torch.zeros_like(logit)], 1)

    image = torch.full((1, 1, 1, 1), 0.5)
    batch = Batch(image, torch.tensor([0]), torch.arange(1), torch.Generator().manual_seed(0))
    found = lipschitz(
        Bend(), batch, start={"name": "clean"}, loss="cross_entropy", eps=0.3, steps=3, step_size=0.15
    )
    assert found.item() == pytest.approx(10 / (1 + math.e), rel=1e-4)


class Shifted:
    """A start without randomness."""

    name = "shifted"
    passes = 0

    def points(self, model: nn.Module, batch: Batch, eps: float, step_size: float) -> Tensor:
        return batch.images + 0.01


@pytest.mark.parametrize("loss", ["cross_entropy", "divergence"])
def test_a_batch_beside_itself_has_the_same_values(
    network: nn.Module, batch: Batch, loss: Literal["cross_entropy", "divergence"]
) -> None:
    procedure = LocalLipschitz(loss=loss, start=Shifted())  # type: ignore[arg-type]
    twice = replace(
        batch,
        images=batch.images.repeat(2, 1, 1, 1),
        labels=batch.labels.repeat(2),
        indices=batch.indices.repeat(2),
    )
    alone, together = (procedure.run(network, each).columns["local_lipschitz"] for each in (batch, twice))
    assert (alone > 0).all()
    torch.testing.assert_close(together, alone.repeat(2), rtol=1e-4, atol=0)


def test_the_divergence_is_not_climbed_from_the_clean_image() -> None:
    with pytest.raises(ConfigurationError, match="no gradient at the clean image"):
        PROCEDURES.parse({"name": "local_lipschitz", "start": {"name": "clean"}})


def test_the_cost_counts_every_iterate() -> None:
    cost = LocalLipschitz(steps=10).cost(Task((3, 32, 32), 10))
    assert (cost.forward, cost.backward) == (11, 10)
