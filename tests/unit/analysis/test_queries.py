"""Queries to success, success after so many of them, and what failures are charged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gauntlet.analysis.queries import charged, queries_to_success, succeeded, success_rates
from gauntlet.analysis.results import Results

NEVER = float("nan")


@pytest.fixture
def attack(results_of: Callable[..., Results]) -> Results:
    """An attack with a budget of 100 queries that fails on the second of four images."""
    ran = {"columns": {"queries_to_success": [10.0, NEVER, 100.0, 1.0]}, "settings": {"budget": 100}}
    return results_of({"bandits": {"linf": ran}})


def test_success_is_counted_up_to_and_including_the_limit(attack: Results) -> None:
    assert queries_to_success(attack).tolist() == pytest.approx([10, NEVER, 100, 1], nan_ok=True)
    assert succeeded(attack).tolist() == [True, False, True, True]
    assert succeeded(attack, 10).tolist() == [True, False, False, True]
    assert succeeded(attack, 9.5).tolist() == [False, False, False, True]


def test_a_failure_is_charged_the_budget(attack: Results) -> None:
    assert charged(attack).tolist() == [10, 100, 100, 1]


def test_an_attack_that_never_succeeds_is_charged_the_budget_throughout(
    results_of: Callable[..., Results],
) -> None:
    ran = {"columns": {"success": [False, False]}, "settings": {"budget": 7}}
    never = results_of({"bandits": {"linf": ran}})
    assert charged(never).tolist() == [7, 7]
    assert not succeeded(never).any() and not succeeded(never, 1e9).any()


def test_the_success_curve_counts_failures_in_its_total() -> None:
    queries = np.array([10, NEVER, 100, 1])
    limits = [0, 1, 9, 10, 100, 1e9]
    np.testing.assert_array_equal(success_rates(queries, limits), [0, 0.25, 0.25, 0.5, 0.75, 0.75])


def test_the_success_curve_is_the_share_at_each_limit() -> None:
    generator = np.random.default_rng(0)
    queries = generator.integers(1, 50, 200).astype(float)
    queries[generator.random(200) < 0.3] = NEVER
    limits = np.arange(60)
    np.testing.assert_allclose(
        success_rates(queries, limits), [np.mean(queries <= limit) for limit in limits]
    )
