"""A GPU without memory, played by a network that refuses large passes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gauntlet.attacks import Pgd
from gauntlet.contracts import Batch
from gauntlet.errors import GauntletError
from gauntlet.runtime.memory import advised_if_out_of_memory, in_passes_that_fit, passes_of_at_most


class _NeedsMemoryOnTheWayBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images, most):
        ctx.most = most
        return images.clone()

    @staticmethod
    def backward(ctx, gradient):
        _refuse(len(gradient), ctx.most)
        return gradient, None


def _refuse(images, most):
    if images > most:
        raise torch.OutOfMemoryError(f"tried to allocate {images} images")


class Network(nn.Module):
    """A small network for which memory suffices up to some images on the way there, and some on the way back."""

    def __init__(self, forward_at_most=100, backward_at_most=100):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)).double()
        self.forward_at_most, self.backward_at_most, self.passes = forward_at_most, backward_at_most, []

    def forward(self, images):
        self.passes.append(len(images))
        _refuse(len(images), self.forward_at_most)
        return self.layers(_NeedsMemoryOnTheWayBack.apply(images, self.backward_at_most))


@pytest.fixture
def attack():
    """Return what attacks ten images from random starts."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(10, 3, 2, 2, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (10,), generator=generator)
    pgd = Pgd(norm="linf", eps=0.05, steps=5, step_size=0.02, random_start="uniform")

    def attacked(network):
        def run():
            batch = Batch(images, labels, torch.arange(10), torch.Generator().manual_seed(2))
            return pgd.run(network, batch)

        return in_passes_that_fit(network, 10, run, setting="the evaluation's chunk")

    return attacked


@pytest.mark.parametrize("network", [Network(forward_at_most=3), Network(backward_at_most=3)])
def test_smaller_passes_end_with_the_same_numbers(attack, network):
    expected, outcome = attack(Network()), attack(network)
    assert set(outcome.columns) == set(expected.columns)
    for name, values in expected.columns.items():
        torch.testing.assert_close(outcome.columns[name], values, msg=name)
    torch.testing.assert_close(outcome.images, expected.images)
    assert network.passes[-1] <= 3, "it went on with large passes"


def test_passes_are_whole_as_long_as_memory_suffices(attack):
    network = Network()
    attack(network)
    assert "forward" not in vars(network)
    assert max(network.passes) == 10


def test_cut_passes_have_the_gradient_of_the_whole():
    network, images = Network(), torch.rand(7, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    (whole,) = torch.autograd.grad(network(images).square().sum(), images)
    with passes_of_at_most(network, 2):
        (cut,) = torch.autograd.grad(network(images).square().sum(), images)
    torch.testing.assert_close(cut, whole)
    assert "forward" not in vars(network)


def test_a_network_too_large_for_one_image_is_an_error_that_names_the_setting(attack):
    with pytest.raises(
        GauntletError, match=r"not even with passes of one image.*lower the evaluation's chunk"
    ):
        attack(Network(forward_at_most=0))


def test_a_training_without_memory_names_the_batch_size():
    with (
        pytest.raises(GauntletError, match="tried to allocate 5 images; lower the batch_size"),
        advised_if_out_of_memory("the batch_size"),
    ):
        _refuse(5, 1)
