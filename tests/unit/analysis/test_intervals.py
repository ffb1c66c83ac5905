"""Confidence intervals."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from gauntlet.analysis.intervals import (
    Interval,
    corrected_level,
    paired_share_difference,
    share,
    share_difference,
    wilson,
)
from gauntlet.analysis.published import COMPARED

CASES = [(0, 10), (1, 10), (5, 10), (10, 10), (37, 500), (499, 500), (1, 1)]


@pytest.mark.parametrize(("successes", "total"), CASES)
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_wilson_agrees_with_statsmodels(successes: int, total: int, level: float) -> None:
    found = wilson(successes, total, level)
    assert found.estimate == successes / total
    expected = proportion_confint(successes, total, 1 - level, "wilson")
    np.testing.assert_allclose(found[1:], expected, atol=1e-12)


def test_shares_work_on_arrays_and_claim_nothing_of_an_empty_sample() -> None:
    interval = wilson([0, 5], [0, 10])
    assert all(np.isnan(values[0]) for values in interval)  # type: ignore[index]
    assert interval.estimate[1] == 0.5  # type: ignore[index]
    with pytest.raises(ValueError, match="between 0 and the total"):
        wilson(3, 2)


def test_wilson_covers_the_true_share_about_as_often_as_it_says() -> None:
    successes = np.random.default_rng(0).binomial(60, 0.12, size=20_000)
    found = wilson(successes, np.full(20_000, 60))
    coverage = np.mean((found.low <= 0.12) & (found.high >= 0.12))
    assert 0.93 < coverage < 0.97


def test_share_without_clusters_is_wilsons() -> None:
    assert share([True] * 3 + [False] * 7) == wilson(3, 10)


def test_share_difference_agrees_with_statsmodels() -> None:
    found = share_difference(56, 70, 48, 80)
    expected = confint_proportions_2indep(56, 70, 48, 80, compare="diff", method="newcomb", alpha=0.05)
    np.testing.assert_allclose(found[1:], expected, rtol=1e-9)


def test_paired_share_difference_without_correlation_is_that_of_independent_samples() -> None:
    """In a 2 x 2 table with equal products of the diagonals the pairs are uncorrelated."""
    first = np.repeat([True, True, False, False], [8, 4, 4, 2])
    second = np.repeat([True, False, True, False], [8, 4, 4, 2])
    found = paired_share_difference(first, second)
    np.testing.assert_allclose(found, share_difference(12, 18, 12, 18))


def test_paired_share_difference_of_a_table_computed_by_hand() -> None:
    """Twenty pairs: 10 both, 5 only the first, 1 only the second, 4 neither."""
    first = np.repeat([True, True, False, False], [10, 5, 1, 4])
    second = np.repeat([True, False, True, False], [10, 5, 1, 4])
    correlation = (10 * 4 - 5 * 1 - 10) / np.sqrt(15 * 5 * 11 * 9)
    (p, a, b), (q, c, d) = wilson(15, 20), wilson(11, 20)
    low = 0.2 - np.sqrt((p - a) ** 2 - 2 * correlation * (p - a) * (d - q) + (d - q) ** 2)
    high = 0.2 + np.sqrt((b - p) ** 2 - 2 * correlation * (b - p) * (q - c) + (q - c) ** 2)
    np.testing.assert_allclose(paired_share_difference(first, second), (0.2, low, high))


def test_paired_shares_that_never_differ_keep_an_interval() -> None:
    found = paired_share_difference([True] * 10, [True] * 10)
    assert found.low < -0.2
    assert found.high > 0.2


def test_paired_share_difference_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(8)
    hits = 0
    for _ in range(1000):
        first = generator.random(80) < 0.6
        second = np.where(generator.random(80) < 0.7, first, generator.random(80) < 0.4)
        # The second share is 0.7 * 0.6 + 0.3 * 0.4.
        _, low, high = paired_share_difference(first, second)
        hits += low <= 0.6 - 0.54 <= high
    assert 930 <= hits <= 985


def test_one_pair_per_image_has_the_plain_wilson_interval() -> None:
    hits = np.arange(80) < 7
    assert share(hits, clusters=np.arange(80)) == wilson(7, 80)


def test_pairs_that_repeat_their_image_count_as_images() -> None:
    """Nine equal pairs per image: the variance is that of the images (with n - 1), whatever their number."""
    hits = np.repeat(np.arange(40) < 10, 9)
    found = share(hits, clusters=np.repeat(np.arange(40), 9))
    np.testing.assert_allclose(found, wilson(0.25 * 39, 39))


def test_no_success_leaves_the_uncertainty_of_the_images() -> None:
    assert share(np.zeros(90), clusters=np.repeat(np.arange(10), 9)) == wilson(0, 10)


def test_the_interval_covers_where_pairs_of_an_image_depend_on_each_other() -> None:
    """500 pairs of 56 images, shares of images Beta(0.5, 1.5): about 95 % coverage, where Wilson's has far less."""
    generator = np.random.default_rng(0)
    images = np.arange(500) // 9
    covered = np.zeros(2)
    for _ in range(300):
        hits = generator.random(500) < generator.beta(0.5, 1.5, 56)[images]
        for place, interval in enumerate((share(hits, clusters=images), wilson(hits.sum(), 500))):
            covered[place] += interval.low <= 0.25 <= interval.high
    assert 0.92 < covered[0] / 300 < 0.98
    assert covered[1] / 300 < 0.75


def test_differences_of_single_pairs_are_newcombes() -> None:
    first, second = np.arange(60) < 20, np.arange(60) < 12
    assert paired_share_difference(first, second, clusters=np.arange(60)) == paired_share_difference(
        first, second
    )


def test_equal_runs_of_shared_images_are_not_certainly_equal() -> None:
    found = paired_share_difference(np.zeros(90), np.zeros(90), clusters=np.repeat(np.arange(10), 9))
    assert found == (0.0, -wilson(0, 10).high, wilson(0, 10).high)


def test_differences_of_shared_images_resample_images() -> None:
    """Ten images, of two of which all nine pairs differ: as wide as two of ten, not as 18 of 90."""
    images = np.repeat(np.arange(10), 9)
    found = paired_share_difference(images < 2, np.zeros(90), clusters=images)
    assert found.estimate == pytest.approx(0.2)
    assert found.low == 0.0 and 0.4 <= found.high <= 0.6


def test_corrected_intervals_hold_together_as_often_as_one_alone() -> None:
    assert corrected_level(1) == pytest.approx(0.95)
    assert corrected_level(10, 0.9) == pytest.approx(0.99)
    successes = np.random.default_rng(1).binomial(200, 0.3, size=(4000, 5))
    found = wilson(successes, np.full_like(successes, 200), corrected_level(5))
    assert np.mean(((found.low <= 0.3) & (found.high >= 0.3)).all(1)) > 0.94


def test_an_interval_is_written_as_the_columns_that_a_comparison_takes() -> None:
    assert Interval(1.0, 0.5, 2.0).columns() == dict(zip(COMPARED, (1.0, 0.5, 2.0), strict=False))


def test_shares_of_several_settings_are_averaged_over_whole_images() -> None:
    first = np.array([[1, 1], [1, 0], [1, 1], [0, 0]] * 25, dtype=bool)
    second = np.zeros_like(first)
    found = paired_share_difference(first, second)
    images = np.repeat(np.arange(100), 2)
    assert found == paired_share_difference(first.ravel(), second.ravel(), clusters=images)
    assert found.estimate == pytest.approx(5 / 8)
    level = paired_share_difference(second, second)
    assert level.low < 0 < level.high, "no differing image is no certainty"
