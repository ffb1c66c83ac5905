"""TRADES: the loss is the printed formula, and its perturbation climbs the divergence inside the ball."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from gauntlet.contracts import DEFENCES, Batch, Progress
from gauntlet.defences.starts import UniformStart
from gauntlet.defences.trades import Trades, divergences
from gauntlet.errors import ConfigurationError

START = Progress(epoch=0, epochs=1, step=0, steps=1)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 16), nn.Tanh(), nn.Linear(16, 3)).train()


def batch():
    random = torch.Generator().manual_seed(1)
    images = torch.rand(8, 1, 6, 6, generator=random)
    return Batch(images, torch.arange(8) % 3, torch.arange(8), random)


def test_divergence_is_the_sum_over_classes_of_p_log_p_over_q():
    first, second = torch.randn(5, 4), torch.randn(5, 4)
    p, q = first.softmax(1), second.softmax(1)
    torch.testing.assert_close(divergences(first, second), (p * (p / q).log()).sum(1))


def test_loss_is_clean_cross_entropy_plus_weighted_divergence(model):
    trades = Trades(strength=6, eps=0.1, steps=3, step_size=0.05)
    loss = trades.loss(model, batch(), START)
    images, labels = batch().images, batch().labels
    perturbed = loss.perturbed
    p, q = model(images).softmax(1), model(perturbed).softmax(1)
    clean = -p[torch.arange(8), labels].log().mean()
    torch.testing.assert_close(loss.value, clean + 6 * (p * (p / q).log()).sum(1).mean())
    torch.testing.assert_close(loss.parts["natural_loss"], clean)


def test_without_penalty_it_is_natural_training(model):
    loss = Trades(strength=0).loss(model, batch(), START)
    torch.testing.assert_close(loss.value, nn.functional.cross_entropy(model(batch().images), batch().labels))


def test_the_perturbation_stays_in_ball_and_box_and_beats_noise(model):
    clean = batch().images
    perturbed = Trades(eps=0.1, steps=10, step_size=0.05).loss(model, batch(), START).perturbed
    assert (perturbed - clean).abs().max() <= 0.1 + 1e-6
    assert perturbed.min() >= 0 and perturbed.max() <= 1
    answer = model(clean)
    noise = (torch.rand(clean.shape, generator=torch.Generator().manual_seed(2)) * 2 - 1) * 0.1
    found, of_noise = (
        divergences(answer, model(images)).mean() for images in (perturbed, (clean + noise).clamp(0, 1))
    )
    assert found > 4 * of_noise


def test_the_network_is_attacked_in_eval_mode_and_left_in_train_mode():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(36), nn.Linear(36, 3)).train()
    Trades(steps=4).loss(model, batch(), START)
    assert model.training
    assert model[1].num_batches_tracked == 2, "the clean pass and the perturbed pass, and no attack step"


def test_its_defaults_are_those_of_zhang_et_al_and_radii_may_be_fractions():
    found = DEFENCES.normalize({"name": "trades", "eps": "8/255"})
    assert found == {
        "name": "trades",
        "attack_precision": "float32",
        "eps": 8 / 255,
        "steps": 10,
        "step_size": 0.007,
        "start": {"name": "gaussian", "scale": 0.001},
        "strength": 6.0,
    }


def test_fast_trades_is_a_configuration():
    entry = {"name": "trades", "steps": 1, "step_size": 0.031, "start": {"name": "uniform"}}
    assert DEFENCES.parse(entry) == Trades(steps=1, step_size=0.031, start=UniformStart())


def test_trades_from_the_clean_point_is_refused():
    with pytest.raises(ConfigurationError, match="no gradient") as error:
        DEFENCES.parse({"name": "trades", "start": {"name": "clean"}})
    assert error.value.key == "start.name"


def test_the_local_lipschitz_estimate_is_the_steepest_gradient_on_the_way(model):
    """After one step it is the gradient at the start; more steps never have a smaller one."""
    trades = Trades(eps=0.1, steps=1, step_size=0.05)
    start = trades.start.points(model, batch(), 0.1, 0.05).requires_grad_()
    answer = model(batch().images).detach()
    (gradient,) = torch.autograd.grad(divergences(answer, model(start)).sum(), start)
    expected = gradient.abs().flatten(1).sum(1).mean()
    one = trades.loss(model, batch(), START).parts["local_lipschitz"]
    torch.testing.assert_close(one, expected)
    ten = replace(trades, steps=10).loss(model, batch(), START).parts["local_lipschitz"]
    assert ten > one
