"""Verdicts on claims."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Decision = Literal["supported", "contradicted", "inconclusive", "not testable"]


@dataclass(frozen=True)
class Verdict:
    """What the evidence says of one claim.

    Attributes:
        decision: ``inconclusive`` where the confidence interval or the sample does not decide.
        reason: one or two sentences with the numbers that decided.
        numbers: the deciding numbers by name, for the csv.
    """

    decision: Decision
    reason: str
    numbers: dict[str, float] = field(default_factory=dict)
