"""Networks that a defence trains beside the classifier: their learning rate, and an interruption."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from gauntlet.contracts import Companion
from gauntlet.training import loop
from gauntlet.training.optimizers import Adam, make_optimizer
from gauntlet.training.state import STATE

CRITIC = {
    "name": "adversary_critic",
    "critic": {"name": "noisy_mlp", "units": [12]},
    "critic_optimizer": {"name": "adam", "lr": 0.01, "beta1": 0.5},
    "steps": 2,
}


class StopError(Exception):
    """Stands for whatever ends a job."""


@pytest.fixture
def critic_specification(specification):
    layers = [{"layer": "linear", "units": 16}]
    training = {
        "epochs": 4,
        "batch_size": 32,
        "optimizer": {"name": "adam", "lr": 0.01, "beta1": 0.5},
        "schedule": {"name": "step", "milestones": [0.5], "by": 0.5},
    }
    changes = {"defence": CRITIC, "architecture": {"name": "cnn", "layers": layers}, "training": training}
    return specification | changes | {"normalization": None}


def test_a_critic_training_that_is_interrupted_ends_with_the_same_bits(
    critic_specification, train_set, test_set, tmp_path, monkeypatch
):
    """Both networks and both optimizers: the files of state after the third epoch are compared too."""

    def stop_after(epoch):
        def stop(message):
            if message.startswith(f"epoch {epoch}/"):
                raise StopError

        return stop

    def train(folder):
        return loop.train(critic_specification, train_set, test_set, folder, "cpu")

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder, stops in ((whole, [3]), (parts, [1, 2, 3])):
        folder.mkdir()
        for epoch in stops:
            with monkeypatch.context() as patched:
                patched.setattr(loop, "log", stop_after(epoch))
                with pytest.raises(StopError):
                    train(folder)
    one, other = (torch.load(folder / STATE, weights_only=True) for folder in (whole, parts))
    for part in ("network", "optimizer"):
        flat = [_tensors(state["companions"]["critic"][part]) for state in (one, other)]
        assert flat[0].keys() == flat[1].keys()
        assert all(torch.equal(flat[0][name], flat[1][name]) for name in flat[0])
    for folder in (whole, parts):
        train(folder)
    one, other = (load_file(folder / "weights.safetensors") for folder in (whole, parts))
    assert all(torch.equal(one[name], other[name]) for name in one)
    history, resumed = (
        pd.read_parquet(folder / "history.parquet").drop(columns="seconds") for folder in (whole, parts)
    )
    pd.testing.assert_frame_equal(history, resumed)
    assert history.attacked_share.iloc[-1] > 0
    assert pd.isna(history.critic_loss.iloc[0]), "the first epoch is without the critic"
    assert {"confidence_0_at_end", "confidence_1_at_end"} <= set(history)


def _tensors(nested, prefix=""):
    """Return the tensors of a state by path."""
    found = {}
    for key, value in nested.items():
        path = f"{prefix}/{key}"
        if isinstance(value, dict):
            found |= _tensors(value, path)
        elif isinstance(value, torch.Tensor):
            found[path] = value
    return found


def test_lambda_0_leaves_other_weights_behind(critic_specification, train_set, test_set, tmp_path):
    weights = []
    for number, change in enumerate([{}, {"critic_weight": 0.0}, {"cycle_weight": 0.0}]):
        folder = tmp_path / str(number)
        folder.mkdir()
        changed = critic_specification | {"defence": CRITIC | change}
        loop.train(changed, train_set, test_set, folder, "cpu")
        weights.append(
            torch.cat([tensor.flatten() for tensor in load_file(folder / "weights.safetensors").values()])
        )
    full, no_critic, no_cycle = weights
    assert (full - no_critic).abs().max() > 1e-4
    assert (full - no_cycle).abs().max() > 1e-4
    assert (no_critic - no_cycle).abs().max() > 1e-4


def test_the_learning_rate_of_a_companion_follows_the_schedule():
    network = nn.Linear(2, 1)
    companion = Companion(network, make_optimizer(Adam(name="adam", lr=0.02), network))
    for factor in (1.0, 0.5, 0.25):
        companion.scale_learning_rate(factor)
        assert companion.optimizer.param_groups[0]["lr"] == pytest.approx(0.02 * factor)


def test_a_companions_step_moves_its_own_network_alone():
    network, classifier = nn.Linear(2, 1), nn.Linear(2, 2)
    companion = Companion(network, torch.optim.SGD(network.parameters(), lr=0.1))
    before = network.weight.detach().clone()
    companion.step(network(classifier(torch.ones(3, 2))).sum())
    assert not torch.equal(before, network.weight)
    assert classifier.weight.grad is None and network.weight.grad is None
