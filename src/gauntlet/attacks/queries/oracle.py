"""The only way from a black-box attack to the network: counts queries per image and enforces the budget."""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.contracts import Classifier

_LARGEST_PASS = {"cpu": 256}
_LARGEST_PASS_ELSEWHERE = 4096
_LARGEST_PASS_ENTRIES = 1 << 27


class BudgetExceededError(RuntimeError):
    """An attack asked for a query that the image's budget does not cover."""


class _Oracle:
    """A network behind a counter.

    A query is one evaluation of the network on one image.

    Args:
        model: the network.
        images: the images under attack ``[N, C, H, W]``; only their number, size and device matter.
        budget: queries that each image may cost, at most.

    Attributes:
        queries: charged queries of each image so far, int64 ``[N]``.
        uncharged: passes that the accounting rules do not charge, int64 ``[N]``.
        largest_pass: most images sent to the network at once.
    """

    def __init__(self, model: Classifier, images: Tensor, budget: int) -> None:
        self._model = model
        self.budget = budget
        self.queries = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        self.uncharged = torch.zeros_like(self.queries)
        entries = max(1, images.shape[1:].numel())
        most = _LARGEST_PASS.get(images.device.type, _LARGEST_PASS_ELSEWHERE)
        self.largest_pass = max(1, min(most, _LARGEST_PASS_ENTRIES // entries))

    def remaining(self, rows: Tensor) -> Tensor:
        """Return how many queries each of the images ``rows`` has left, int64 ``[n]``."""
        return self.budget - self.queries[rows]

    def granted(self, rows: Tensor) -> Tensor:
        """Return which of the next queries the budget covers, bool ``[n]``.

        Args:
            rows: the image of each query, sorted; an image may ask several times and its first queries
                are served first.
        """
        rank = torch.arange(len(rows), device=rows.device) - torch.searchsorted(rows, rows)
        return rank < self.remaining(rows)

    def _logits(self, images: Tensor, rows: Tensor, charged: bool) -> Tensor:
        counter = self.queries if charged else self.uncharged
        counter.index_add_(0, rows, torch.ones_like(rows))
        if charged and bool((counter[rows] > self.budget).any()):
            counter.index_add_(0, rows, -torch.ones_like(rows))
            raise BudgetExceededError(f"more than {self.budget} queries for one image")
        with torch.no_grad():
            passes = [self._model(piece) for piece in images.split(self.largest_pass)]
        return passes[0] if len(passes) == 1 else torch.cat(passes)


class ScoreOracle(_Oracle):
    """Shows the logits."""

    def scores(self, images: Tensor, rows: Tensor, *, charged: bool = True) -> Tensor:
        """Return the logits ``[n, K]`` of ``images`` ``[n, C, H, W]``, one query for each.

        Args:
            images: what to evaluate.
            rows: which image of the batch pays for each, int64 ``[n]``.
            charged: whether the query counts towards the budget.

        Raises:
            BudgetExceededError: nothing is evaluated then.
        """
        return self._logits(images, rows, charged)


class LabelOracle(_Oracle):
    """Shows the predicted class and nothing else."""

    def labels(self, images: Tensor, rows: Tensor, *, charged: bool = True) -> Tensor:
        """Return the predicted classes, int64 ``[n]``; arguments and errors as ``ScoreOracle.scores``."""
        return self._logits(images, rows, charged).argmax(1) if len(rows) else rows
