from __future__ import annotations

import pytest
import torch
from torch import nn

from gauntlet.attacks.fixed_budget.pgd_with_restarts import PgdWithRestarts, SparsePgd
from gauntlet.attacks.geometry.norms import lengths


def attack(norm, eps, **settings):
    settings = {"eps": eps, "step_size": eps / 4, "steps": 20, **settings}
    return SparsePgd(**settings) if norm == "l1" else PgdWithRestarts(norm=norm, **settings)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("loss", ["cross_entropy", "margin"])
@pytest.mark.parametrize("success_at", ["any", "last"])
def test_on_affine_classifiers_it_succeeds_above_the_exact_distance_and_never_below(
    norm, loss, success_at, margin_problem, exact_sizes
):
    model, batch = margin_problem(images=6, shape=(1, 6, 6))
    exact = exact_sizes(model, batch, norm)
    settings = {"steps": 100, "loss": loss, "success_at": success_at}
    if norm == "l1":
        settings["sparsity"] = 0.3
    for i in range(3):
        alone = type(model)(model.weights[[i]], model.offsets[[i]])
        one = type(batch)(batch.images[[i]], batch.labels[[i]], batch.indices[[i]], batch.generator)
        # A sparse step moves entries alike, also those that the exact solution spares.
        above, below = (2 if norm == "l1" else 1.1) * float(exact[i]), 0.99 * float(exact[i])
        success = attack(norm, above, step_size=above / 20, **settings).run(alone, one).columns["success"]
        assert success.all()
        assert not attack(norm, below, **settings).run(alone, one).columns["success"].any()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_images_stay_in_ball_and_box(norm, margin_problem):
    model, batch = margin_problem(images=6, shape=(3, 4, 4))
    eps = {"linf": 0.4, "l2": 1.0, "l1": 3.0}[norm]
    outcome = attack(norm, eps, success_at="last").run(model, batch)
    assert (lengths(outcome.images - batch.images, norm) <= eps * (1 + 1e-5)).all()
    assert outcome.images.min() >= 0
    assert outcome.images.max() <= 1


class Needle(nn.Module):
    """Fooled only where the first pixel is high, a region that gradients say nothing of."""

    def forward(self, images):
        hit = (images.flatten(1)[:, 0] > 0.7).float()
        flat = 0 * images.flatten(1).sum(1)
        return torch.stack([flat + 1 - hit, flat + hit - 0.5], 1)


def test_restarts_are_counted_one_by_one_although_they_run_side_by_side(batch_of):
    images = torch.full((40, 1, 2, 2), 0.5)
    batch = batch_of(images, torch.zeros(40, dtype=torch.long))
    # A start exceeds 0.7 with probability 1/6 (uniform in 0.2 .. 0.8).
    columns = attack("linf", 0.3, restarts=30, steps=2).run(Needle(), batch).columns
    first = columns["restart"]
    success = columns["success"]
    assert ((first > 0) == success).all()
    assert success.float().mean() > 0.9
    assert 3 < first[success].float().mean() < 9
    # Runs that fail take both steps; the one that succeeds takes none. Those beside it are counted too.
    assert (columns["iterations"] >= 2 * (first - 1))[success].all()
    once = attack("linf", 0.3, restarts=1, steps=2).run(Needle(), batch_of(images, batch.labels)).columns
    assert 0 < once["success"].sum() < 20


def test_misclassified_images_are_left_alone(margin_problem, batch_of):
    model, batch = margin_problem(images=3, shape=(1, 3, 3))
    outcome = attack("l2", 0.1).run(model, batch_of(batch.images, torch.ones(3, dtype=torch.long)))
    torch.testing.assert_close(outcome.images, batch.images)
    assert outcome.columns["restart"].tolist() == [0, 0, 0]
    assert outcome.columns["iterations"].tolist() == [0, 0, 0]


def test_a_sparse_step_moves_the_largest_entries_by_equal_amounts():
    gradient = torch.zeros(2, 1, 10, 10)
    gradient[0, 0, 3, 4], gradient[0, 0, 5, 5] = -2.0, 1.0
    gradient[1] = torch.linspace(-1, 0.99, 100).view(1, 10, 10)
    step = SparsePgd(eps=1.0, step_size=0.1, sparsity=0.02).direction(gradient)
    torch.testing.assert_close(step.flatten(1).abs().sum(1), torch.ones(2))
    assert step[0, 0, 3, 4] == -0.5
    assert step[0, 0, 5, 5] == 0.5
    assert (step[1] != 0).sum() == 2


def test_the_gradient_floor_slows_saturated_images_down():
    gradient = torch.full((1, 1, 2, 2), 1e-9)
    exact = PgdWithRestarts(norm="l2", eps=1.0, step_size=0.1)
    floored = PgdWithRestarts(norm="l2", eps=1.0, step_size=0.1, gradient_floor=1e-6)
    torch.testing.assert_close(exact.direction(gradient).norm(), torch.tensor(1.0))
    torch.testing.assert_close(floored.direction(gradient).norm(), torch.tensor(2e-3))
