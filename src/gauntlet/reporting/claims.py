"""Legacy. Verdicts on claims, and the rules that turn an interval into one."""

from __future__ import annotations

from gauntlet.analysis.verdicts import Decision as Decision
from gauntlet.analysis.verdicts import Verdict as Verdict
from gauntlet.analysis.verdicts import all_of as all_of
from gauntlet.analysis.verdicts import not_testable as not_testable


def direction(name: str, difference: float, low: float, high: float, *, threshold: float = 0.0) -> Verdict:
    """Decide whether a difference lies above a threshold, by its confidence interval.

    Args:
        name: what the difference is of; begins the reason.
        difference: the estimate.
        low: lower end of its interval.
        high: upper end of its interval.
        threshold: the claim says that the difference exceeds it.
    """
    decision: Decision = "inconclusive"
    if low > threshold:
        decision = "supported"
    elif high < threshold:
        decision = "contradicted"
    relation = {"supported": "above", "contradicted": "below", "inconclusive": "not separated from"}[decision]
    return Verdict(
        decision,
        f"{name}: {_with_interval(difference, low, high)}, {relation} {threshold:.4g}.",
        {name: float(difference), f"{name}, low": float(low), f"{name}, high": float(high)},
    )


def at_most(name: str, value: float, low: float, high: float, *, bound: float) -> Verdict:
    """Decide whether a value stays at or below a bound, by its confidence interval."""
    decision: Decision = "inconclusive"
    if high <= bound:
        decision = "supported"
    elif low > bound:
        decision = "contradicted"
    relation = {"supported": "within", "contradicted": "above", "inconclusive": "not separated from"}[
        decision
    ]
    return Verdict(
        decision,
        f"{name}: {_with_interval(value, low, high)}, {relation} the bound {bound:.4g}.",
        {name: float(value), f"{name}, low": float(low), f"{name}, high": float(high), "bound": float(bound)},
    )


def within(name: str, value: float, low: float, high: float, *, between: tuple[float, float]) -> Verdict:
    """Decide whether a value lies in a range: an interval inside supports, one outside contradicts."""
    bottom, top = between
    decision: Decision = "inconclusive"
    if bottom <= low and high <= top:
        decision = "supported"
    elif high < bottom or low > top:
        decision = "contradicted"
    relation = {"supported": "inside", "contradicted": "outside", "inconclusive": "across the edge of"}[
        decision
    ]
    return Verdict(
        decision,
        f"{name}: {_with_interval(value, low, high)}, {relation} [{bottom:.4g}, {top:.4g}].",
        {name: float(value), f"{name}, low": float(low), f"{name}, high": float(high)},
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


def _with_interval(value: float, low: float, high: float) -> str:
    return f"{value:.4g} [{low:.4g}, {high:.4g}]"
