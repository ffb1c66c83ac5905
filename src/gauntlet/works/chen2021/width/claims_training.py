"""Claims of chapter 5 about the course of training (chen2021, sections 5.1, 5.3, 5.4 and Algorithm 8)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gauntlet.analysis.bootstrap import Estimate, bootstrap
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import Interval
from gauntlet.analysis.stability import ROBUST
from gauntlet.analysis.training_cost import SPREAD, if_costs_compare, training_cost
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most
from gauntlet.works.chen2021.width.trainings import WATCHED, grid_of, histories


def wider_networks_have_less_natural_and_more_robust_loss(inputs: ArtefactInputs) -> Verdict:
    """In the last epoch the widest network has a lower natural loss and a higher robust loss than the narrowest."""
    widths = _widths(inputs)
    return all_of(
        _more(
            f"{name} in the last epoch, width {more} less {less}",
            *(histories(inputs, column, width=width)[:, -1] for width in (more, less)),
        )
        for name, column, more, less in (
            ("natural loss", "natural_loss", widths[0], widths[-1]),
            ("robust loss", "robust_loss", widths[-1], widths[0]),
        )
    )


def wider_networks_have_larger_lipschitz_constants(inputs: ArtefactInputs) -> Verdict:
    """On average over the epochs the local Lipschitz estimate of the wider of two neighboring widths is larger."""
    return all_of(
        _more(
            f"local Lipschitz constant, width {wide} less {narrow}",
            *(histories(inputs, "local_lipschitz", width=width).mean(axis=1) for width in (wide, narrow)),
        )
        for narrow, wide in pairwise(_widths(inputs))
    )


def natural_accuracy_rises_while_stability_falls(inputs: ArtefactInputs) -> Verdict:
    """After the last epoch natural accuracy is higher, and stability lower, than after the first one.

    Means over the networks, which are resampled.
    """
    first, last = _watched(inputs, slice(0, 1)), _watched(inputs, slice(-1, None))
    return all_of(
        above("natural accuracy, last epoch less first, points", _mean(last[1] - first[1])),
        above("stability, first epoch less last, points", _mean(first[2] - last[2])),
    )


def robust_overfitting_is_a_loss_of_stability(inputs: ArtefactInputs) -> Verdict:
    """From the {epochs} epochs after the first drop of the learning rate, in epoch {drop}, to the last {epochs}.

    Robust accuracy and stability fall; natural accuracy falls by at most {points} points. Means over the networks,
    which are resampled.
    """
    settings = inputs.settings
    drop, count = int(settings["drop"]), int(settings["epochs"])
    lost = _watched(inputs, slice(drop - 1, drop - 1 + count)) - _watched(inputs, slice(-count, None))
    robust, natural, stable = map(_mean, lost)
    return all_of(
        above("robust accuracy lost, points", robust),
        above("stability lost, points", stable),
        at_most("natural accuracy lost, points", natural, float(settings["points"])),
    )


def adjusted_lambdas_grow_with_width(inputs: ArtefactInputs) -> Verdict:
    """WAR's lambda, its mean over the last epoch, is larger at each wider width.

    At each width it differs by at most {away} from the lambda of the grid with the highest robust accuracy.
    """
    widths = _widths(inputs)
    found = {width: histories(inputs, "strength", tuning="WAR", width=width)[:, -1] for width in widths}
    parts = [
        _more(f"lambda, width {wide} less {narrow}", found[wide], found[narrow])
        for narrow, wide in pairwise(found)
    ]
    grid = grid_of(inputs.results, ROBUST)
    best = np.array(grid.strengths)[grid.accuracies.value.argmax(axis=1)]
    for (width, lambdas), by_hand in zip(found.items(), best, strict=True):
        mean = bootstrap(lambda drawn: drawn.mean(), lambdas)
        away = Estimate(abs(mean.value - by_hand), abs(mean.replicates - by_hand)).interval()
        name = f"lambda's distance from {by_hand:g}, the best of the grid, width {width}"
        parts.append(at_most(name, away, float(inputs.settings["away"])))
    return all_of(parts)


def adjusting_lambda_takes_fewer_hours(inputs: ArtefactInputs) -> Verdict:
    """At the largest width the trainings with every lambda take over {times} times the hours of WAR and thin networks.

    Trainings on GPUs only; the range is that of the epochs' times.
    """
    width = _widths(inputs)[-1]
    by_hand = [training_cost(each) for each in inputs.models_where(role="grid", width=width)]
    adjusted = [training_cost(each) for each in inputs.models_where(tuning="WAR", width=width, repeat=0)]
    adjusted += [training_cost(each) for each in inputs.models_where(role="thin")]
    low, middle, high = SPREAD[0], 0.5, SPREAD[1]
    ratios = [
        sum(cost.epochs * np.quantile(cost.epoch_seconds, over) for cost in by_hand)
        / sum(cost.epochs * np.quantile(cost.epoch_seconds, under) for cost in adjusted)
        for over, under in ((middle, middle), (low, high), (high, low))
    ]
    name = f"hours of {len(by_hand)} trainings by hand over those of WAR, width {width}"
    verdict = above(name, Interval(*map(float, ratios)), float(inputs.settings["times"]))
    return if_costs_compare([*by_hand, *adjusted], verdict)


def _widths(inputs: ArtefactInputs) -> list[float]:
    return sorted({model.labels["width"] for model in inputs.models if "width" in model.labels})


def _more(name: str, first: NDArray[np.float64], second: NDArray[np.float64]) -> Verdict:
    """Judge whether the first mean over repeated trainings exceeds the second; trainings are resampled."""
    return above(name, bootstrap(lambda one, two: one.mean() - two.mean(), first, second).interval())


def _watched(inputs: ArtefactInputs, epochs: slice) -> NDArray[np.float64]:
    """Return the watched shares in percent, means over some epochs, ``[3, networks]``."""
    means = [model.history[list(WATCHED)].iloc[epochs].mean().to_numpy() for model in inputs.models]
    return 100 * np.stack(means, axis=1)


def _mean(values: NDArray[np.float64]) -> Interval:
    return bootstrap(lambda drawn: drawn.mean(), values).interval()
