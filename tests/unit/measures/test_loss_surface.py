"""The loss surface of a linear network has a closed form."""

from __future__ import annotations

import torch
from torch import nn

from gauntlet.contracts import Batch, Task
from gauntlet.measures.loss_surface import LossSurface

TASK = Task((1, 28, 28), 10)


class OneWeight(nn.Module):
    """Logits (w x, 0) of images with the single entry x."""

    def forward(self, images):
        logit = 3 * images.flatten(1)
        return torch.cat([logit, torch.zeros_like(logit)], 1)


def surface_of(value: float, eps: float) -> torch.Tensor:
    batch = Batch(
        torch.full((1, 1, 1, 1), value),
        torch.zeros(1, dtype=torch.int64),
        torch.arange(1),
        torch.Generator().manual_seed(0),
    )
    columns = LossSurface(eps=eps, reach=2).run(OneWeight(), batch).columns
    assert len(columns) == 25
    return torch.tensor([[columns[f"loss_{i}_{j}"].item() for j in range(5)] for i in range(5)])


def test_the_loss_follows_the_displacement_in_closed_form():
    """With one pixel both directions are +-1; the loss is log(1 + exp(-3 x)) of the displaced pixel."""
    found = surface_of(0.5, eps=0.1)
    # The loss of class 0 grows as the pixel falls, so the gradient's sign is -1; the random sign is either.
    i, j = torch.meshgrid(torch.arange(-2.0, 3), torch.arange(-2.0, 3), indexing="ij")
    expected = [torch.log1p(torch.exp(-3 * (0.5 + 0.05 * (-i + sign * j)))) for sign in (-1, 1)]
    assert any(torch.allclose(found, surface, atol=1e-6) for surface in expected)


def test_the_middle_of_the_grid_is_the_image_and_points_stay_in_the_box():
    found = surface_of(0.0, eps=0.2)
    assert torch.isclose(found[2, 2], torch.log(torch.tensor(2.0)))
    # Beyond the box's edge the pixel stays 0, so no loss exceeds that of the image.
    assert (found <= found[2, 2] + 1e-6).all()


def test_the_cost_counts_every_point_of_the_grid():
    assert LossSurface(eps=0.1, reach=2).cost(TASK).forward == 26
