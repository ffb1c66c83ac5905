"""Ensembles answer with an average and are trained member by member."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn

from gauntlet.architectures.ensemble import AveragedNetworks, Ensemble
from gauntlet.contracts import ARCHITECTURES, Architecture, Batch, Progress
from gauntlet.defences.consistency import Consistency
from gauntlet.defences.each_member import EachMember
from gauntlet.errors import ConfigurationError
from gauntlet.models import Normalized
from gauntlet.runtime.seeding import generator_for

START = Progress(epoch=0, epochs=1, step=0, steps=1)


@dataclass(frozen=True, kw_only=True)
class Small(Architecture):
    name: ClassVar[str] = "small"

    def build(self, input_shape, classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(12, classes))


def ensemble(average="logits") -> AveragedNetworks:
    torch.manual_seed(0)
    return Ensemble(member=Small(), average=average).build((3, 2, 2), 4)


def batch_of(images=5) -> Batch:
    random = torch.Generator().manual_seed(0)
    return Batch(
        torch.rand(images, 3, 2, 2, generator=random),
        torch.randint(4, (images,), generator=random),
        torch.arange(images),
        generator_for("cpu", "ensemble"),
    )


def test_members_start_from_different_weights():
    weights = [member[1].weight for member in ensemble().members]
    assert len(weights) == 3
    assert not torch.equal(weights[0], weights[1]) and not torch.equal(weights[1], weights[2])


def test_the_ensemble_averages_logits_or_probabilities():
    images = batch_of().images
    model = ensemble()
    members = [member(images) for member in model.members]
    torch.testing.assert_close(model(images), (members[0] + members[1] + members[2]) / 3)
    probabilities = sum(logits.softmax(1) for logits in members) / 3
    torch.testing.assert_close(ensemble("probabilities")(images).softmax(1), probabilities)
    torch.testing.assert_close(ensemble("probabilities")(images).exp(), probabilities)


def test_a_member_answers_alone_where_asked_and_all_do_afterwards():
    model, images = ensemble(), batch_of().images
    together = model(images)
    with model.only(1):
        torch.testing.assert_close(model(images), model.members[1](images))
    torch.testing.assert_close(model(images), together)


def test_each_member_gets_the_gradient_of_its_own_loss():
    """Alone, behind the same normalization and under the same noise, a member has the gradient of its images."""
    model = Normalized(ensemble(), [0.4, 0.5, 0.6], [0.2, 0.3, 0.4])
    defence = Consistency(sigma=0.25, strength=10)
    loss = EachMember(defence=defence).loss(model, batch_of(15), START)
    loss.value.backward()
    whole, values, logits = batch_of(15), [], []
    for number, member in enumerate(model.network.members):
        batch = whole.select(torch.arange(5 * number, 5 * number + 5))
        alone = Normalized(member, [0.4, 0.5, 0.6], [0.2, 0.3, 0.4])
        own = defence.loss(alone, batch, START)  # The generator goes on, so that each has its own noise.
        expected = torch.autograd.grad(own.value, list(member.parameters()))
        for parameter, gradient in zip(member.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient)
        values.append(own.value)
        logits.append(own.logits)
    torch.testing.assert_close(loss.value, sum(values))
    torch.testing.assert_close(loss.logits, torch.cat(logits))
    assert set(loss.parts) == {"natural", "divergence", "entropy"}


def test_training_the_members_of_a_single_network_is_refused():
    with pytest.raises(ConfigurationError, match="each_member"):
        EachMember(defence=Consistency(sigma=0.25, strength=10)).loss(
            Small().build((3, 2, 2), 4), batch_of(), START
        )


def test_an_ensemble_is_described_by_its_member():
    found = ARCHITECTURES.parse(
        {"name": "ensemble", "member": {"name": "resnet_cifar", "depth": 8}, "members": 2}
    )
    assert ARCHITECTURES.parse(ARCHITECTURES.dump(found)) == found
    model = found.build((3, 16, 16), 10)
    assert len(model.members) == 2
    assert model(torch.rand(2, 3, 16, 16)).shape == (2, 10)
