"""Verdicts: what an interval decides, and how the parts of a claim are joined."""

from __future__ import annotations

from typing import Any

import pytest

from gauntlet.analysis.intervals import Interval
from gauntlet.analysis.verdicts import (
    Verdict,
    above,
    all_of,
    at_most,
    by_construction,
    equals,
    not_testable,
    within,
)


@pytest.mark.parametrize(
    ("low", "high", "threshold", "decision"),
    [
        (0.1, 0.3, 0.0, "supported"),
        (-0.3, -0.1, 0.0, "contradicted"),
        (-0.1, 0.3, 0.0, "inconclusive"),
        (0.0, 0.3, 0.0, "inconclusive"),
        (0.1, 0.3, 0.2, "inconclusive"),
        (0.1, 0.15, 0.2, "contradicted"),
    ],
)
def test_a_difference_is_decided_by_its_interval(
    low: float, high: float, threshold: float, decision: str
) -> None:
    verdict = above("gap", Interval((low + high) / 2, low, high), threshold)
    assert verdict.decision == decision
    assert verdict.numbers == {"gap": (low + high) / 2, "gap, low": low, "gap, high": high}
    assert verdict.reason.startswith(f"gap: {(low + high) / 2:.4g} [{low:.4g}, {high:.4g}]")


@pytest.mark.parametrize(
    ("low", "high", "decision"), [(1, 5, "supported"), (4, 6, "inconclusive"), (6, 7, "contradicted")]
)
def test_a_bound_is_kept_where_the_whole_interval_keeps_it(low: float, high: float, decision: str) -> None:
    assert at_most("rate", Interval((low + high) / 2, low, high), 5).decision == decision


@pytest.mark.parametrize(
    ("low", "high", "decision"),
    [(-1, 1, "supported"), (-3, 1, "inconclusive"), (3, 4, "contradicted"), (-9, -3, "contradicted")],
)
def test_a_range_holds_where_the_whole_interval_lies_in_it(low: float, high: float, decision: str) -> None:
    assert within("gap", Interval((low + high) / 2, low, high), (-2, 2)).decision == decision


def test_a_number_without_sampling_error_is_right_or_wrong() -> None:
    assert equals("factor", 26.8628, 26.8629, tolerance=1e-3).decision == "supported"
    assert equals("factor", 26.8628, 27.0, tolerance=1e-3).decision == "contradicted"


@pytest.mark.parametrize(
    ("parts", "decision"),
    [
        (["supported", "supported"], "supported"),
        (["supported", "inconclusive"], "inconclusive"),
        (["inconclusive", "contradicted", "supported"], "contradicted"),
        (["supported", "not testable"], "inconclusive"),
        (["contradicted", "not testable"], "contradicted"),
        (["supported", "by construction"], "supported"),
        (["by construction", "by construction"], "by construction"),
        (["by construction", "not testable"], "inconclusive"),
        (["not testable", "not testable"], "not testable"),
    ],
)
def test_the_weakest_part_decides_a_claim_of_several(parts: list[Any], decision: str) -> None:
    joined = all_of(*(Verdict(part, f"Part {i}.", {f"n{i}": float(i)}) for i, part in enumerate(parts)))
    assert joined.decision == decision
    assert sorted(joined.reason.replace("Part ", "").split()) == [f"{i}." for i in range(len(parts))]
    assert joined.numbers == {f"n{i}": float(i) for i in range(len(parts))}


def test_a_reason_begins_with_the_part_that_decides() -> None:
    parts = [Verdict("supported", "A."), Verdict("not testable", "B."), Verdict("contradicted", "C.")]
    assert all_of(parts).reason == "C. B. A."
    assert all_of(parts[:2]).reason == "B. A.", "what could not be tested leaves the whole open"
    assert all_of(parts[0], Verdict("supported", "D.")).reason == "A. D."


def test_what_cannot_be_tested_or_cannot_fail_says_why() -> None:
    assert not_testable("no data") == Verdict("not testable", "no data")
    assert by_construction("a cap").decision == "by construction"
