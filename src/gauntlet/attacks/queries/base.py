"""Shared by all black-box attacks: the accounting of their queries, and the columns they record."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from gauntlet.attacks.base import Attack, Perturbed
from gauntlet.attacks.queries.oracle import LabelOracle, ScoreOracle
from gauntlet.contracts import Cost, Task
from gauntlet.setting_types import PositiveInt, Radius

NEVER = float("nan")


@dataclass
class Findings:
    """Results so far of a search, which writes into these tensors.

    Attributes:
        images: the image each search ends with, ``[N, C, H, W]``.
        iterations: int64 ``[N]``.
        queries_to_success: charged queries when the first success was seen, float64 ``[N]``, NaN for never.
        columns: further columns, each ``[N]``.
    """

    images: Tensor
    iterations: Tensor
    queries_to_success: Tensor
    columns: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def start(cls, clean: Tensor) -> Findings:
        """Begin with the clean images and nothing found."""
        count, device = len(clean), clean.device
        return cls(
            images=clean.clone(),
            iterations=torch.zeros(count, dtype=torch.int64, device=device),
            queries_to_success=torch.full((count,), NEVER, dtype=torch.float64, device=device),
        )

    def succeed(self, rows: Tensor, queries: Tensor) -> None:
        """Note the first success of the images ``rows`` after ``queries`` charged queries."""
        first = self.queries_to_success[rows].isnan()
        self.queries_to_success[rows[first]] = queries[first].double()


@dataclass(frozen=True, kw_only=True)
class QueryAttack(Attack):
    """An attack that sees the network's answers only; every image runs until it is decided or out of budget.

    Images that the network gets wrong (or already calls their target) are not attacked: they are a success
    at distance 0 before the first query of the search.

    Settings:
        eps: radius of the linf ball in pixel scale that makes a success.
        budget: most queries an image may cost.
        charge_clean_prediction: whether looking at the clean image first costs one query of the budget.

    Columns: ``queries`` charged to each image; ``uncharged_queries``, the passes that the accounting rules
    do not charge; ``queries_to_success``, the charged queries when the attack first saw a success within eps
    (NaN for never); ``success_in_budget``, whether it did.
    """

    eps: Radius
    budget: PositiveInt
    charge_clean_prediction: bool = False

    def cost(self, task: Task) -> Cost:
        """The whole budget and one pass to measure."""
        return Cost(forward=self.budget + 1)

    def _perturbed(self, findings: Findings, oracle: ScoreOracle | LabelOracle) -> Perturbed:
        columns = {
            "uncharged_queries": oracle.uncharged,
            "queries_to_success": findings.queries_to_success,
            "success_in_budget": ~findings.queries_to_success.isnan(),
            **findings.columns,
        }
        return Perturbed(findings.images, findings.iterations, oracle.queries, columns)
