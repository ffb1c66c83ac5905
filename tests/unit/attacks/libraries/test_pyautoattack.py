from __future__ import annotations

import pytest
import torch

from gauntlet.attacks.geometry.norms import lengths
from gauntlet.attacks.libraries.pyautoattack import Apgd, AutoAttack, Fab


def one(model, batch, i):
    alone = type(model)(model.weights[[i]], model.offsets[[i]])
    return alone, type(batch)(batch.images[[i]], batch.labels[[i]], batch.indices[[i]], batch.generator)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("targeted", [False, True])
def test_fab_finds_the_exact_distance_of_affine_classifiers(norm, targeted, margin_problem, exact_sizes):
    model, batch = margin_problem(images=4, shape=(1, 5, 5))
    attack = Fab(norm=norm, steps=20, restarts=2, start_radius=0.3, targeted=targeted, target_classes=1)
    outcome = attack.run(model, batch)
    assert outcome.columns["success"].all()
    exact = exact_sizes(model, batch, norm)
    torch.testing.assert_close(outcome.columns[norm].double(), exact.double(), rtol=0.02, atol=1e-4)


def test_fab_records_the_sizes_after_each_number_of_restarts(cnn, batch_of):
    images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = cnn(images).argmax(1)
    labels[0] = (labels[0] + 1) % 4
    attack = Fab(norm="l2", steps=10, restarts=3, start_radius=1.0, checkpoints=(0, 1, 3))
    columns = attack.run(cnn, batch_of(images, labels)).columns
    assert columns["l2_after_0"].isinf().tolist() == [False] + [True] * 5
    assert columns["l2"][0] == columns["l2_after_3"][0] == 0
    assert (columns["l2_after_3"] <= columns["l2_after_1"]).all()
    torch.testing.assert_close(columns["l2_after_3"], columns["l2"], rtol=1e-3, atol=1e-6)
    assert columns["iterations"].tolist() == [0] + [30] * 5
    assert all(weight.grad is None for weight in cnn.parameters())


class Seen(torch.nn.Module):
    """Remembers the images of every pass."""

    def __init__(self, model):
        super().__init__()
        self.model, self.images = model, []

    def forward(self, images):
        self.images.append(images.detach().clone())
        return self.model(images)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_fab_starts_again_at_half_of_the_best_size_or_of_the_radius(norm, margin_problem, exact_sizes):
    model, batch = margin_problem(images=4, shape=(1, 5, 5))
    exact = exact_sizes(model, batch, norm)
    radius = 2 * float(exact.max())

    def start_sizes(**settings):
        """Sizes of the first images off the clean ones that each run sends to the network."""
        seen = Seen(model)
        attack = Fab(norm=norm, steps=1, start_radius=radius, **settings)
        attack.run(seen, batch)
        return [lengths(images - batch.images, norm) for images in seen.images]

    def any_is(sizes, expected):
        return any(torch.allclose(size.double(), expected.double(), rtol=0.02) for size in sizes)

    half = torch.full((4,), radius / 2)
    assert any_is(start_sizes(restarts=2), half)
    assert not any_is(start_sizes(restarts=1), half)
    assert any_is(start_sizes(restarts=1, first_start="random"), half)
    best = Fab(norm=norm, steps=1, start_radius=radius).run(model, batch).columns[norm]
    within = start_sizes(restarts=2, starts_within="best")
    assert any_is(within, best / 2)
    assert not any_is(within, half)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_apgd_succeeds_just_above_the_exact_distance_and_never_below(norm, margin_problem, exact_sizes):
    model, batch = margin_problem(images=3, shape=(1, 5, 5))
    exact = exact_sizes(model, batch, norm)
    for i in range(3):
        for factor, fooled in ((1.3 if norm == "l1" else 1.1, True), (0.98, False)):
            outcome = Apgd(norm=norm, eps=factor * float(exact[i]), steps=50).run(*one(model, batch, i))
            assert outcome.columns["success"].item() is fooled
            assert lengths(outcome.images - batch.images[[i]], norm) <= factor * exact[i] * 1.00001


def test_the_same_batch_gives_the_same_images_and_leaves_the_global_generator_alone(cnn, batch_of):
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = cnn(images).argmax(1)
    attack = Apgd(norm="linf", eps=0.1, steps=5, loss="dlr")
    before = torch.get_rng_state()
    first = attack.run(cnn, batch_of(images, labels)).images
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(99)
    assert torch.equal(first, attack.run(cnn, batch_of(images, labels)).images)


def test_auto_attack_stops_at_the_first_attack_that_succeeds(cnn, batch_of):
    images = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = cnn(images).argmax(1)
    labels[0] = (labels[0] + 1) % 4
    sizes = Fab(norm="l2", steps=50, start_radius=1.0).run(cnn, batch_of(images, labels)).columns["l2"]
    eps = float(sizes[1:].median()) * 1.05
    outcome = Apgd(norm="l2", eps=eps).run(cnn, batch_of(images, labels))
    broken = outcome.columns["success"]
    assert broken[sizes <= eps].float().mean() > 0.7
    assert not broken[sizes > 2 * eps].any()
    large = AutoAttack(norm="linf", eps=0.5).run(cnn, batch_of(images, labels)).columns
    assert large["broken_by"].tolist() == [0] + [1] * 7
