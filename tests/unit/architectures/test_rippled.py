"""The ripple leaves images as they are for the eye, and their gradients a shambles."""

from __future__ import annotations

import math

import pytest
import torch

from gauntlet.architectures.rippled import Ripple
from gauntlet.contracts import ARCHITECTURES


def test_no_pixel_moves_by_more_than_the_height_of_the_wave():
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    moved = (Ripple(1000, 20)(images) - images).abs().max()
    assert 0.9 * 20 / (2000 * math.pi) < moved <= 20 / (2000 * math.pi) + 1e-6


@pytest.mark.parametrize("steepness", [2.0, 20.0])
def test_the_share_of_wrong_gradient_signs_is_that_of_a_cosine_above_one_over_c(steepness):
    """The slope 1 - c cos is negative where cos > 1/c: on a share arccos(1/c) / pi of the pixels."""
    pixels = torch.rand(200_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    pixels.requires_grad_()
    (slope,) = torch.autograd.grad(Ripple(1000, steepness)(pixels).sum(), pixels)
    wrong = (slope < 0).double().mean().item()
    assert wrong == pytest.approx(math.acos(1 / steepness) / math.pi, abs=0.005)


def test_the_network_reads_rippled_images():
    layers = [{"layer": "linear", "units": 5}]
    plan = {"name": "rippled", "network": {"name": "cnn", "layers": layers}, "waves": 30.0, "steepness": 3.0}
    model = ARCHITECTURES.parse(plan).build((1, 4, 4), 3)
    images = torch.rand(2, 1, 4, 4)
    torch.testing.assert_close(model(images), model.network(Ripple(30, 3)(images)))
