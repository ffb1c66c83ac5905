from __future__ import annotations

from itertools import permutations
from math import exp, factorial, inf, pi, sqrt

import pytest

from gauntlet.attacks.geometry.volumes import (
    equal_volume_factor,
    lambda_factor,
    log_ball_volume,
    nested_factor,
)

CIFAR10, IMAGENET = 3_072, 150_528
PAIRS = list(permutations([1, 2, inf], 2))


@pytest.mark.parametrize(
    ("dimension", "p", "printed"),
    [
        (CIFAR10, 1, "1131.9422"),
        (CIFAR10, 2, "26.8628"),
        (IMAGENET, 1, "55378.6875"),
        (IMAGENET, 2, "187.7675"),
    ],
)
def test_factors_agree_with_the_printed_ones_to_all_digits(dimension, p, printed):
    assert f"{equal_volume_factor(dimension, inf, p):.4f}" == printed


@pytest.mark.parametrize(
    ("p", "volume"),
    [(1, 2.0**3 / factorial(3)), (2, 4 / 3 * pi), (inf, 2.0**3)],
)
def test_ball_volume_in_three_dimensions(p, volume):
    assert exp(log_ball_volume(3, p)) == pytest.approx(volume)
    assert exp(log_ball_volume(3, p, 0.5)) == pytest.approx(volume / 8)


@pytest.mark.parametrize(("p", "radius"), [(1, sqrt(2)), (2, 2 / sqrt(pi)), (inf, 1.0)])
def test_figure_4_3_radii_of_equal_area_in_the_plane(p, radius):
    assert lambda_factor(2, p) == pytest.approx(radius)


@pytest.mark.parametrize(("p", "radius"), [(1, 2.0), (2, sqrt(2)), (inf, 1.0)])
def test_figure_4_3_radii_of_containing_balls_in_the_plane(p, radius):
    assert nested_factor(2, inf, p) == pytest.approx(radius)


def test_lambda_factor_for_l1_is_the_root_of_the_factorial():
    assert lambda_factor(7, 1) == pytest.approx(factorial(7) ** (1 / 7))


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_scaled_balls_have_equal_volume(first, second):
    factor = equal_volume_factor(20, first, second)
    assert log_ball_volume(20, second, 0.3 * factor) == pytest.approx(log_ball_volume(20, first, 0.3))
    assert factor * equal_volume_factor(20, second, first) == pytest.approx(1)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_nested_ball_touches_the_original_one(first, second):
    """The point of the unit ball that is longest in the other norm: a corner of the cube or a unit vector."""
    dimension = 16
    diagonal = dimension ** ((0 if second == inf else 1 / second) - (0 if first == inf else 1 / first))
    assert nested_factor(dimension, first, second) == pytest.approx(max(1.0, diagonal))


def test_radii_used_on_imagenet():
    eps = 3 / 255
    assert eps * equal_volume_factor(IMAGENET, inf, 1) == pytest.approx(651.514, abs=1e-3)
    assert eps * equal_volume_factor(IMAGENET, inf, 2) == pytest.approx(2.2090, abs=1e-4)
    assert eps * nested_factor(IMAGENET, inf, 1) == pytest.approx(1770.918, abs=1e-3)
    assert eps * nested_factor(IMAGENET, inf, 2) == pytest.approx(4.5645, abs=1e-4)
