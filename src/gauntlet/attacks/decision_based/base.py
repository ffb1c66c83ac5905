"""Decision-based attacks: they see the predicted class of the points that they ask for, and keep the nearest."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet.attacks.base import Perturbed
from gauntlet.attacks.criterion import refuse_confidence
from gauntlet.attacks.decision_based.trace import Trace, trace_marks
from gauntlet.attacks.queries.base import Findings, QueryAttack
from gauntlet.attacks.queries.oracle import LabelOracle
from gauntlet.attacks.queries.per_image_rng import PerImageRng
from gauntlet.contracts import Batch, Classifier, ThreatModel


class DecisionBasedState:
    """One batch under a decision-based attack.

    Args:
        oracle: answers with labels.
        batch: the images under attack.
        eps: radius in pixel scale that makes a success.

    Attributes:
        oracle: the same.
        clean: the clean images ``[N, C, H, W]``.
        rng: the images' random numbers.
        findings: ``images`` holds the nearest adversarial image so far.
        best: its linf distance ``[N]``, infinity before the first.
        trace: of ``best`` over charged queries.
    """

    def __init__(self, oracle: LabelOracle, batch: Batch, eps: float) -> None:
        self.oracle = oracle
        self.clean = batch.images
        self.rng = PerImageRng(batch.generator, batch.indices)
        self.findings = Findings.start(batch.images)
        self.best = batch.images.new_full((len(batch),), torch.inf)
        self.trace = Trace(trace_marks(oracle.budget), self.best)
        self._criterion = batch.criterion
        self._eps = eps

    def crossed(self, images: Tensor, rows: Tensor, *, charged: bool = True) -> Tensor:
        """Ask whether the clipped images lie across the boundary, bool ``[n]``; one query for each."""
        labels = self.oracle.labels(images.clamp(0, 1), rows, charged=charged)
        return self._criterion.rows(rows).met_by_class(labels)

    def offer(self, images: Tensor, rows: Tensor) -> None:
        """Record adversarial images of the distinct images ``rows``, and count the successes among them."""
        self.keep(images, rows)
        within = rows[self.best[rows] <= self._eps]
        self.findings.succeed(within, self.oracle.queries[within])

    def keep(self, images: Tensor, rows: Tensor) -> None:
        """Record adversarial images ``[n, C, H, W]`` of the distinct images ``rows``; the nearest are kept.

        The distance is measured after clipping to the image box. No success is counted yet.
        """
        if len(rows) == 0:
            return
        images = images.clamp(0, 1)
        distance = (images - self.clean[rows]).abs().flatten(1).amax(1)
        nearer = distance < self.best[rows]
        images, rows, distance = images[nearer], rows[nearer], distance[nearer]
        self.best[rows] = distance
        self.findings.images[rows] = images
        self.trace.note(rows, self.oracle.queries[rows], distance)

    def decided(self, rows: Tensor) -> Tensor:
        """Return which of the images ``rows`` have a counted success, bool ``[n]``."""
        return ~self.findings.queries_to_success[rows].isnan()


@dataclass(frozen=True, kw_only=True)
class DecisionBasedAttack(QueryAttack):
    """A black-box attack that sees the predicted class only and walks along the decision boundary.

    It returns the nearest adversarial image it has found, the clean image if none.

    Settings:
        early_stop: leave an image as soon as its nearest adversarial image lies within eps; otherwise use
            the whole budget, which gives distances that do not depend on eps.

    Further columns: ``best_linf``, the smallest linf distance of an adversarial image (infinity for none);
    ``linf_at_query_<q>``, the same after q charged queries, on a logarithmic grid of q up to the budget.
    """

    early_stop: bool = True

    def find(self, model: Classifier, batch: Batch) -> Perturbed:
        """Search from every image that is not a success as it is."""
        refuse_confidence(batch, "an attack that sees the predicted class only")
        state = DecisionBasedState(LabelOracle(model, batch.images, self.budget), batch, self.eps)
        rows = torch.arange(len(batch), device=batch.images.device)
        wrong = state.crossed(batch.images, rows, charged=self.charge_clean_prediction)
        state.offer(batch.images[wrong], rows[wrong])
        self.attack(state, rows[~wrong & (state.oracle.remaining(rows) > 0)])
        state.findings.columns |= {"best_linf": state.best, **state.trace.columns("linf_at_query")}
        return self._perturbed(state.findings, state.oracle)

    @property
    def threat_model(self) -> ThreatModel:
        """Labels; a success lies in the linf ball."""
        return ThreatModel("decision_based", "labels", "linf", self.eps, "best_linf")

    @abstractmethod
    def attack(self, state: DecisionBasedState, rows: Tensor) -> None:
        """Attack the images ``rows`` (int64, sorted) in lock-step; ``offer`` what is found."""

    def running(self, state: DecisionBasedState, rows: Tensor, price: int = 1) -> Tensor:
        """Return which images go on: no success counted (if that stops them), and ``price`` queries left."""
        going = state.oracle.remaining(rows) >= price
        return going & ~state.decided(rows) if self.early_stop else going
