"""Verdicts on claims, and the rules that turn an interval into one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

from gauntlet.analysis.intervals import Interval

Decision = Literal["supported", "contradicted", "inconclusive", "by construction", "not testable"]

DECISIONS: tuple[Decision, ...] = get_args(Decision)

_WEAKEST_FIRST: tuple[Decision, ...] = (
    "contradicted",
    "inconclusive",
    "not testable",
    "supported",
    "by construction",
)
"""The order in which the parts of a claim are told: what decides comes first."""


@dataclass(frozen=True)
class Verdict:
    """Verdict on one claim.

    Attributes:
        decision: ``inconclusive`` where the interval or the sample does not decide; ``by construction`` where
            no evidence could have contradicted it.
        reason: one or two sentences with the numbers that decided.
        numbers: the deciding numbers by name, for the csv.
    """

    decision: Decision
    reason: str
    numbers: dict[str, float] = field(default_factory=dict)


def above(name: str, interval: Interval, threshold: float = 0.0) -> Verdict:
    """Decide whether a number lies above a threshold: its interval is above, below or across it.

    Args:
        name: what the number is; begins the reason.
        interval: the number with its interval.
        threshold: what the claim says that it exceeds.
    """
    if math.isnan(interval.estimate):
        return _nothing(name)
    decision: Decision = "inconclusive"
    if interval.low > threshold:
        decision = "supported"
    elif interval.high < threshold:
        decision = "contradicted"
    relation = {"supported": "above", "contradicted": "below"}.get(decision, "not separated from")
    return Verdict(
        decision, f"{name}: {_written(interval)}, {relation} {threshold:.4g}.", _numbers(name, interval)
    )


def at_most(name: str, interval: Interval, bound: float) -> Verdict:
    """Decide whether a number stays at or below a bound, by its interval."""
    if math.isnan(interval.estimate):
        return _nothing(name)
    decision: Decision = "inconclusive"
    if interval.high <= bound:
        decision = "supported"
    elif interval.low > bound:
        decision = "contradicted"
    relation = {"supported": "within", "contradicted": "above"}.get(decision, "not separated from")
    return Verdict(
        decision,
        f"{name}: {_written(interval)}, {relation} the bound {bound:.4g}.",
        {**_numbers(name, interval), "bound": float(bound)},
    )


def within(name: str, interval: Interval, between: tuple[float, float]) -> Verdict:
    """Decide whether a number lies in a range: an interval inside supports, one outside contradicts."""
    if math.isnan(interval.estimate):
        return _nothing(name)
    bottom, top = between
    decision: Decision = "inconclusive"
    if bottom <= interval.low and interval.high <= top:
        decision = "supported"
    elif interval.high < bottom or interval.low > top:
        decision = "contradicted"
    relation = {"supported": "inside", "contradicted": "outside"}.get(decision, "across the edge of")
    return Verdict(
        decision,
        f"{name}: {_written(interval)}, {relation} [{bottom:.4g}, {top:.4g}].",
        _numbers(name, interval),
    )


def equals(name: str, value: float, expected: float, *, tolerance: float) -> Verdict:
    """Decide a claim about a number without sampling error: equal to within an absolute tolerance or not."""
    agrees = abs(value - expected) <= tolerance
    relation = "as stated" if agrees else "not as stated"
    return Verdict(
        "supported" if agrees else "contradicted",
        f"{name}: {value:.8g}, {relation} ({expected:.8g}, tolerance {tolerance:.2g}).",
        {name: float(value), f"{name}, stated": float(expected)},
    )


def all_of(*given: Verdict | Iterable[Verdict]) -> Verdict:
    """Join the parts of a claim, given one by one or several at once.

    One contradiction contradicts it, one open part leaves it open. A part that could not be tested makes the
    whole at most inconclusive; only if no part could be tested is the claim not testable. Parts that hold by
    construction add nothing unless there are no others. The reason begins with the parts that decided.
    """
    parts = [part for each in given for part in ([each] if isinstance(each, Verdict) else each)]
    if not parts:
        raise ValueError("a claim has at least one part")
    found = {part.decision for part in parts}
    decision: Decision
    if "contradicted" in found:
        decision = "contradicted"
    elif found == {"not testable"}:
        decision = "not testable"
    elif found & {"inconclusive", "not testable"}:
        decision = "inconclusive"
    else:
        decision = "supported" if "supported" in found else "by construction"
    numbers: dict[str, float] = {}
    for part in parts:
        numbers |= part.numbers
    ordered = sorted(parts, key=lambda part: _WEAKEST_FIRST.index(part.decision))
    return Verdict(decision, " ".join(part.reason for part in ordered), numbers)


def by_construction(reason: str) -> Verdict:
    """Return the verdict on a claim that follows from a formula, so that no run could contradict it."""
    return Verdict("by construction", reason)


def not_testable(reason: str) -> Verdict:
    """Return the verdict on a claim that cannot be decided here, with the reason."""
    return Verdict("not testable", reason)


def _nothing(name: str) -> Verdict:
    """Return the verdict on a number that no image tells, such as the mean over no successes."""
    return not_testable(f"{name}: no image to judge by.")


def _numbers(name: str, interval: Interval) -> dict[str, float]:
    estimate, low, high = map(float, interval)
    return {name: estimate, f"{name}, low": low, f"{name}, high": high}


def _written(interval: Interval) -> str:
    return f"{interval.estimate:.4g} [{interval.low:.4g}, {interval.high:.4g}]"
