import pytest
import torch

from gauntlet.attacks.queries.per_image_rng import PerImageRng
from gauntlet.attacks.score_based.gradient_estimate import estimate_gradient

SIZE = 12


@pytest.fixture
def quadratic():
    """f(x) = x' A x / 2 + b' x per image, with its gradient at random points of 40 images."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(SIZE, SIZE, generator=generator, dtype=torch.float64)
    matrix = matrix + matrix.T
    offset = torch.randn(SIZE, generator=generator, dtype=torch.float64)
    points = torch.rand(40, 3, 2, 2, generator=generator, dtype=torch.float64)

    def loss(images, rows):
        flat = images.flatten(1)
        return (flat @ matrix * flat).sum(1) / 2 + flat @ offset

    return loss, points, points.flatten(1) @ matrix + offset


def estimates(loss, points, directions, *, draws=60, pairs=25, pixel_step=0.3, largest_pass=64):
    rows = torch.arange(len(points))
    streams = PerImageRng(torch.Generator().manual_seed(3), rows)
    options = {
        "pairs": pairs,
        "pixel_step": pixel_step,
        "directions": directions,
        "largest_pass": largest_pass,
    }
    return torch.stack(
        [
            estimate_gradient(loss, points, rows, streams, draw, **options)[0].flatten(1)
            for draw in range(draws)
        ]
    )


@pytest.mark.parametrize("directions", ["sphere", "gaussian"])
def test_the_estimate_is_unbiased_on_a_quadratic(directions, quadratic):
    """Antithetic pairs cancel the curvature: the mean over draws is the gradient, within 5 standard errors."""
    loss, points, gradient = quadratic
    drawn = estimates(loss, points, directions)
    error = drawn.mean(0) - gradient
    standard_error = drawn.std(0) / len(drawn) ** 0.5
    assert (error.abs() < 5 * standard_error).all()
    assert (error / standard_error).mean().abs() < 0.2


@pytest.mark.parametrize("directions", ["sphere", "gaussian"])
def test_the_variance_of_a_linear_estimate_is_that_of_theory(directions, quadratic):
    """For one pair on f = b'x: E|g - b|^2 is (D + 1) |b|^2 for normal and (D - 1) |b|^2 for sphere directions."""
    _, points, _ = quadratic
    slope = torch.linspace(-1, 1, SIZE, dtype=torch.float64)
    drawn = estimates(lambda images, rows: images.flatten(1) @ slope, points, directions, pairs=1, draws=400)
    variance = (drawn - slope).square().sum(2).mean()
    expected = (SIZE + 1 if directions == "gaussian" else SIZE - 1) * slope.square().sum()
    torch.testing.assert_close(variance, expected, rtol=0.05, atol=0)


def test_sphere_probes_all_lie_at_the_same_distance(quadratic):
    """A root mean square change per pixel of delta means an l2 distance of delta sqrt(D)."""
    _, points, _ = quadratic
    distances = []

    def loss(images, rows):
        distances.append((images - points[rows]).flatten(1).norm(dim=1))
        return images.flatten(1).sum(1)

    estimates(loss, points, "sphere", draws=1, pixel_step=0.01)
    torch.testing.assert_close(
        torch.cat(distances), torch.full((40 * 50,), 0.01 * SIZE**0.5, dtype=torch.float64)
    )


def test_the_mean_probe_loss_is_returned(quadratic):
    """On f = b'x antithetic pairs average to f(x) exactly."""
    _, points, _ = quadratic
    rows = torch.arange(len(points))
    streams = PerImageRng(torch.Generator().manual_seed(3), rows)
    _, level = estimate_gradient(
        lambda images, rows: images.flatten(1).sum(1), points, rows, streams, 0,
        pairs=7, pixel_step=0.1, directions="gaussian", largest_pass=1000,
    )  # fmt: skip
    torch.testing.assert_close(level, points.flatten(1).sum(1))


def test_numbers_of_an_image_do_not_depend_on_the_others():
    indices = torch.tensor([5, 9, 100_000, 7])
    together = PerImageRng(torch.Generator().manual_seed(1), indices)
    alone = PerImageRng(torch.Generator().manual_seed(1), indices[2:3])
    for draw in ("normal", "uniform", "signs"):
        both = [
            getattr(together, draw)(torch.tensor([1, 2]), 4, (3, 5))[1],
            getattr(alone, draw)(torch.tensor([0]), 4, (3, 5))[0],
        ]
        assert torch.equal(*both)


def test_streams_have_the_moments_of_their_distributions_and_no_correlation():
    """Over 2^20 numbers: mean, variance and fourth moment; neighbors, draws and images are uncorrelated."""
    indices = torch.arange(16)
    streams = PerImageRng(torch.Generator().manual_seed(0), indices)
    normal = torch.stack([streams.normal(indices, draw, (2**12,)) for draw in range(16)]).double()
    tolerance = 4 / normal.numel() ** 0.5
    assert abs(normal.mean()) < tolerance
    assert abs(normal.square().mean() - 1) < tolerance * 2**0.5
    assert abs(normal.pow(4).mean() - 3) < tolerance * 96**0.5
    for first, second in (
        (normal[..., 1:], normal[..., :-1]),
        (normal[..., : 2**11], normal[..., 2**11 :]),
        (normal[1:], normal[:-1]),
        (normal[:, 1:], normal[:, :-1]),
    ):
        assert abs((first * second).mean()) < 2 * tolerance
    uniform = streams.uniform(indices, 99, (2**12,)).double()
    assert uniform.min() >= 0
    assert uniform.max() < 1
    counts = torch.histc(uniform.float(), 64, 0, 1).double()
    assert (counts / 1024 - 1).square().sum() * 1024 < 64 + 4 * 128**0.5
    assert abs(streams.signs(indices, 100, (2**12,)).mean()) < 4 / 2**8


def test_another_seed_gives_other_numbers():
    indices = torch.arange(4)
    first, second = (PerImageRng(torch.Generator().manual_seed(seed), indices) for seed in (0, 1))
    assert not torch.isclose(first.normal(indices, 0, (50,)), second.normal(indices, 0, (50,))).any(1).all()
