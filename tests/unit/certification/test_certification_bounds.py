"""The confidence bounds of randomized smoothing against reference libraries, closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from gauntlet.certification.bounds import (
    bernstein_lower,
    bernstein_upper,
    certified_radius,
    clopper_pearson_lower,
    clopper_pearson_upper,
    fair_coin_p_value,
)


@pytest.mark.parametrize("draws", [1, 7, 100, 10_000, 100_000])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_clopper_pearson_equals_one_side_of_the_two_sided_interval_of_twice_the_level(draws, alpha):
    counts = np.unique(np.linspace(0, draws, 41).round())
    low, high = proportion_confint(counts, draws, alpha=2 * alpha, method="beta")
    np.testing.assert_allclose(
        clopper_pearson_lower(counts, draws, alpha), np.where(counts == 0, 0.0, low), rtol=1e-9, atol=1e-15
    )
    np.testing.assert_allclose(
        clopper_pearson_upper(counts, draws, alpha),
        np.where(counts == draws, 1.0, high),
        rtol=1e-9,
        atol=1e-15,
    )


@pytest.mark.parametrize(
    ("draws", "sigma", "largest"),
    [
        (100_000, 0.25, 0.953),
        (100_000, 0.5, 1.906),
        (10_000, 0.25, 0.800),
        (1_000, 0.5, 1.232),
        (100, 0.25, 0.375),
    ],
)
def test_unanimous_draws_certify_the_largest_radius_that_their_number_allows(draws, sigma, largest):
    """All n draws in one class bound its probability by alpha^(1/n)."""
    lower = clopper_pearson_lower(draws, draws, 0.001)
    assert lower == pytest.approx(0.001 ** (1 / draws), rel=1e-12)
    assert certified_radius(lower, 1 - lower, sigma) == pytest.approx(largest, abs=5e-4)


@pytest.mark.parametrize("probability", [0.05, 0.5, 0.93])
def test_clopper_pearson_covers_at_least_its_level(probability):
    """Exact coverage: counts whose bound passes the true probability weigh at most alpha."""
    draws, alpha = 200, 0.05
    counts = np.arange(draws + 1)
    weight = stats.binom.pmf(counts, draws, probability)
    assert weight[clopper_pearson_lower(counts, draws, alpha) > probability].sum() <= alpha
    assert weight[clopper_pearson_upper(counts, draws, alpha) < probability].sum() <= alpha
    # The bound is not vacuous: it fails nearly as often as it may.
    assert weight[clopper_pearson_lower(counts, draws, alpha) > probability].sum() > alpha / 3


def test_the_bernstein_bound_follows_its_formula():
    """Draws with mean 0.6 and mean squared deviation 0.08; alpha = 2 / e makes the logarithm 1."""
    draws = np.array([0.2, 0.4, 0.6, 0.8, 1.0] * 200)
    n, variance = len(draws), 0.08 * 1000 / 999
    expected = 0.6 - np.sqrt(2 * variance / n) - 7 / (3 * (n - 1))
    lower = bernstein_lower(draws.sum(), (draws**2).sum(), n, 2 / np.e)
    assert lower == pytest.approx(expected, rel=1e-12)
    # 1 - draws has mean 0.4 and the same variance.
    upper = bernstein_upper((1 - draws).sum(), ((1 - draws) ** 2).sum(), n, 2 / np.e)
    assert upper == pytest.approx(1 - expected, rel=1e-12)


def test_the_bernstein_bound_covers_at_least_its_level():
    rng = np.random.default_rng(0)
    alpha, n, trials = 0.1, 300, 4000
    draws = rng.beta(9.0, 1.0, size=(trials, n))
    lower = bernstein_lower(draws.sum(1), (draws**2).sum(1), n, alpha)
    upper = bernstein_upper(draws.sum(1), (draws**2).sum(1), n, alpha)
    assert (lower > 0.9).mean() <= alpha
    assert (upper < 0.9).mean() <= alpha
    assert lower.min() > 0.7 and upper.max() < 1.0


def test_one_draw_bounds_no_mean():
    assert bernstein_lower(1.0, 1.0, 1, 0.05) == 0.0
    assert bernstein_upper(0.0, 0.0, 1, 0.05) == 1.0


def test_the_p_value_equals_scipys_two_sided_binomial_test():
    for first, second in [(0, 0), (1, 0), (3, 3), (7, 2), (2, 7), (60, 40), (531, 469), (1000, 0)]:
        expected = stats.binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
        assert fair_coin_p_value(first, second) == pytest.approx(expected, rel=1e-9)


def test_the_radius_is_zero_without_a_majority_and_symmetric_in_the_two_bounds():
    radii = certified_radius([0.0, 0.4, 0.5, 0.8, 0.8], [1.0, 0.6, 0.5, 0.2, 0.1], 0.5)
    assert radii[:3].tolist() == [0.0, 0.0, 0.0]
    assert radii[3] == pytest.approx(0.5 * stats.norm.ppf(0.8))
    assert radii[4] == pytest.approx(0.25 * (stats.norm.ppf(0.8) + stats.norm.ppf(0.9)))
