"""Claims of chapter 6 about the course of trainings and their repetition (chen2021, sections 6.3 to 6.5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gauntlet.analysis.bootstrap import bootstrap
from gauntlet.analysis.inputs import ArtefactInputs, TrainedModel
from gauntlet.analysis.intervals import Interval, share
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most
from gauntlet.works.chen2021.smoothing.accuracy import BACKWARD, PGD, withstands
from gauntlet.works.chen2021.smoothing.figures import INCREMENT, LOWEST, POINTS, WATCHED, kept_epoch

FAILED = 10.0
"""Robust accuracy on training images, in percent, of a network that guesses one of ten classes."""


def without_a_random_start_the_attack_lowers_the_loss(inputs: ArtefactInputs) -> Verdict:
    """Without a random start the increment of some batch is negative, and at the end the accuracy under PGD on
    training images is below 10 %. The mean increment of every epoch is positive for AT, and so is the mean over the
    epochs with a random start. One training each: its numbers are taken as they are.
    """
    without, fast, slow = (
        inputs.model(method=method).history for method in ("Fast AT, no random start", "Fast AT", "AT")
    )
    return all_of(
        above(
            "smallest increment of a batch without random start, its negative", _exact(-without[LOWEST].min())
        ),
        at_most(
            "accuracy under PGD without random start, %", _exact(100 * without[WATCHED].iloc[-1]), FAILED
        ),
        above("smallest mean increment of an epoch, AT", _exact(slow[INCREMENT].min())),
        above("mean increment over the epochs, Fast AT", _exact(fast[INCREMENT].mean())),
    )


def backward_smoothing_finds_flatter_points(inputs: ArtefactInputs) -> Verdict:
    """Up to the kept epoch the three eigenvalues are ordered in more than half of the epochs.

    The interval takes epochs as independent, which they are not.
    """
    (model,) = inputs.models
    original, random, backward = (_until_kept(model, column) for column in POINTS)
    for_most = share((original > random) & (random > backward))
    return above("share of epochs with original > random > Backward Smoothing", for_most, 0.5)


def fast_at_is_unstable(inputs: ArtefactInputs) -> Verdict:
    """The best training of Fast AT is more than {points} points more robust than their mean; they are resampled."""
    gap = bootstrap(lambda runs: runs.max() - runs.mean(), _runs(inputs, "Fast AT"))
    name = "robust accuracy of Fast AT, best less mean, points"
    return above(name, gap.interval(), float(inputs.settings["points"]))


def backward_smoothing_varies_less_than_fast_at(inputs: ArtefactInputs) -> Verdict:
    """Over trainings the robust accuracy of Backward Smoothing has a smaller standard deviation than that of Fast AT,
    one at most {points} points above that of Fast TRADES, and a higher mean than that of Fast TRADES.
    """
    fast, trades, backward = (_runs(inputs, method) for method in ("Fast AT", "Fast TRADES", BACKWARD))
    wider, no_narrower = (
        bootstrap(lambda one, two: one.std(ddof=1) - two.std(ddof=1), *pair).interval()
        for pair in ((fast, backward), (backward, trades))
    )
    higher = bootstrap(lambda one, two: one.mean() - two.mean(), backward, trades).interval()
    return all_of(
        above(f"standard deviation, Fast AT less {BACKWARD}, points", wider),
        at_most(
            f"standard deviation, {BACKWARD} less Fast TRADES, points",
            no_narrower,
            float(inputs.settings["points"]),
        ),
        above(f"mean, {BACKWARD} less Fast TRADES, points", higher),
    )


def _runs(inputs: ArtefactInputs, method: str) -> NDArray[np.float64]:
    """Return the robust accuracy in percent of each training of a method."""
    found = inputs.results.where(method=method, attack=PGD, ball="usual")
    return np.array([100 * withstands(each).mean() for each in found.each()])


def _until_kept(model: TrainedModel, column: str) -> NDArray[np.float64]:
    """Return a column of the history up to the epoch that was kept."""
    history = model.history
    return history.loc[history["epoch"] <= kept_epoch(model), column].to_numpy(dtype=float)


def _exact(value: float) -> Interval:
    """Return a number of one training, which has no sampling error."""
    return Interval(float(value), float(value), float(value))
