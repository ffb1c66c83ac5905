"""Adversarial training: what the network learns from, and in which mode it is attacked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gauntlet.attacks.base import Attack, Perturbed
from gauntlet.contracts import DEFENCES, Batch, Cost, Progress, Task, ThreatModel
from gauntlet.defences.adversarial_training import AdversarialTraining
from gauntlet.defences.natural import Natural
from gauntlet.errors import ConfigurationError

TASK = Task((1, 28, 28), 10)

START = Progress(epoch=0, epochs=1, step=0, steps=1)


@dataclass(frozen=True, kw_only=True)
class SignStep(Attack):
    """One step of size 0.1 along the gradient's sign; records the mode that it meets."""

    name: ClassVar[str] = "sign_step"
    modes: tuple[list, ...] = ()
    threat_model: ClassVar[ThreatModel] = ThreatModel("fixed_budget", "white-box", "linf", 0.1, "linf")

    def find(self, model, batch):
        for modes in self.modes:
            modes.append(model.training)
        images = batch.images.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(model(images), batch.labels), images)
        count = torch.ones_like(batch.labels)
        return Perturbed(images + 0.1 * gradient.sign(), count, count)

    def cost(self, task):
        return Cost(forward=1, backward=1)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    ).train()


@pytest.fixture
def batch():
    random = torch.Generator().manual_seed(1)
    return Batch(torch.rand(8, 1, 6, 6, generator=random), torch.arange(8) % 3, torch.arange(8), random)


def attacked(model, batch, mode):
    model.train(mode == "train")
    images = SignStep().perturb(model, batch).images.detach()
    model.train()
    return images


def test_natural_loss_is_the_cross_entropy_of_the_clean_images(model, batch):
    loss = Natural().loss(model, batch, START)
    torch.testing.assert_close(loss.value, F.cross_entropy(model(batch.images), batch.labels))


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_loss_is_the_weighted_sum_of_algorithm_2(model, batch, weight, mode):
    found = AdversarialTraining(attack=SignStep(), adversarial_weight=weight, attack_mode=mode).loss(
        model, batch, START
    )
    model[1].reset_running_stats()  # as they were when the attack began
    adversarial = F.cross_entropy(model(attacked(model, batch, mode)), batch.labels)
    clean = F.cross_entropy(model(batch.images), batch.labels)
    torch.testing.assert_close(found.value, weight * adversarial + (1 - weight) * clean)
    assert adversarial > clean


@pytest.mark.parametrize(("mode", "training"), [("eval", False), ("train", True)])
def test_the_attack_meets_the_network_in_the_chosen_mode_which_is_then_restored(model, batch, mode, training):
    modes = []
    AdversarialTraining(attack=SignStep(modes=(modes,)), attack_mode=mode).loss(model, batch, START)
    assert modes == [training]
    assert all(module.training for module in model.modules())


def test_an_attack_in_eval_mode_leaves_the_running_statistics_to_the_update(model, batch):
    """Batch norm counts the batches that moved its statistics: one forward pass, not two."""
    AdversarialTraining(attack=SignStep()).loss(model, batch, START)
    assert model[1].num_batches_tracked == 1


def test_the_gradient_treats_the_perturbation_as_a_constant(model, batch):
    AdversarialTraining(attack=SignStep()).loss(model, batch, START).value.backward()
    found = model[0].weight.grad.clone()
    model.zero_grad()
    model[1].reset_running_stats()
    F.cross_entropy(model(attacked(model, batch, "eval")), batch.labels).backward()
    torch.testing.assert_close(found, model[0].weight.grad)


@pytest.mark.parametrize(
    ("weight", "cost"), [(0.0, Cost(1, 1, 1)), (0.5, Cost(3, 3, 2)), (1.0, Cost(2, 2, 1))]
)
def test_cost_counts_the_attack_and_the_losses_that_count(weight, cost):
    assert AdversarialTraining(attack=SignStep(), adversarial_weight=weight).cost(TASK) == cost


def test_only_an_attack_will_do():
    with pytest.raises(ConfigurationError) as error:
        DEFENCES.parse({"name": "adversarial_training", "attack": {"name": "clean"}})
    assert error.value.key == "attack.name"


def test_fast_adversarial_training_is_a_configuration():
    """Radius 8/255 and a step of 10/255 from a random start, as Wong et al. 2020 train."""
    attack = {"name": "pgd", "norm": "linf", "eps": "8/255", "steps": 1, "step_size": "10/255"}
    entry = {
        "name": "adversarial_training",
        "attack": {**attack, "random_start": "uniform"},
        "attack_mode": "train",
    }
    defence = DEFENCES.parse(entry)
    assert DEFENCES.parse(DEFENCES.dump(defence)) == defence
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    images = torch.rand(64, 1, 6, 6)
    batch = Batch(images, torch.randint(3, (64,)), torch.arange(64), torch.Generator().manual_seed(0))
    clean = F.cross_entropy(model(images), batch.labels)
    assert defence.loss(model, batch, START).value > clean
