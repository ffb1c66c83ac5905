from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gauntlet.attacks.fixed_budget.conventions import Conventions
from gauntlet.attacks.fixed_budget.reference_noise import ReferenceNoise
from gauntlet.attacks.geometry.norms import lengths
from gauntlet.contracts import Task

TASK = Task((1, 28, 28), 10)

NORMS = ["linf", "l2", "l1"]
STD = (0.229, 0.224, 0.225)
RELEASED = Conventions(eps_space="released", noise_scale="released", sphere_inf="released", std=STD)


def gray(batch):
    """The batch with images in the middle of the box, where nothing is clipped."""
    return replace(batch, images=torch.full_like(batch.images, 0.5))


@pytest.mark.parametrize("norm", NORMS)
def test_boundary_noise_lies_on_the_sphere_and_uniform_noise_within(norm, cnn, random_batch):
    batch = gray(random_batch(64))
    boundary = ReferenceNoise(kind="boundary", norm=norm, eps=0.3).run(cnn, batch)
    torch.testing.assert_close(boundary.columns[norm], torch.full((64,), 0.3), rtol=1e-3, atol=0)
    uniform = ReferenceNoise(kind="uniform", norm=norm, eps=0.3).run(cnn, batch)
    assert (uniform.columns[norm] <= 0.3 * (1 + 1e-3)).all()
    assert uniform.columns[norm].std() > 0


def test_gaussian_noise_has_half_the_radius_as_deviation(cnn, random_batch):
    batch = gray(random_batch(64))
    found = ReferenceNoise(kind="gauss", norm="linf", eps=0.2).run(cnn, batch)
    noise = found.images - batch.images
    assert noise.std().item() == pytest.approx(0.1, rel=0.02)
    assert noise.mean().item() == pytest.approx(0.0, abs=0.003)
    assert noise.abs().max() > 0.2


def test_gaussian_noise_of_an_l1_radius_leaves_a_random_binary_image(cnn, random_batch):
    images = ReferenceNoise(kind="gauss", norm="l1", eps=651.5).run(cnn, random_batch()).images
    assert images.min() == 0 and images.max() == 1
    assert ((images == 0) | (images == 1)).float().mean() > 0.98


def test_document_boundary_of_the_cube_is_its_corners(cnn, random_batch):
    batch = gray(random_batch())
    moved = ReferenceNoise(kind="boundary", norm="linf", eps=0.1).run(cnn, batch).images - batch.images
    torch.testing.assert_close(moved.abs(), torch.full_like(moved, 0.1))
    assert 0.4 < (moved > 0).float().mean() < 0.6


def test_released_boundary_of_the_cube_is_a_uniform_darkening(cnn, random_batch):
    batch = gray(random_batch())
    attack = ReferenceNoise(
        kind="boundary", norm="linf", eps=0.1, conventions=Conventions(sphere_inf="released")
    )
    moved = attack.run(cnn, batch).images - batch.images
    torch.testing.assert_close(moved, torch.full_like(moved, -0.1))


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_released_noise_forgets_the_radius(norm, cnn, random_batch):
    """Of l1 and l2 noise the norm in normalized space is 1 (boundary) or less (uniform), whatever eps is."""
    batch = gray(random_batch(64))
    for kind in ("boundary", "uniform"):
        attack = ReferenceNoise(kind=kind, norm=norm, eps=500.0, conventions=RELEASED)
        noise = (attack.run(cnn, batch).images - batch.images) / torch.tensor(STD)[:, None, None]
        size = lengths(noise, norm)
        if kind == "boundary":
            torch.testing.assert_close(size, torch.ones(64), rtol=1e-3, atol=0)
        else:
            assert size.max() < 1.001
        assert (noise.min() > -1e-6) == (norm == "l1")


def test_released_uniform_linf_noise_keeps_its_radius_per_channel(cnn, random_batch):
    batch = gray(random_batch(64))
    moved = (
        ReferenceNoise(kind="uniform", norm="linf", eps=0.2, conventions=RELEASED).run(cnn, batch).images
        - 0.5
    )
    torch.testing.assert_close(
        moved.abs().amax((0, 2, 3)), 0.2 * torch.tensor(STD) / 0.226, rtol=0.01, atol=0
    )
    assert (moved > 0).any() and (moved < 0).any()


@pytest.mark.parametrize("kind", ["gauss", "uniform", "boundary"])
def test_noise_repeats_with_the_seed_and_asks_no_gradient(kind, cnn, random_batch):
    attack = ReferenceNoise(kind=kind, norm="l2", eps=0.5)
    first, again, other = (attack.run(cnn, random_batch(seed=seed)) for seed in (3, 3, 4))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)
    assert first.columns["queries"].tolist() == [0] * 6
    assert attack.cost(TASK).backward == 0


def test_on_samples_with_targets_noise_succeeds_only_where_the_target_is_predicted(cnn, random_batch):
    batch = random_batch(64, targeted=True)
    found = ReferenceNoise(kind="boundary", norm="linf", eps=0.3).run(cnn, batch).columns
    missed = (found["prediction"] != batch.labels) & (found["prediction"] != batch.targets)
    assert missed.any()
    assert torch.equal(found["success"], found["prediction"] == batch.targets)
