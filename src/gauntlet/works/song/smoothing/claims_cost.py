"""Claims about the cost of training (song, sections 5.1 and 5.3, Table 5.2).

Ratios of wall-clock times carry the range that the times of the epochs span, which is wide on a busy machine and
for trainings of seconds; a check needs the whole range on one side. Memory is compared on a GPU only: elsewhere it
is that of the process with all its libraries.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binom

from gauntlet.reporting.claims import Verdict, all_of, at_most, direction, not_testable, within
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.statistics import Interval, paired_difference
from gauntlet.works.song.smoothing.artefacts import COSTS
from gauntlet.works.song.smoothing.observations import SIGMAS, TrainingCost, certificates, training_cost

DRAWS = (1, 4, 8)
"""Noisy copies per image of Gaussian training, Consistency and MACER."""

MOST_DRAWS = 1000
"""Votes of which half a one keeps shares away from 0 and 1."""


def c9(inputs: ArtefactInputs) -> Verdict:
    """C9: the order of training times and of memory.

    Gaussian < Consistency <= Ours < Ensemble < MACER in time, Gaussian = Consistency <= Ours < Ensemble < MACER in
    memory. Where the claim lets neighbours be equal, the second may also fall short by the share ``tolerance``.
    """
    costs = _costs(inputs)
    tolerance = float(inputs.settings["tolerance"])
    return all_of(
        *(
            direction(
                f"training time, {second} over {first}",
                *costs[second].time_over(costs[first]),
                threshold=1 - tolerance if step == 1 else 1,
            )
            for step, (first, second) in enumerate(pairwise(costs))
        ),
        _memory(
            costs,
            all_of(
                _ordered(
                    "memory in GiB", {name: cost.memory for name, cost in costs.items()}, {0, 1}, tolerance
                ),
                within(
                    "memory, Consistency over Gaussian",
                    *_exactly(costs["Consistency"].memory / costs["Gaussian"].memory),
                    between=(1 - tolerance, 1 + tolerance),
                ),
            ),
        ),
    )


def _costs(inputs: ArtefactInputs) -> dict[str, TrainingCost]:
    return {name: training_cost(inputs, method, SIGMAS[0]) for method, name in COSTS.items()}


def _memory(costs: Mapping[str, TrainingCost], verdict: Verdict) -> Verdict:
    if all(cost.on_gpu for cost in costs.values()):
        return verdict
    return not_testable("Memory: not compared, the trainings did not run on a GPU.")


def _ordered(what: str, values: Mapping[str, float], may_tie: set[int], tolerance: float) -> Verdict:
    """Check that values rise; the steps ``may_tie`` may also stay level, or fall by the tolerance."""
    broken = [
        f"{first} before {second}"
        for step, (first, second) in enumerate(pairwise(values))
        if values[second] <= values[first] * ((1 - tolerance) if step in may_tie else 1)
    ]
    listed = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
    return Verdict(
        "contradicted" if broken else "supported",
        f"{what[0].upper()}{what[1:]}: {listed}{'; out of order: ' + ', '.join(broken) if broken else ''}.",
        {f"{what}, {name}": float(value) for name, value in values.items()},
    )


def c10(inputs: ArtefactInputs) -> Verdict:
    """C10: the method takes about four times as long as Gaussian training, within the range of the settings."""
    costs = _costs(inputs)
    return _between("training time, Ours over Gaussian", costs["Ours"].time_over(costs["Gaussian"]), inputs)


def _between(what: str, ratio: Interval, inputs: ArtefactInputs) -> Verdict:
    low, high = (float(end) for end in inputs.settings["between"])
    return within(what, *ratio, between=(low, high))


def c11(inputs: ArtefactInputs) -> Verdict:
    """C11: the method takes about a third of the ensemble's time and memory, within the range of the settings."""
    costs = _costs(inputs)
    ours, ensemble = costs["Ours"], costs["Ensemble"]
    return all_of(
        _between("training time, Ours over Ensemble", ours.time_over(ensemble), inputs),
        _memory(
            costs, _between("memory, Ours over Ensemble", _exactly(ours.memory / ensemble.memory), inputs)
        ),
    )


def c12(inputs: ArtefactInputs) -> Verdict:
    """C12: over Consistency the method adds at most the share ``overhead`` of time and memory."""
    costs = _costs(inputs)
    ours, consistency = costs["Ours"], costs["Consistency"]
    bound = 1 + float(inputs.settings["overhead"])

    def limited(what: str, ratio: Interval) -> Verdict:
        return at_most(f"{what}, Ours over Consistency", *ratio, bound=bound)

    return all_of(
        limited("training time", ours.time_over(consistency)),
        _memory(costs, limited("memory", _exactly(ours.memory / consistency.memory))),
    )


def _exactly(value: float) -> Interval:
    return Interval(value, value, value)


def c18(inputs: ArtefactInputs) -> Verdict:
    """C18: more noisy copies estimate the radius better, and training time grows in proportion to them.

    The first part takes each image's share of votes for its class as the truth and computes the mean error of the
    radius estimated from so few votes; it must fall from 4 to 8 copies. The second compares the time per image and
    epoch with that of Gaussian training: it must be the number of copies to within the share ``tolerance``.
    """
    certified = certificates(inputs, "gaussian", SIGMAS[0])
    frame = certified.frame[certified.frame["draws"] > 0]
    if frame.empty:
        return not_testable("No image was put to the vote.")
    probability = (frame["votes_true"] / frame["draws"]).to_numpy()
    errors = {draws: estimation_error(probability, draws, SIGMAS[0]) for draws in DRAWS[1:]}
    tolerance = float(inputs.settings["tolerance"])
    costs = _costs(inputs)
    parts = [direction("mean error of the radius, 4 less 8 copies", *paired_difference(errors[4], errors[8]))]
    for draws, name in zip(DRAWS[1:], ("Consistency", "MACER"), strict=True):
        parts.append(
            within(
                f"time per image and epoch, {name} ({draws} copies) over Gaussian",
                *costs[name].time_over(costs["Gaussian"], per_image=True),
                between=(draws * (1 - tolerance), draws * (1 + tolerance)),
            )
        )
    return all_of(*parts)


def estimation_error(probability: NDArray[np.float64], draws: int, sigma: float) -> NDArray[np.float64]:
    """Return the expected absolute error of the radius estimated from few votes, per image.

    The estimate is sigma Phi^-1 of the share of votes. Shares and probabilities stay half a vote of ``MOST_DRAWS``
    away from 0 and 1, where the radius is infinite.
    """
    counts = np.arange(draws + 1)
    estimates = sigma * ndtri(_inside(counts / draws))
    truth = sigma * ndtri(_inside(probability))
    weights = binom.pmf(counts[None], draws, probability[:, None])
    return (weights * np.abs(estimates[None] - truth[:, None])).sum(1)


def _inside(share: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(share, 0.5 / MOST_DRAWS, 1 - 0.5 / MOST_DRAWS)
