from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from gauntlet.attacks.geometry.norms import (
    lengths,
    project_onto_ball,
    project_onto_ball_and_box,
    steepest_direction,
    uniform_in_ball,
    uniform_on_sphere,
    unit_gradient,
)

NORMS = ["linf", "l2", "l1"]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed))


def l1_projection_by_sorting(vector: np.ndarray, radius: float) -> np.ndarray:
    """The textbook algorithm of Duchi et al. (2008), figure 1."""
    if np.abs(vector).sum() <= radius:
        return vector
    descending = np.sort(np.abs(vector))[::-1]
    excess = (np.cumsum(descending) - radius) / np.arange(1, len(vector) + 1)
    threshold = excess[np.nonzero(descending > excess)[0][-1]]
    return np.sign(vector) * np.maximum(np.abs(vector) - threshold, 0)


@pytest.mark.parametrize(("norm", "expected"), [("linf", 4.0), ("l2", 5.0), ("l1", 7.0)])
def test_lengths_of_a_known_vector(norm, expected):
    vector = torch.zeros(2, 3, 2, 2)
    vector[1, 0, 0, 1], vector[1, 2, 1, 0] = 3.0, -4.0
    torch.testing.assert_close(lengths(vector, norm), torch.tensor([0.0, expected]))


@pytest.mark.parametrize("radius", [1e-3, 0.5, 3.0, 20.0, 1e4])
def test_l1_projection_equals_the_sorting_algorithm(radius):
    vectors = normal(16, 3, 5, 5).double() * torch.logspace(-2, 2, 16)[:, None, None, None]
    vectors[3, :, :2] = 0
    expected = np.stack([l1_projection_by_sorting(v, radius) for v in vectors.flatten(1).numpy()])
    projected = project_onto_ball(vectors, "l1", radius).flatten(1)
    torch.testing.assert_close(projected, torch.from_numpy(expected), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_projection_is_the_nearest_point_of_the_ball(norm):
    """A general-purpose minimizer over the ball finds no nearer point, and the same one."""
    vector, radius = normal(1, 6, seed=2).double(), 0.7
    order = {"linf": np.inf, "l2": 2, "l1": 1}[norm]
    target = vector[0].numpy()
    # Positive and negative parts make the l1 constraint smooth; the others need no such split.
    found = minimize(
        lambda v: ((v[:6] - v[6:] - target) ** 2).sum(),
        np.zeros(12),
        bounds=[(0, radius if norm == "linf" else None)] * 12,
        constraints=[
            {
                "type": "ineq",
                "fun": (lambda v: radius - v.sum())
                if norm == "l1"
                else (lambda v: radius - np.linalg.norm(v[:6] - v[6:], order)),
            }
        ],
        options={"ftol": 1e-14, "maxiter": 500},
    )
    nearest = found.x[:6] - found.x[6:]
    np.testing.assert_allclose(project_onto_ball(vector, norm, radius)[0].numpy(), nearest, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_projection_leaves_points_of_the_ball_where_they_are(norm):
    vectors = uniform_in_ball(torch.empty(32, 3, 4, 4), norm, 0.5, generator())
    torch.testing.assert_close(project_onto_ball(vectors, norm, 0.5), vectors, rtol=1e-6, atol=0)


@pytest.mark.parametrize("norm", NORMS)
def test_projection_takes_one_radius_per_image(norm):
    vectors, radii = normal(4, 3, 4, 4) * 10, torch.tensor([0.1, 0.5, 2.0, 3.0])
    torch.testing.assert_close(
        lengths(project_onto_ball(vectors, norm, radii), norm), radii, rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("norm", NORMS)
def test_projection_onto_ball_and_box_stays_in_both(norm):
    clean = torch.rand(16, 3, 4, 4, generator=generator())
    projected = project_onto_ball_and_box(clean + normal(16, 3, 4, 4), clean, norm, 0.6)
    assert (lengths(projected - clean, norm) <= 0.6 * (1 + 1e-5)).all()
    assert projected.min() >= 0 and projected.max() <= 1


@pytest.mark.parametrize("norm", NORMS)
def test_unit_gradient_has_unit_length_and_keeps_the_signs(norm):
    gradients = normal(8, 3, 4, 4) * torch.logspace(-38, 30, 8)[:, None, None, None]
    unit = unit_gradient(gradients, norm)
    torch.testing.assert_close(lengths(unit, norm), torch.ones(8), rtol=1e-5, atol=0)
    assert torch.equal(unit.sign(), gradients.sign())


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_unit_gradient_is_parallel_to_the_gradient(norm):
    gradients = normal(8, 48)
    cosine = torch.nn.functional.cosine_similarity(unit_gradient(gradients, norm), gradients)
    torch.testing.assert_close(cosine, torch.ones(8))


@pytest.mark.parametrize("norm", NORMS)
def test_a_zero_gradient_has_the_zero_direction(norm):
    zero = torch.zeros(2, 3, 4, 4)
    assert torch.equal(unit_gradient(zero, norm), zero)
    assert torch.equal(steepest_direction(zero, norm), zero)


@pytest.mark.parametrize(("norm", "dual"), [("linf", "l1"), ("l2", "l2"), ("l1", "linf")])
def test_steepest_direction_attains_the_dual_norm(norm, dual):
    gradients = normal(8, 3, 4, 4)
    direction = steepest_direction(gradients, norm)
    torch.testing.assert_close(lengths(direction, norm), torch.ones(8))
    torch.testing.assert_close((direction * gradients).sum((1, 2, 3)), lengths(gradients, dual))


# Moments of the uniform distributions in n dimensions, radius 1. Standard errors are below a third of each
# tolerance.
DIMENSION = 5
SECOND_MOMENT = {
    ("ball", "linf"): 1 / 3,
    ("ball", "l2"): 1 / (DIMENSION + 2),
    ("ball", "l1"): 2 / ((DIMENSION + 1) * (DIMENSION + 2)),
    ("sphere", "linf"): (1 + (DIMENSION - 1) / 3) / DIMENSION,
    ("sphere", "l2"): 1 / DIMENSION,
    ("sphere", "l1"): 2 / (DIMENSION * (DIMENSION + 1)),
}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("body", ["ball", "sphere"])
def test_samples_have_the_moments_of_the_uniform_distribution(body, norm):
    radius = 3.0
    draw = {"ball": uniform_in_ball, "sphere": uniform_on_sphere}[body]
    points = draw(torch.empty(100_000, DIMENSION), norm, radius, generator()) / radius
    torch.testing.assert_close(points.mean(0), torch.zeros(DIMENSION), rtol=0, atol=0.01)
    torch.testing.assert_close(
        points.pow(2).mean(0), torch.full((DIMENSION,), SECOND_MOMENT[body, norm]), rtol=0.03, atol=0
    )
    covariance = points.T @ points / len(points)
    assert (covariance - covariance.diag().diag()).abs().max() < 0.01


@pytest.mark.parametrize("norm", NORMS)
def test_share_of_a_ball_within_half_its_radius_is_its_volume(norm):
    points = uniform_in_ball(torch.empty(100_000, 3), norm, 2.0, generator())
    inside = (lengths(points, norm) < 1).float().mean()
    assert lengths(points, norm).max() <= 2
    assert inside.item() == pytest.approx(0.5**3, abs=0.004)


@pytest.mark.parametrize("norm", NORMS)
def test_points_of_the_sphere_have_its_radius(norm):
    points = uniform_on_sphere(torch.empty(50, 3, 4, 4), norm, 0.25, generator())
    torch.testing.assert_close(lengths(points, norm), torch.full((50,), 0.25))


def test_corners_of_the_cube_have_every_entry_at_the_radius():
    points = uniform_on_sphere(torch.empty(2_000, 10), "linf", 0.25, generator(), corners=True)
    assert torch.equal(points.abs(), torch.full_like(points, 0.25))
    assert points.mean().abs() < 0.01


@pytest.mark.parametrize("norm", NORMS)
def test_samples_repeat_with_the_seed(norm):
    like = torch.empty(4, 3, 4, 4)
    for draw in (uniform_in_ball, uniform_on_sphere):
        assert torch.equal(draw(like, norm, 1.0, generator(1)), draw(like, norm, 1.0, generator(1)))
        assert not torch.equal(draw(like, norm, 1.0, generator(1)), draw(like, norm, 1.0, generator(2)))
