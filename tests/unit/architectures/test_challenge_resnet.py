from __future__ import annotations

import torch
from torch.nn import functional as F

from gauntlet.architectures.challenge_resnet import ChallengeResnet
from gauntlet.attacks.linear_regions.piecewise_affine import Regions


def test_the_published_network_has_as_many_units_as_published(monkeypatch):
    """2,883,593 units: the inputs of all activations, and nine decision constraints (croce2019, 5.3)."""
    with torch.device("meta"):
        network = ChallengeResnet().build((3, 32, 32), 10).eval()
    counted = []
    leaky_relu = F.leaky_relu

    def counting(values, *args, **kwargs):
        counted.append(values.numel())
        return leaky_relu(values, *args, **kwargs)

    monkeypatch.setattr(F, "leaky_relu", counting)
    network(torch.zeros(1, 3, 32, 32, device="meta"))
    assert sum(counted) + 9 == 2_883_593


def test_its_linear_regions_reproduce_it():
    torch.manual_seed(0)
    network = ChallengeResnet(widths=(4, 8), blocks=2, stem=2).build((3, 8, 8), 5).eval()
    images = torch.rand(3, 3, 8, 8)
    _, logits = Regions.at(network, images).evaluate(images)
    torch.testing.assert_close(logits, network(images))


def test_a_brighter_image_looks_the_same():
    torch.manual_seed(0)
    network = ChallengeResnet(widths=(4,), blocks=1, stem=4).build((1, 8, 8), 3).eval()
    image = 0.5 * torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(network(image + 0.3), network(image), atol=1e-5, rtol=1e-4)
