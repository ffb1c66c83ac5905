"""Score-based attacks: they see the logits of the points that they ask for."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet.attacks.base import Perturbed
from gauntlet.attacks.objectives import cross_entropy
from gauntlet.attacks.queries.base import Findings, QueryAttack
from gauntlet.attacks.queries.oracle import ScoreOracle
from gauntlet.attacks.queries.per_image_rng import PerImageRng
from gauntlet.contracts import Batch, Classifier, Criterion, ThreatModel


@dataclass(frozen=True)
class ScoreBasedState:
    """One batch under a score-based attack.

    Attributes:
        oracle: answers with logits.
        criterion: what counts as success, for all images of the batch.
        clean: the clean images.
        rng: the images' random numbers.
        findings: to be filled by the attack.
    """

    oracle: ScoreOracle
    criterion: Criterion
    clean: Tensor
    rng: PerImageRng
    findings: Findings

    def cross_entropy(self, images: Tensor, rows: Tensor) -> Tensor:
        """Spend one query each on ``images`` of the batch's images ``rows``; return the losses ``[n]``."""
        return cross_entropy(self.criterion.rows(rows), self.oracle.scores(images, rows))


@dataclass(frozen=True, kw_only=True)
class ScoreBasedAttack(QueryAttack):
    """A black-box attack that sees logits."""

    def find(self, model: Classifier, batch: Batch) -> Perturbed:
        """Search from every image that is not a success as it is."""
        state = ScoreBasedState(
            oracle=ScoreOracle(model, batch.images, self.budget),
            criterion=batch.criterion,
            clean=batch.images,
            rng=PerImageRng(batch.generator, batch.indices),
            findings=Findings.start(batch.images),
        )
        rows = torch.arange(len(batch), device=batch.images.device)
        logits = state.oracle.scores(batch.images, rows, charged=self.charge_clean_prediction)
        reached = state.criterion.met_by(logits)
        state.findings.succeed(rows[reached], state.oracle.queries[reached])
        self.attack(state, rows[~reached])
        return self._perturbed(state.findings, state.oracle)

    @property
    def threat_model(self) -> ThreatModel:
        """Scores, in the linf ball."""
        return ThreatModel("score_based", "scores", "linf", self.eps, "linf")

    @abstractmethod
    def attack(self, state: ScoreBasedState, rows: Tensor) -> None:
        """Attack the images ``rows`` (int64, sorted) in lock-step and fill ``state.findings``."""


@dataclass(frozen=True, kw_only=True)
class IterativeScoreBasedAttack(ScoreBasedAttack):
    """A score-based attack that moves one iterate per image and tests it after steps.

    Settings:
        charge_success_tests: whether the test of the iterate after a step is charged. A step is only
            begun where the budget covers it and, if charged, its test.
    """

    charge_success_tests: bool = False

    def attack(self, state: ScoreBasedState, rows: Tensor) -> None:
        """Step, test, drop what is decided or cannot afford another step."""
        oracle, findings = state.oracle, state.findings
        memory = self.start(state)
        iteration = 0
        rows = rows[self._affordable(state, rows, iteration)]
        while len(rows):
            findings.images[rows] = self.step(state, memory, rows, iteration)
            findings.iterations[rows] += 1
            affordable = self._affordable(state, rows, iteration + 1)
            due = torch.ones_like(affordable) if self.tested(iteration) else ~affordable
            tested = rows[due]
            if len(tested):
                logits = oracle.scores(findings.images[tested], tested, charged=self.charge_success_tests)
                reached = state.criterion.rows(tested).met_by(logits)
                findings.succeed(tested[reached], oracle.queries[tested[reached]])
                self.learn(state, memory, tested, logits)
                affordable[due] = self._affordable(state, tested, iteration + 1) & ~reached
            rows = rows[affordable]
            iteration += 1

    def _affordable(self, state: ScoreBasedState, rows: Tensor, iteration: int) -> Tensor:
        """Return which images have the queries of a step, and of its test if that is charged."""
        return state.oracle.remaining(rows) >= self.queries_of_step(iteration) + self.charge_success_tests

    def tested(self, iteration: int) -> bool:
        """Whether the iterate is tested after this step; the last one always is."""
        return True

    @abstractmethod
    def queries_of_step(self, iteration: int) -> int:
        """Queries that one image's step costs."""

    def start(self, state: ScoreBasedState) -> dict[str, Tensor]:
        """Return what the attack remembers of each image of the batch, tensors ``[N, ...]``."""
        return {}

    @abstractmethod
    def step(self, state: ScoreBasedState, memory: dict[str, Tensor], rows: Tensor, iteration: int) -> Tensor:
        """Return the next iterates of the images ``rows``."""

    def learn(self, state: ScoreBasedState, memory: dict[str, Tensor], rows: Tensor, logits: Tensor) -> None:
        """Use the logits of the tested iterates; most attacks do not."""
