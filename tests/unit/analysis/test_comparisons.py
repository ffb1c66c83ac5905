"""Statements about several numbers at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gauntlet.analysis.bootstrap import Estimate, bootstrap, bootstrap_means
from gauntlet.analysis.comparisons import (
    everywhere_above,
    everywhere_within,
    holds,
    lowest,
    more_often,
    more_on_average,
    ordered,
    ratio_of_means,
    somewhere_above,
)
from gauntlet.analysis.intervals import Interval

NAMES = ("ours", "first", "second")


def estimate_of(*means: float, spread: float = 1.0, images: int = 400) -> Estimate:
    sample = np.random.default_rng(2).normal(means, spread, size=(images, len(means)))
    return bootstrap(lambda rows: rows.mean(0), sample)


@pytest.mark.parametrize(
    ("means", "decision"),
    [((0, 1, 2), "supported"), ((1, 0, 2), "contradicted"), ((0, 0, 1), "inconclusive")],
)
def test_the_lowest_of_several_is_decided_against_all_rivals_at_once(
    means: tuple[float, ...], decision: str
) -> None:
    verdict = lowest("mean", estimate_of(*means), NAMES, "ours")
    assert verdict.decision == decision
    assert "ours" in verdict.reason


def test_one_of_equals_is_seldom_called_the_lowest() -> None:
    calls = []
    for seed in range(200):
        sample = np.random.default_rng(seed).normal(size=(100, 3))
        estimate = bootstrap(lambda rows: rows.mean(0), sample, resamples=200)
        calls.append(lowest("mean", estimate, NAMES, "ours").decision)
    assert calls.count("supported") <= 12


def test_a_tie_decides_nothing() -> None:
    level = Estimate(np.array([1.0, 1.0, 2.0]), np.tile([1.0, 1.0, 2.0], (200, 1)))
    assert lowest("mean", level, NAMES, "ours").decision == "inconclusive"
    assert lowest("mean", level, NAMES, "second").decision == "contradicted"


def test_all_numbers_must_lie_in_the_range_and_one_outside_contradicts() -> None:
    inside, across, outside = Interval(0, -1, 1), Interval(1, 0, 3), Interval(4, 3, 5)
    assert everywhere_within("x", [inside, inside], (-2, 2)).decision == "supported"
    open_verdict = everywhere_within("x", [inside, across], (-2, 2))
    assert open_verdict.decision == "inconclusive"
    assert "1 [0, 3]" in open_verdict.reason
    assert everywhere_within("x", [inside, outside, across], (-2, 2)).decision == "contradicted"


def test_the_order_must_hold_between_all_neighbors() -> None:
    assert ordered("mean", estimate_of(0, 1, 2), NAMES).decision == "supported"
    assert ordered("mean", estimate_of(0, 2, 1), NAMES).decision == "contradicted"


def test_a_statement_is_decided_at_five_percent_on_either_side() -> None:
    replicates = np.arange(100.0)
    estimate = Estimate(np.array(50.0), replicates)
    assert holds("x", estimate, lambda value: value >= 5).decision == "supported"
    assert holds("x", estimate, lambda value: value >= 6).decision == "inconclusive"
    assert holds("x", estimate, lambda value: value >= 95).decision == "contradicted"


def test_the_largest_of_many_equals_does_not_count_as_a_gain_somewhere() -> None:
    """The largest of 40 means without any gain looks like one to an interval of its own."""
    calls, naive = [], []
    for seed in range(100):
        sample = np.random.default_rng(seed).normal(size=(150, 40))
        estimate = bootstrap(lambda rows: rows.mean(0), sample, resamples=400)
        calls.append(somewhere_above("gain", estimate).decision == "supported")
        naive.append((np.asarray(estimate.interval().low) > 0).any())
    assert np.mean(calls) <= 0.12 < 0.5 < np.mean(naive)


def test_a_gain_in_one_setting_of_many_is_found() -> None:
    means = np.zeros(20)
    means[7] = 0.5
    assert somewhere_above("gain", estimate_of(*means)).decision == "supported"
    assert somewhere_above("gain", estimate_of(*(means - 1))).decision == "contradicted"


def test_two_attacks_on_the_same_images_are_compared_in_pairs() -> None:
    """Where one attack succeeds wherever the other does, few images decide."""
    often, seldom = pd.Series([True] * 12 + [False] * 48), pd.Series([False] * 60)
    assert more_often("success", often, seldom).decision == "supported"
    assert more_often("success", often, seldom, points=45).decision == "contradicted"
    difficulty = pd.Series(np.random.default_rng(3).normal(scale=50, size=80))
    assert more_on_average("queries", difficulty + 1, difficulty).decision == "supported"
    ratio = ratio_of_means(2 * difficulty.abs(), difficulty.abs()).interval()
    np.testing.assert_allclose(ratio, (2, 2, 2))


@pytest.mark.parametrize(
    ("means", "decision"),
    [((1, 2, 3), "supported"), ((0, 2, 3), "inconclusive"), ((-1, 2, 3), "contradicted")],
)
def test_one_entry_below_contradicts_that_all_are_above(means: tuple[float, ...], decision: str) -> None:
    assert everywhere_above("gap", estimate_of(*means)).decision == decision


def test_the_reason_counts_the_entries_above_the_threshold() -> None:
    assert "above 1.5 at 2 of 3" in everywhere_above("gap", estimate_of(1, 2, 3), 1.5).reason


def test_entries_that_are_all_zero_seldom_contradict() -> None:
    """Uncorrected, one of twenty intervals lies below zero in two of five samples."""
    calls = []
    for seed in range(100):
        sample = np.random.default_rng(seed).normal(size=(100, 20))
        calls.append(everywhere_above("gap", bootstrap_means(sample, resamples=2000)).decision)
    assert calls.count("contradicted") <= 8
    assert calls.count("supported") == 0
