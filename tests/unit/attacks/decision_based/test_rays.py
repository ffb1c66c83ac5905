import math

import pytest
import torch
from torch import nn

from gauntlet.attacks.decision_based.rays import RayS


def test_finds_the_exact_linf_distance_of_an_affine_classifier(affine_problem):
    """On sign(w x + b) the boundary is nearest along -sign(w), at |w x + b| / ||w||_1."""
    attack = RayS(eps=1e-6, budget=3000, tolerance=1e-6)
    found = attack.perturb(affine_problem.model, affine_problem.batch)
    tolerance = 1e-6 / math.sqrt(48)
    best = found.columns["best_linf"]
    assert (best >= affine_problem.distances - 1e-7).all()
    torch.testing.assert_close(best, affine_problem.distances, rtol=1e-5, atol=2 * tolerance)


def test_a_failed_fast_check_costs_one_query(affine_problem):
    """A constant classifier is never fooled: every direction costs the one query at the corner of the box."""

    class Constant(nn.Module):
        def forward(self, images):
            return torch.tensor([1.0, 0.0]).expand(len(images), 2)

    batch = affine_problem.batch
    zeros = torch.zeros_like(batch.labels)
    found = RayS(eps=0.1, budget=77).perturb(Constant(), type(batch)(**{**vars(batch), "labels": zeros}))
    assert (found.queries == 77).all()
    assert (found.iterations == 77).all()
    assert found.columns["best_linf"].isinf().all()
    assert torch.equal(found.images, batch.images)


def test_the_first_bisection_costs_log2_of_the_diagonal_over_the_tolerance(batch_of):
    """1 query for the black corner, then ceil(log2(sqrt(D) / tolerance)) midpoints, then the first step."""

    class DarkIsOther(nn.Module):
        def forward(self, images):
            mean = images.flatten(1).mean(1)
            return torch.stack([mean, 0.3 * torch.ones_like(mean)], 1)

    batch = batch_of(torch.full((1, 1, 28, 28), 0.5), torch.tensor([0]))
    found = RayS(eps=0.21, budget=1000).perturb(DarkIsOther(), batch)
    assert found.queries.tolist() == [1 + math.ceil(math.log2(28 / 1e-3))]
    assert found.iterations.tolist() == [1]
    assert found.columns["best_linf"].item() == pytest.approx(0.2, abs=1e-3 / 28)


@pytest.mark.parametrize("size", [5, 16, 75, 784])
def test_every_stage_flips_every_pixel_once(size, batch_of):
    """Block lengths are ceil(D / 2^s); no flip is kept here, so each query shows one block at the corner."""

    class Watch(nn.Module):
        def __init__(self):
            super().__init__()
            self.corners = []

        def forward(self, images):
            self.corners.append(images.flatten(1))
            return torch.tensor([1.0, 0.0]).expand(len(images), 2)

    watch = Watch()
    stages = math.ceil(math.log2(size)) + 2
    blocks = [math.ceil(size / math.ceil(size / 2**stage)) for stage in range(stages)]
    batch = batch_of(torch.full((1, 1, 1, size), 0.5), torch.tensor([0]))
    RayS(eps=0.1, budget=sum(blocks)).perturb(watch, batch)
    flipped = torch.cat(watch.corners[1:]) == 0  # the first pass looks at the clean image
    for stage in flipped.split(blocks):
        assert (stage.sum(0) == 1).all()


def test_the_naive_version_ends_in_a_local_optimum(affine_problem, batch_of):
    """Theorem 3.3.2; on an affine model the only local optimum of the directions is the global one."""
    weight = torch.rand(48, generator=torch.Generator().manual_seed(2), dtype=torch.float64) + 0.1
    weight[::5] *= -0.5
    model = type(affine_problem.model)(
        torch.stack([-weight, weight]), torch.stack([weight.sum(), -weight.sum()]) / 2
    )
    images = torch.full((3, 3, 4, 4), 0.45, dtype=torch.float64)
    images[1] -= 0.1
    images[2, :, 0] += 0.03
    distances = (images.flatten(1) - 0.5).mv(weight).abs() / weight.abs().sum()
    attack = RayS(eps=1e-6, budget=1500, tolerance=1e-5, hierarchical=False)
    found = attack.perturb(model, batch_of(images, torch.zeros(3, dtype=torch.int64)))
    torch.testing.assert_close(found.columns["best_linf"], distances, rtol=1e-4, atol=1e-5)


def test_traces_never_rise_and_end_at_the_result(affine_problem):
    found = RayS(eps=1e-3, budget=500, early_stop=False).perturb(affine_problem.model, affine_problem.batch)
    for prefix in ("linf_at_query", "linf_at_iteration"):
        trace = torch.stack([v for k, v in found.columns.items() if k.startswith(prefix)], 1)
        assert (trace[:, 1:] <= trace[:, :-1]).all()
        assert torch.equal(trace[:, -1], found.columns["best_linf"])
    assert found.columns["linf_at_query_1"].isinf().all()


def test_without_early_stop_the_distance_does_not_depend_on_eps(affine_problem):
    runs = [
        RayS(eps=eps, budget=300, early_stop=False).perturb(affine_problem.model, affine_problem.batch)
        for eps in (0.01, 0.3)
    ]
    assert torch.equal(runs[0].columns["best_linf"], runs[1].columns["best_linf"])
    assert (runs[0].queries == 300).all()
    assert (runs[1].columns["queries_to_success"] < 300).all()
