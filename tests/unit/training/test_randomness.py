"""Order and augmentation of the images come from one generator, the noise of a defence from another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from torch.nn import functional as F

from gauntlet.contracts import DEFENCES, Batch, Cost, Defence, Loss
from gauntlet.models import build_model
from gauntlet.training.images import DeviceImages, TrainingImages
from gauntlet.training.loop import train_epoch
from gauntlet.training.optimizers import make_optimizer
from gauntlet.training.settings import TrainingSettings
from gauntlet.training.state import TrainingState

NOISY = [
    {"name": "gaussian", "sigma": 0.25},
    {"name": "trades", "steps": 1},
    {"name": "consistency", "sigma": 0.25, "strength": 1},
    {"name": "fast_adversarial_training"},
]


@dataclass(frozen=True, kw_only=True)
class Recording(Defence):
    """Another defence, and the batches that it saw."""

    name: ClassVar[str] = "recording"
    defence: Defence
    seen: list[Batch] = field(default_factory=list)

    def loss(self, model, batch, progress):
        self.seen.append(batch)
        return self.defence.loss(model, batch, progress)

    def cost(self, task):
        return Cost()


def batches_of(entry: dict[str, Any], specification, train_set, epochs=2) -> list[Batch]:
    """The batches of two epochs of training with a defence."""
    settings = TrainingSettings.model_validate(specification["training"])
    model = build_model(specification)
    state = TrainingState(model, make_optimizer(settings.optimizer, model))
    defence = Recording(defence=DEFENCES.parse(entry))
    images = TrainingImages(DeviceImages.of(train_set, torch.device("cpu")))
    for _ in range(epochs):
        state.history.append(train_epoch(state, defence, images, settings, specification["seed"]))
    return defence.seen


@pytest.mark.parametrize("entry", NOISY, ids=lambda entry: entry["name"])
def test_two_defences_at_one_seed_see_the_same_batches(entry, specification, train_set):
    natural = batches_of({"name": "natural"}, specification, train_set)
    noisy = batches_of(entry, specification, train_set)
    assert len(natural) == len(noisy) == 8
    for one, other in zip(natural, noisy, strict=True):
        assert torch.equal(one.indices, other.indices)
        assert torch.equal(one.images, other.images)
    assert not torch.equal(natural[0].indices, natural[4].indices), "each epoch has its own order"


def test_another_seed_gives_other_batches(specification, train_set):
    first = batches_of({"name": "natural"}, specification, train_set, epochs=1)
    other = batches_of({"name": "natural"}, {**specification, "seed": 4}, train_set, epochs=1)
    assert not torch.equal(first[0].indices, other[0].indices)


@dataclass(frozen=True, kw_only=True)
class Noting(Defence):
    """Cross-entropy, and the images and a draw of noise of each call."""

    name: ClassVar[str] = "noting"
    seen: list[tuple[torch.Tensor, float]] = field(default_factory=list)

    def loss(self, model, batch, progress):
        draw = torch.rand(1, generator=batch.generator).item()
        self.seen.append((batch.indices, draw))
        logits = model(batch.images)
        return Loss(F.cross_entropy(logits, batch.labels), logits)

    def cost(self, task):
        return Cost()


def test_members_of_an_ensemble_see_the_images_in_orders_and_with_noise_of_their_own(
    specification, train_set
):
    from gauntlet.defences.each_member import EachMember

    specification["architecture"] = {
        "name": "ensemble",
        "member": {"name": "cnn", "layers": []},
        "members": 3,
    }
    settings = TrainingSettings.model_validate(specification["training"])
    model = build_model(specification)
    state = TrainingState(model, make_optimizer(settings.optimizer, model))
    noting = Noting()
    row = train_epoch(
        state,
        EachMember(defence=noting),
        TrainingImages(DeviceImages.of(train_set, torch.device("cpu"))),
        settings,
        specification["seed"],
    )
    orders = [torch.cat([indices for indices, _ in noting.seen[member::3]]).tolist() for member in range(3)]
    assert all(sorted(order) == list(range(120)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert len({draw for _, draw in noting.seen}) == len(noting.seen) == 12
    assert 0 < row["train_accuracy"] < 1
    alone = batches_of(
        {"name": "natural"},
        {**specification, "architecture": {"name": "cnn", "layers": []}},
        train_set,
        epochs=1,
    )
    assert orders[0] == torch.cat([batch.indices for batch in alone]).tolist(), "the first is as if alone"
