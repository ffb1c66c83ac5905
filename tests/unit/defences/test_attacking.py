"""The attack inside a training step: its precision, and what it leaves behind."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gauntlet.contracts import DEFENCES, Batch, Progress

START = Progress(epoch=0, epochs=1, step=0, steps=1)
PGD = {"name": "pgd", "norm": "linf", "eps": 0.1, "steps": 2, "step_size": 0.05, "random_start": "uniform"}
ATTACKING = [
    {"name": "adversarial_training", "attack": PGD},
    {"name": "trades", "steps": 2},
    {"name": "generalized_adversarial_training", "steps": 2},
    {"name": "fast_adversarial_training"},
    {"name": "smooth_adv", "sigma": 0.1, "eps": 0.5, "steps": 2, "draws": 1},
]


class Typed(nn.Module):
    """A linear network that notes the type of its logits in each mode, and whether weights ask for gradients."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(36, 3)
        self.types: dict[bool, set[torch.dtype]] = {True: set(), False: set()}
        self.asked: dict[bool, set[bool]] = {True: set(), False: set()}

    def forward(self, images):
        logits = self.linear(images.flatten(1))
        self.types[self.training].add(logits.dtype)
        self.asked[self.training].add(self.linear.weight.requires_grad)
        return logits


def batch():
    random = torch.Generator().manual_seed(1)
    return Batch(torch.rand(8, 1, 6, 6, generator=random), torch.arange(8) % 3, torch.arange(8), random)


def learned(entry) -> Typed:
    torch.manual_seed(0)
    model = Typed().train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = DEFENCES.parse(entry).loss(model, batch(), START)
    loss.value.backward()
    return model


@pytest.mark.parametrize("entry", ATTACKING, ids=lambda entry: entry["name"])
def test_attacks_compute_in_float32_while_learning_computes_in_bfloat16(entry):
    model = learned(entry)
    assert model.types == {False: {torch.float32}, True: {torch.bfloat16}}


@pytest.mark.parametrize("entry", ATTACKING, ids=lambda entry: entry["name"])
def test_attacks_take_the_precision_of_the_training_where_asked_to(entry):
    model = learned({**entry, "attack_precision": "training"})
    assert model.types == {False: {torch.bfloat16}, True: {torch.bfloat16}}


@pytest.mark.parametrize("precision", ["float32", "training"])
@pytest.mark.parametrize("entry", ATTACKING, ids=lambda entry: entry["name"])
def test_weights_are_frozen_during_the_attack_only_and_learn_in_mixed_precision(entry, precision):
    """Half-precision copies of weights that passes without gradients leave behind would keep them from learning."""
    model = learned({**entry, "attack_precision": precision})
    assert model.asked == {False: {False}, True: {True}}
    assert model.linear.weight.requires_grad
    assert model.linear.weight.grad.abs().sum() > 0
