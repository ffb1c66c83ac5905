"""The bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from gauntlet.analysis.bootstrap import (
    bootstrap,
    bootstrap_means,
    bootstrap_means_over_seeds,
    bootstrap_over_seeds,
    mean,
    median,
    paired_difference,
    quantile,
)
from gauntlet.analysis.intervals import share


def test_the_bootstrap_interval_of_a_mean_is_close_to_the_normal_one() -> None:
    sample = np.random.default_rng(1).exponential(size=800)
    found = mean(sample, resamples=4000)
    reach = 1.96 * sample.std() / np.sqrt(len(sample))
    assert found.estimate == pytest.approx(sample.mean())
    assert found.low == pytest.approx(sample.mean() - reach, abs=0.15 * reach)
    assert found.high == pytest.approx(sample.mean() + reach, abs=0.15 * reach)


def test_the_bootstrap_interval_of_a_median_covers_it_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(2)
    truth = np.log(2)
    intervals = [median(generator.exponential(size=101), resamples=300, seed=i) for i in range(300)]
    coverage = np.mean([low <= truth <= high for _, low, high in intervals])
    assert 0.91 < coverage < 0.99


@pytest.mark.parametrize("probability", [0, 0.05, 0.1, 0.5, 0.731, 0.9, 1])
def test_quantiles_interpolate_as_numpys_do(probability: float) -> None:
    sample = np.random.default_rng(3).normal(size=57)
    assert quantile(sample, probability, resamples=50).estimate == pytest.approx(
        np.quantile(sample, probability)
    )


def test_bootstrap_quantiles_are_those_of_the_resampled_images() -> None:
    """The weighted quantiles equal numpy's on samples that are written out in full."""
    sample, resamples = np.random.default_rng(4).normal(size=23), 200
    drawn = np.random.default_rng(9).integers(23, size=(resamples, 23))
    replicates = np.quantile(sample[drawn], 0.3, axis=1)
    found = quantile(sample, 0.3, resamples=resamples, seed=9)
    assert found.low == pytest.approx(np.quantile(replicates, 0.025, method="lower"))
    assert found.high == pytest.approx(np.quantile(replicates, 0.975, method="higher"))


def test_infinite_values_move_a_quantile_only_where_it_falls_on_them() -> None:
    sample = np.array([*range(20), np.inf, np.inf])
    assert quantile(sample, 0.5).estimate == 10.5
    assert quantile(sample, 1.0).estimate == np.inf
    assert np.isfinite(median(sample).high)


def test_clusters_widen_the_interval_as_if_repeated_rows_were_not_there() -> None:
    """Nine equal rows per image say no more than one."""
    sample = np.random.default_rng(5).normal(size=60)
    repeated, images = np.repeat(sample, 9), np.repeat(np.arange(60), 9)
    assert mean(repeated, clusters=images).low == pytest.approx(mean(sample).low)
    assert median(repeated, clusters=images).high == pytest.approx(median(sample).high, abs=0.1)
    naive, honest = mean(repeated), mean(repeated, clusters=images)
    assert honest.high - honest.low > 2.5 * (naive.high - naive.low)
    assert share(repeated > 0, clusters=images).estimate == np.mean(sample > 0)


def test_the_same_seed_gives_the_same_interval_and_another_one_another() -> None:
    sample = np.random.default_rng(6).normal(size=50)
    assert mean(sample, seed=1) == mean(sample, seed=1)
    assert mean(sample, seed=1) != mean(sample, seed=2)


def test_pairing_removes_what_images_have_in_common() -> None:
    generator = np.random.default_rng(7)
    difficulty = generator.normal(scale=10, size=200)
    first, second = difficulty + 1 + generator.normal(size=200) * 0.1, difficulty
    found = paired_difference(first, second)
    assert 0.97 < found.low < found.estimate < found.high < 1.03
    assert mean(first).high - mean(first).low > 50 * (found.high - found.low)


def test_unknown_values_are_refused_rather_than_dropped() -> None:
    with pytest.raises(ValueError, match="1 of 3 values are NaN"):
        mean([1.0, np.nan, 2.0])
    with pytest.raises(ValueError, match="one length"):
        paired_difference([1.0], [1.0, 2.0])


def test_the_joint_bootstrap_of_a_mean_is_the_bootstrap_of_the_mean() -> None:
    sample = np.random.default_rng(8).normal(size=120)
    joint, alone = bootstrap(np.mean, sample).interval(), mean(sample)
    assert joint.estimate == pytest.approx(alone.estimate)
    assert joint.low == pytest.approx(alone.low, abs=0.02)
    assert joint.high == pytest.approx(alone.high, abs=0.02)


def test_arrays_of_one_group_are_resampled_together_and_groups_apart() -> None:
    sample = np.random.default_rng(9).normal(size=200)
    paired = bootstrap(lambda pair: pair[0].mean() - pair[1].mean(), [sample, sample])
    apart = bootstrap(lambda one, two: one.mean() - two.mean(), sample, sample)
    assert paired.interval()[1:] == (0.0, 0.0)
    assert apart.interval().high > 0.1


def test_rows_of_one_image_are_drawn_together() -> None:
    sample = np.repeat(np.random.default_rng(10).normal(size=50), 6)
    images = np.repeat(np.arange(50), 6)
    naive = bootstrap(np.mean, sample).interval()
    honest = bootstrap(np.mean, sample, clusters=images).interval()
    assert honest.high - honest.low > 2 * (naive.high - naive.low)


def test_a_spread_over_seeds_widens_the_interval_where_images_agree() -> None:
    """Three trainings that differ by 0.2 everywhere: images alone would say that the mean is certain."""
    runs = np.array([0.1, 0.3, 0.5])[:, None] * np.ones(400)
    found = bootstrap_over_seeds(np.mean, runs).interval()
    assert found.estimate == pytest.approx(0.3)
    assert found.low <= 0.17
    assert found.high >= 0.43


def test_one_seed_leaves_the_spread_of_the_images() -> None:
    sample = np.random.default_rng(11).normal(size=300)
    nested, plain = bootstrap_over_seeds(np.mean, sample[None]).interval(), mean(sample)
    assert nested.low == pytest.approx(plain.low, abs=0.02)


def test_a_replicate_that_is_not_defined_does_not_count() -> None:
    estimate = bootstrap(lambda rows: np.nan if rows[0] == 0 else rows.mean(), np.arange(5.0))
    assert np.isfinite(estimate.interval()[1:]).all()


def test_a_function_of_an_estimate_keeps_its_resamples() -> None:
    estimate = bootstrap(lambda rows: rows.mean(0), np.random.default_rng(12).normal(size=(80, 2)))
    difference = estimate.map(lambda means: means[0] - means[1])
    np.testing.assert_allclose(difference.replicates, estimate.replicates @ [1, -1])
    assert estimate.share_where(lambda means: means[0] > means[1]) == np.mean(difference.replicates > 0)


def test_means_are_resampled_as_by_the_bootstrap_of_any_statistic() -> None:
    sample = np.random.default_rng(3).normal(size=(37, 2, 3))
    fast, slow = (
        bootstrap_means(sample, resamples=50),
        bootstrap(lambda rows: rows.mean(0), sample, resamples=50),
    )
    np.testing.assert_allclose(fast.value, slow.value)
    np.testing.assert_allclose(fast.replicates, slow.replicates)


def test_means_over_seeds_have_the_distribution_of_the_general_bootstrap():
    """Trainings and images both vary; the fast way draws other resamples of the same distribution."""
    random = np.random.default_rng(0)
    runs = random.normal(size=(6, 40, 2)) + random.normal(size=(6, 1, 1))
    fast = bootstrap_means_over_seeds(runs, resamples=4000)
    slow = bootstrap_over_seeds(lambda drawn: drawn.mean((0, 1)), runs, resamples=4000)
    assert np.allclose(fast.value, slow.value)
    assert np.allclose(fast.replicates.std(0), slow.replicates.std(0), rtol=0.06)
    assert np.allclose(fast.replicates.mean(0), fast.value, atol=0.05)


def test_means_over_seeds_leave_nan_out_and_one_seed_resamples_images_alone():
    runs = np.arange(12.0).reshape(1, 6, 2)
    runs[0, 0, 0] = np.nan
    found = bootstrap_means_over_seeds(runs, resamples=500)
    assert np.allclose(found.value, [np.nanmean(runs[0, :, 0]), runs[0, :, 1].mean()])
    assert np.isfinite(found.replicates).all()
    assert np.allclose(found.replicates[:, 1].std(), runs[0, :, 1].std() / np.sqrt(6), rtol=0.15)
