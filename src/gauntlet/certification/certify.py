"""Randomized smoothing: certified radii and predictions with a bounded failure probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from gauntlet.certification.bounds import (
    Floats,
    bernstein_lower,
    bernstein_upper,
    certified_radius,
    clopper_pearson_lower,
    clopper_pearson_upper,
    fair_coin_p_value,
)
from gauntlet.certification.smoothing import Mapping, SmoothedClassifier, Votes, noise_keys
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Outcome, Procedure, Task
from gauntlet.setting_types import PositiveInt, Radius

Level = Annotated[float, Field(gt=0, lt=1)]
"""A failure probability."""

ABSTAINED = -1
"""Number in place of a class where the procedure gives none."""


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class Certify(Procedure):
    """Certify an l2 radius within which the smoothed classifier cannot change its prediction.

    Few draws guess the top class, many fresh ones bound its probability from below. With probability at
    least ``1 - alpha`` per image, the returned class is the smoothed classifier's everywhere inside the
    radius.

    Settings:
        sigma: standard deviation of the noise, in pixel scale.
        n0: draws that guess the top class.
        n: draws that bound its probability.
        alpha: failure probability per image.
        smoothing: ``hard`` lets noisy copies vote (Clopper-Pearson bound), ``soft`` averages their softmax
            (empirical Bernstein bound).
        inverse_temperature: factor on the logits of soft smoothing.
        runner_up: ``complement`` bounds the other classes by ``1 - pA``; ``bounded`` bounds each of them from
            its own votes, at alpha divided by the number of classes so that all bounds hold at once.
        skip_wrong_guesses: spend no further draws on an image whose guessed class is not its label; it
            counts as abstained. Such an image adds nothing to certified accuracy or to the average certified
            radius either way, so these keep their exact values, and only abstentions are overcounted.
        noise_batch: noisy images per forward pass, null to choose by device; no draw depends on it.

    Columns: ``prediction`` (-1: abstained), ``radius`` (l2, pixel scale; 0 if abstained), ``abstained``,
    ``guess`` (class that the first draws chose), ``votes`` and ``votes_true`` (votes, or sums of
    probabilities, for the guess and for the label), ``draws`` (behind these: n, or 0 for a skipped image),
    ``lower_bound`` (pA), ``upper_bound`` (pB).

    Source: CERTIFY of Cohen, Rosenfeld and Kolter 2019; song, chapter 2 and section 5.1; maerz2023, theorem 3.8.
    """

    name: ClassVar[str] = "certify"
    sigma: Radius
    n0: PositiveInt = 100
    n: PositiveInt = 100_000
    alpha: Level = 0.001
    smoothing: Mapping = "hard"
    inverse_temperature: Radius = 1.0
    runner_up: Literal["complement", "bounded"] = "complement"
    skip_wrong_guesses: bool = False
    noise_batch: PositiveInt | None = None

    def run(self, model: Classifier, batch: Batch) -> Outcome:
        """Certify every image of the batch."""
        smoothed = SmoothedClassifier(
            model, self.sigma, self.smoothing, self.inverse_temperature, self.noise_batch
        )
        selection, estimation = noise_keys(batch, "selection", "estimation")
        guess = smoothed.sample(batch.images, selection, self.n0).totals.argmax(1)
        chosen = (
            guess == batch.labels if self.skip_wrong_guesses else torch.ones_like(guess, dtype=torch.bool)
        )
        columns = {
            "prediction": torch.full_like(guess, ABSTAINED),
            "radius": torch.zeros(len(batch), dtype=torch.float64, device=guess.device),
            "abstained": torch.ones_like(chosen),
            "guess": guess,
            "votes": torch.zeros(len(batch), dtype=torch.float64, device=guess.device),
            "votes_true": torch.zeros(len(batch), dtype=torch.float64, device=guess.device),
            "draws": torch.where(chosen, self.n, 0),
            "lower_bound": torch.zeros(len(batch), dtype=torch.float64, device=guess.device),
            "upper_bound": torch.ones(len(batch), dtype=torch.float64, device=guess.device),
        }
        rows = chosen.nonzero().squeeze(1)
        if len(rows):
            votes = smoothed.sample(batch.images[rows], [estimation[row] for row in rows.tolist()], self.n)
            for column, values in self._certificates(votes, guess[rows], batch.labels[rows]).items():
                columns[column][rows] = values
        return Outcome(columns)

    def _certificates(
        self, votes: Votes, guess: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        lower, upper = self._bounds(votes, guess)
        radius = certified_radius(lower, upper, self.sigma)
        device = guess.device
        abstained = torch.from_numpy(lower < upper).to(device)
        return {
            "prediction": torch.where(abstained, ABSTAINED, guess),
            "radius": torch.from_numpy(radius).to(device),
            "abstained": abstained,
            "votes": votes.totals.gather(1, guess[:, None]).squeeze(1),
            "votes_true": votes.totals.gather(1, labels[:, None]).squeeze(1),
            "lower_bound": torch.from_numpy(lower).to(device),
            "upper_bound": torch.from_numpy(upper).to(device),
        }

    def _bounds(self, votes: Votes, guess: torch.Tensor) -> tuple[Floats, Floats]:
        """Bound the guessed class from below and every other class from above."""
        totals, squares = votes.totals.cpu().numpy(), votes.squares.cpu().numpy()
        chosen = guess.cpu().numpy()[:, None]
        alpha = self.alpha if self.runner_up == "complement" else self.alpha / totals.shape[1]
        total, square = (np.take_along_axis(sums, chosen, 1)[:, 0] for sums in (totals, squares))
        if self.smoothing == "hard":
            lower = clopper_pearson_lower(total, votes.draws, alpha)
        else:
            lower = bernstein_lower(total, square, votes.draws, alpha)
        if self.runner_up == "complement":
            return lower, 1.0 - lower
        if self.smoothing == "hard":
            others = clopper_pearson_upper(totals, votes.draws, alpha)
        else:
            others = bernstein_upper(totals, squares, votes.draws, alpha)
        np.put_along_axis(others, chosen, -np.inf, 1)
        # The other classes share what the guess leaves over, which may be the tighter bound.
        return lower, np.minimum(others.max(1), 1.0 - lower)

    def cost(self, task: Task) -> Cost:
        """Passes per image."""
        return Cost(forward=self.n0 + self.n)


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class SmoothedPrediction(Procedure):
    """Predict with the hard-smoothed classifier, or abstain where its two top classes cannot be told apart.

    A two-sided binomial test decides between the two classes with most votes; with probability at least
    ``1 - alpha`` the returned class is the smoothed classifier's. One draw with ``alpha: 1`` never abstains
    and gives the base classifier's prediction on one noisy copy.

    Settings:
        sigma: standard deviation of the noise, in pixel scale.
        n: noise draws per image.
        alpha: failure probability per image.
        noise_batch: noisy images per forward pass, null to choose by device; no draw depends on it.

    Columns: ``prediction`` (-1: abstained), ``abstained``, ``guess`` (class with most votes), ``votes``,
    ``runner_up_votes``, ``p_value``.

    Source: PREDICT of Cohen, Rosenfeld and Kolter 2019; song, chapter 2.
    """

    name: ClassVar[str] = "smoothed_prediction"
    sigma: Radius
    n: PositiveInt = 1000
    alpha: Annotated[float, Field(gt=0, le=1)] = 0.001
    noise_batch: PositiveInt | None = None

    def run(self, model: Classifier, batch: Batch) -> Outcome:
        """Predict every image of the batch."""
        (keys,) = noise_keys(batch, "prediction")
        votes = SmoothedClassifier(model, self.sigma, noise_batch=self.noise_batch).sample(
            batch.images, keys, self.n
        )
        (first, second), (guess, _) = (top.unbind(1) for top in votes.totals.topk(2, dim=1))
        p_value = torch.from_numpy(fair_coin_p_value(first.cpu().numpy(), second.cpu().numpy())).to(
            guess.device
        )
        abstained = p_value > self.alpha
        return Outcome(
            {
                "prediction": torch.where(abstained, ABSTAINED, guess),
                "abstained": abstained,
                "guess": guess,
                "votes": first,
                "runner_up_votes": second,
                "p_value": p_value,
            }
        )

    def cost(self, task: Task) -> Cost:
        """Passes per image."""
        return Cost(forward=self.n)
