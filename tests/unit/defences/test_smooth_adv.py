"""SmoothAdv against classifiers whose strongest and smallest perturbations are known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gauntlet.contracts import Batch, Progress
from gauntlet.defences.smooth_adv import SmoothAdv
from gauntlet.runtime.seeding import generator_for

SHAPE = (3, 8, 8)
LATE = Progress(epoch=50, epochs=150, step=0, steps=1)


class HalfSpace(nn.Module):
    """Class 1 where ``normal . x > offset``; keeps every input that it is shown."""

    def __init__(self) -> None:
        super().__init__()
        normal = torch.randn(192, generator=torch.Generator().manual_seed(1))
        self.normal = nn.Parameter(normal / normal.norm())
        self.offset = 0.5 * normal.sum().item() / normal.norm().item()
        self.seen: list[tuple[bool, torch.Tensor]] = []

    def forward(self, images):
        self.seen.append((self.training, images.detach()))
        score = 5 * (images.flatten(1) @ self.normal - self.offset)
        return torch.stack([-score, score], 1)

    def batch(self, distances, seed=0) -> Batch:
        """Images of class 1 at these distances from the boundary, near the middle of the box."""
        shift = torch.tensor(distances)[:, None] * self.normal.detach()
        count = len(distances)
        return Batch(
            images=(0.5 + shift).view(count, *SHAPE),
            labels=torch.ones(count, dtype=torch.long),
            indices=torch.arange(count),
            generator=generator_for("cpu", "smooth_adv", seed),
        )


def perturbed(defence, model, batch, progress=LATE):
    """The perturbation that the training step saw, and the noise, which is the generator's first draw."""
    noise = torch.randn(
        (defence.draws, *batch.images.shape),
        generator=torch.Generator().manual_seed(batch.generator.initial_seed()),
    )
    loss = defence.loss(model, batch, progress)
    copies = model.seen[-1][1].unflatten(0, (defence.draws, -1))
    deltas = copies - batch.images - defence.sigma * noise
    return deltas, noise, loss


def test_pgd_finds_the_strongest_perturbation_of_a_half_space():
    """The loss grows along -normal alone, so that the best perturbation is eps times that."""
    model = HalfSpace()
    deltas, _, _ = perturbed(SmoothAdv(sigma=0.25, eps=0.5, steps=4), model, model.batch([0.1, 0.4, 0.8]))
    expected = (-0.5 * model.normal.detach()).view(SHAPE).expand_as(deltas)
    torch.testing.assert_close(deltas, expected, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("attack", ["pgd", "ddn"])
def test_perturbed_images_stay_in_the_box_and_the_ball(attack):
    model = HalfSpace()
    batch = model.batch([0.3, 0.3])
    corner = Batch(batch.images.round(), batch.labels, batch.indices, batch.generator)
    deltas, _, loss = perturbed(SmoothAdv(sigma=0.25, eps=0.9, attack=attack, steps=6), model, corner)
    # The copies differ from the images by noise and one perturbation, shared by all draws.
    torch.testing.assert_close(deltas, deltas[:1].expand_as(deltas), rtol=0, atol=1e-6)
    delta = deltas[0]
    assert (delta.flatten(1).norm(dim=1) <= 0.9 + 1e-4).all()
    assert loss.parts["perturbation"].item() == pytest.approx(
        delta.flatten(1).norm(dim=1).mean().item(), abs=1e-4
    )
    inside = corner.images + delta
    assert inside.min() >= -1e-6 and inside.max() <= 1 + 1e-6


def test_ddn_finds_nearly_the_smallest_perturbation_under_its_noise():
    """With one draw, an image at distance d has to move by exactly d + noise . normal."""
    model = HalfSpace()
    batch = model.batch([0.2, 0.3, 0.4, 0.5])
    defence = SmoothAdv(sigma=0.05, eps=1.0, attack="ddn", steps=60, draws=1)
    deltas, noise, _ = perturbed(defence, model, batch)
    exact = torch.tensor([0.2, 0.3, 0.4, 0.5]) + 0.05 * noise[0].flatten(1) @ model.normal.detach()
    assert (exact > 0.1).all()
    found = deltas[0].flatten(1).norm(dim=1)
    assert (found >= exact - 1e-3).all()
    assert (found <= 1.08 * exact).all()
    assert (model(batch.images + deltas[0] + 0.05 * noise[0]).argmax(1) == 0).all()


def test_ddn_leaves_misclassified_images_alone_and_stops_at_the_ball():
    """The first image is on the wrong side already, the second cannot be brought over within eps."""
    model = HalfSpace()
    deltas, _, _ = perturbed(
        SmoothAdv(sigma=0.02, eps=0.3, attack="ddn", steps=20), model, model.batch([-0.5, 2.0])
    )
    assert deltas[0, 0].norm() < 1e-5
    assert deltas[0, 1].norm().item() == pytest.approx(0.3, abs=1e-4)


@pytest.mark.parametrize(("epoch", "share"), [(0, 0.1), (4, 0.5), (9, 1.0), (100, 1.0)])
def test_eps_grows_linearly_over_the_warm_up(epoch, share):
    model = HalfSpace()
    progress = Progress(epoch=epoch, epochs=150, step=0, steps=1)
    loss = SmoothAdv(sigma=0.25, eps=0.4).loss(model, model.batch([0.5]), progress)
    assert loss.parts["perturbation"].item() == pytest.approx(0.4 * share, rel=1e-4)


def test_the_attack_runs_in_eval_mode_on_the_noise_of_the_training_step():
    model = HalfSpace()
    batch = model.batch([0.3, 0.5])
    _, noise, _ = perturbed(SmoothAdv(sigma=0.25, eps=0.5, steps=3, draws=2), model, batch)
    assert [training for training, _ in model.seen] == [False, False, False, True]
    first = model.seen[0][1].unflatten(0, (2, -1))
    torch.testing.assert_close(first, batch.images + 0.25 * noise)
    assert model.training


def test_only_the_training_step_reaches_the_parameters():
    """Its gradient is that of the cross-entropy at the perturbed copies, and batch norm sees one batch."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))
    batch = HalfSpace().batch([0.1, 0.2, 0.3])
    loss = SmoothAdv(sigma=0.25, eps=0.5, steps=3).loss(model, batch, LATE)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model[1].num_batches_tracked == 1
    loss.value.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_vanishing_gradient_is_replaced_by_a_random_direction():
    class Constant(nn.Module):
        def forward(self, images):
            return 0 * images.flatten(1)[:, :2]

    model = Constant()
    batch = HalfSpace().batch([0.1, 0.1])
    loss = SmoothAdv(sigma=0.25, eps=0.5, steps=1).loss(model, batch, LATE)
    assert loss.parts["perturbation"].item() == pytest.approx(0.5, rel=1e-4)


def test_the_loss_is_the_mean_cross_entropy_of_the_noisy_adversarial_copies():
    model = HalfSpace()
    batch = model.batch([0.3, 0.5])
    defence = SmoothAdv(sigma=0.25, eps=0.5, draws=3)
    _, _, loss = perturbed(defence, model, batch)
    expected = nn.functional.cross_entropy(model(model.seen[-1][1]), batch.labels.repeat(3))
    torch.testing.assert_close(loss.value, expected)
    # The attack is worth its steps: unperturbed noisy copies have a lower loss.
    clean = SmoothAdv(sigma=0.25, eps=1e-6, draws=3).loss(model, model.batch([0.3, 0.5]), LATE).value
    assert loss.value > clean + 0.1
