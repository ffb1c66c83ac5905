from __future__ import annotations

import math

import torch

from gauntlet.attacks.fixed_budget.daa import Daa, blob_direction


def test_the_direction_is_the_formula_particle_by_particle():
    generator = torch.Generator().manual_seed(0)
    theta = torch.rand(5, 1, 2, 3, generator=generator)
    gradient = torch.randn(5, 1, 2, 3, generator=generator)
    points, slopes = theta.flatten(1).double(), gradient.flatten(1).double()
    squared = torch.tensor([[float(((a - b) ** 2).sum()) for b in points] for a in points])
    h2 = 0.5 * float(squared.flatten().sort().values[12]) / math.log(5)
    for i in range(5):
        expected = slopes[i].clone()
        for j in range(5):
            kernel = math.exp(-float(squared[i, j]) / (2 * h2))
            expected += 1.1 / 5 * kernel * (slopes[j] - (points[i] - points[j]) / h2)
        found = blob_direction(theta, gradient, 1.1)[i].flatten().double()
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_particle_alone_follows_its_gradient():
    gradient = torch.randn(1, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(blob_direction(torch.rand(1, 1, 2, 2), gradient, 1.1), gradient)


def test_it_succeeds_above_the_exact_distance_and_never_below(margin_problem, exact_sizes):
    model, batch = margin_problem(images=6, shape=(1, 6, 6))
    exact = exact_sizes(model, batch, "linf")
    above, below = 1.5 * float(exact.max()), 0.99 * float(exact.min())
    # With few particles the attraction outweighs the gradients, hence its small weight.
    outcome = Daa(eps=above, step_size=above / 10, steps=40, particles=4, weight=0.05).run(model, batch)
    assert outcome.columns["success"].all()
    assert outcome.columns["restart"].tolist() == [1] * 6
    assert outcome.columns["linf"].max() <= above * 1.0001
    failed = Daa(eps=below, step_size=below / 10, steps=20, restarts=2, particles=4).run(model, batch)
    assert not failed.columns["success"].any()
    assert failed.columns["restart"].tolist() == [-1] * 6
    assert failed.columns["iterations"].tolist() == [40] * 6
