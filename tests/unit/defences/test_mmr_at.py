from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gauntlet.attacks.fixed_budget.pgd import Pgd
from gauntlet.contracts import DEFENCES, Batch, Progress
from gauntlet.defences.mmr_at import MmrAt, boundary_distances
from gauntlet.errors import ConfigurationError


@pytest.fixture
def network():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 2, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 3)
    )
    # About half of the units are active, so that no gradient vanishes.
    images = torch.rand(200, 1, 4, 4)
    model[0].bias.data -= model[0](images).mean((0, 2, 3)).detach()
    model[3].bias.data -= model[:4](images).mean(0).detach()
    return model


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(8, 1, 4, 4, generator=generator)
    return Batch(images, torch.arange(8) % 3, torch.arange(8), generator)


def hidden_values(network, image):
    first = network[0](image[None]).flatten()
    return torch.cat([first, network[3](first.relu())])


@pytest.mark.parametrize(("norm", "order"), [("linf", 1), ("l2", 2)])
def test_distances_are_values_over_dual_norms_of_their_gradients(network, batch, norm, order):
    region, decision, logits = boundary_distances(
        network, batch.images, batch.labels, norm, passes_at_once=20
    )
    torch.testing.assert_close(logits, network(batch.images))
    for i, (image, label) in enumerate(zip(batch.images, batch.labels, strict=True)):
        jacobian = torch.autograd.functional.jacobian(lambda x: hidden_values(network, x), image)
        norms = torch.linalg.vector_norm(jacobian.flatten(1), order, 1)
        torch.testing.assert_close(
            region[i], hidden_values(network, image).abs() / norms, rtol=1e-3, atol=1e-4
        )
        margins = [
            (lambda x, k=k, y=label: network(x[None])[0, y] - network(x[None])[0, k])
            for k in range(3)
            if k != label
        ]
        for found, margin in zip(decision[i], margins, strict=True):
            gradient = torch.autograd.functional.jacobian(margin, image).flatten()
            expected = margin(image) / torch.linalg.vector_norm(gradient, order)
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_a_unit_flips_just_beyond_its_distance_and_not_before(network, batch):
    """Walking along the nearest hyperplane's normal, the pattern holds up to the distance."""
    region, _, _ = boundary_distances(network, batch.images, batch.labels, "l2", 1000)
    for i, image in enumerate(batch.images):
        unit = region[i].argmin()
        gradient = torch.autograd.functional.jacobian(lambda x: hidden_values(network, x), image)[unit]
        value = hidden_values(network, image)
        direction = -value[unit].sign() * gradient / gradient.norm()
        for factor, flips in ((0.98, False), (1.02, True)):
            moved = hidden_values(network, image + factor * region[i, unit] * direction)
            assert ((moved > 0) != (value > 0))[unit].item() is flips


def test_the_loss_is_cross_entropy_plus_the_weighted_hinges(network, batch):
    attack = Pgd(norm="l2", eps=1e-9, steps=1)
    defence = MmrAt(
        norm="l2", strength=0.7, region_distance=0.3, decision_distance=0.5, ramp_epochs=4, attack=attack
    )
    network.train()
    loss = defence.loss(network, batch, Progress(epoch=1, epochs=11, step=0, steps=1))
    region, decision, logits = boundary_distances(network, batch.images, batch.labels, "l2", 1000)
    # In the second of eleven epochs 9.2 percent of 17 units count: two. The weight has grown to one half.
    nearest = region.sort(1).values[:, :2]
    expected = F.cross_entropy(logits, batch.labels) + 0.35 * (
        (1 - nearest / 0.3).clamp(min=0).mean() + (1 - decision / 0.5).clamp(min=0).mean()
    )
    torch.testing.assert_close(loss.value, expected, rtol=1e-4, atol=1e-5)
    assert network.training


def test_a_network_whose_units_are_all_off_learns_its_classes_and_has_no_boundaries(network, batch):
    """Constant logits have no gradient in the image: no distance may be divided by its norm."""
    network[3].bias.data.fill_(-100)
    region, decision, _ = boundary_distances(network, batch.images, batch.labels, "linf", 1000)
    assert (region[:, :12] < torch.inf).any()
    assert (decision == torch.inf).all()
    attack = Pgd(norm="linf", eps=0.1, steps=1)
    defence = MmrAt(norm="linf", strength=0.5, region_distance=0.2, decision_distance=0.2, attack=attack)
    loss = defence.loss(network.train(), batch, Progress(epoch=0, epochs=1, step=0, steps=1))
    loss.value.backward()
    assert loss.value.item() < 10
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
    assert network[5].bias.grad.abs().max() > 0


def test_half_of_the_batch_is_attacked(network, batch):
    attack = Pgd(norm="linf", eps=0.2, steps=2)
    defence = MmrAt(norm="linf", strength=0.1, region_distance=0.2, decision_distance=0.2, attack=attack)
    logits = defence.loss(network.train(), batch, Progress(epoch=0, epochs=1, step=0, steps=1)).logits
    clean = network(batch.images)
    torch.testing.assert_close(logits[:4], clean[:4])
    assert (logits[4:] - clean[4:]).abs().amax(1).min() > 1e-3


def test_training_moves_the_boundaries_away(network, batch):
    attack = Pgd(norm="l2", eps=0.05, steps=2)
    defence = MmrAt(
        norm="l2", strength=2.0, region_distance=0.3, decision_distance=0.3, ramp_epochs=0, attack=attack
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    before = boundary_distances(network, batch.images, batch.labels, "l2", 1000)
    for step in range(30):
        loss = defence.loss(network.train(), batch, Progress(epoch=step, epochs=30, step=step, steps=30))
        optimizer.zero_grad()
        loss.value.backward()
        optimizer.step()
    after = boundary_distances(network, batch.images, batch.labels, "l2", 1000)
    assert after[0].amin(1).mean() > before[0].amin(1).mean()
    assert after[1].mean() > before[1].mean()


def test_a_procedure_that_perturbs_nothing_is_refused():
    with pytest.raises(ConfigurationError, match="attack"):
        DEFENCES.parse(
            {
                "name": "mmr_at",
                "norm": "l2",
                "strength": 1,
                "region_distance": 1,
                "decision_distance": 1,
                "attack": {"name": "nothing"},
            }
        )
