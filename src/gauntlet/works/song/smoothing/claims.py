"""Claims about certificates, convergence, principal directions and the gradient (song, chapters 3 to 5).

Methods are compared on the same images: an order or a gain needs a 95 % interval of the paired difference that lies
on one side of zero, for each training of one method against each of the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np

from gauntlet.analysis.certificates import (
    average_certified_radius_gain,
    certified_accuracy_gain,
    certified_at,
)
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import Interval
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import Verdict, above, all_of, by_construction, equals, not_testable
from gauntlet.works.song.smoothing.certified import limit
from gauntlet.works.song.smoothing.convergence import GENERALIZED, ORIGINAL, convergences
from gauntlet.works.song.smoothing.formulas import mapped_gradient, robustness_gradient
from gauntlet.works.song.smoothing.spectrum import SIGMAS, training_variances


def acr_orders_the_methods(inputs: ArtefactInputs) -> Verdict:
    """The average certified radius of each method exceeds that of the next one: {order}."""
    return all_of(_acr_above(inputs.results, *pair) for pair in pairwise(inputs.settings["order"]))


def _acr_above(results: Results, first: str, second: str) -> Verdict:
    """Decide whether one model has the larger ACR at every noise level of the results."""
    return all_of(
        above(f"ACR {where}", average_certified_radius_gain(one, other))
        for where, _, one, other in _compared(results, first, second)
    )


def _accuracy_above(results: Results, first: str, second: str, *radii: float) -> Verdict:
    """Decide whether one model has the larger certified accuracy at every radius that can be certified at all."""
    return all_of(
        above(
            f"certified accuracy in points at radius {radius:g} {where}",
            certified_accuracy_gain(one, other, radius).scaled(100),
        )
        for where, cap, one, other in _compared(results, first, second)
        for radius in radii
        if radius <= cap
    )


def _compared(results: Results, first: str, second: str) -> Iterator[tuple[str, float, Results, Results]]:
    """Yield each training of one model with each of another: noise level and names, largest radius, certificates."""
    for sigma, level in results.groups("sigma"):
        pairs = list(product(level.where(model=first).each(), level.where(model=second).each()))
        for number, (one, other) in enumerate(pairs, start=1):
            which = f" (pair {number} of trainings)" if len(pairs) > 1 else ""
            yield f"at sigma {sigma:g}, {first} less {second}{which}", limit(level), one, other


def exceeds_in_acr(inputs: ArtefactInputs) -> Verdict:
    """At both noise levels the average certified radius of the first of {compared} exceeds that of the second."""
    return _acr_above(inputs.results, *inputs.settings["compared"])


def exceeds_in_accuracy(inputs: ArtefactInputs) -> Verdict:
    """At both noise levels the certified accuracy of the first of {compared} exceeds that of the second at each of the
    radii {radii} that the draws can certify at all.
    """
    return _accuracy_above(inputs.results, *inputs.settings["compared"], *inputs.settings["radii"])


def exceeds_in_acr_and_clean_accuracy(inputs: ArtefactInputs) -> Verdict:
    """The first of {compared} exceeds the second in average certified radius and in accuracy at radius 0, at both
    noise levels, by however much.
    """
    compared = inputs.settings["compared"]
    return all_of(_acr_above(inputs.results, *compared), _accuracy_above(inputs.results, *compared, 0))


def macer_lies_between_gaussian_and_consistency(inputs: ArtefactInputs) -> Verdict:
    """Every other method exceeds Gaussian training in ACR, and Consistency exceeds MACER, at both noise levels."""
    others = [model for model in inputs.results.values("model") if model != "Gaussian"]
    return all_of(
        *(_acr_above(inputs.results, model, "Gaussian") for model in others),
        _acr_above(inputs.results, "Consistency", "MACER-150"),
    )


def low_noise_certifies_nothing_at_radius_one(inputs: ArtefactInputs) -> Verdict:
    """No image of any method is certified at radius 1. It follows from the cap where unanimous votes reach less."""
    cap = limit(inputs.results)
    if cap < 1:
        draws = inputs.results.setting("n")
        return by_construction(f"{draws:,} unanimous votes certify a radius of {cap:.3f}, and none more.")
    return all_of(
        equals(f"images of {model} certified at 1", float(certified_at(found, 1).sum()), 0, tolerance=0)
        for model, found in inputs.results.groups("model")
    )


def generalized_consistency_converges_faster_and_higher(inputs: ArtefactInputs) -> Verdict:
    """At both noise levels it reaches 95 % of Consistency's final accuracy in an earlier epoch, and ends higher, in
    each training against each of Consistency's; it takes at least two trainings of either.
    """
    parts = []
    for sigma, found in convergences(inputs).items():
        if min(map(len, found.curves.values())) < 2:
            return not_testable("One training of a loss does not tell how much trainings differ.")
        original, generalized = (found.reached(name) for name in (ORIGINAL, GENERALIZED))
        leads = [float(before - after) for before, after in product(original, generalized)]
        epochs = " and ".join(f"{epoch:g}" for epoch in (np.mean(generalized), np.mean(original)))
        name = f"epochs by which generalized consistency leads at sigma {sigma:g} ({epochs} in the mean)"
        parts.append(above(name, Interval(float(np.mean(leads)), min(leads), max(leads))))
        ends = [[curve[-1] for curve in found.curves[name]] for name in (GENERALIZED, ORIGINAL)]
        gains = [found.gain(*pair) for pair in product(*ends)]
        least, most = min(gains), max(gains)
        mean = float(np.mean([gain.estimate for gain in gains]))
        name = f"final accuracy in points at sigma {sigma:g}, generalized less original"
        parts.append(above(name, Interval(mean, least.low, most.high).scaled(100)))
    return all_of(*parts)


def most_principal_directions_drown_in_noise(inputs: ArtefactInputs) -> Verdict:
    """More than half of the principal directions have less than a tenth of the noise variance, at both levels."""
    _, variances = training_variances(inputs)
    shares = {sigma: float((variances < sigma**2 / 10).mean()) for sigma in SIGMAS}
    return all_of(
        above(f"share of directions far below the noise, sigma {sigma:g}", Interval(*[share] * 3), 0.5)
        for sigma, share in shares.items()
    )


def soft_mapping_bounds_the_gradient(inputs: ArtefactInputs) -> Verdict:
    """The derivative of the normal quantile is unbounded towards 1, and bounded behind the logistic function."""
    plain, mapped = (
        " and ".join(f"{float(gradient(p)):.4g} at {p}" for p in (0.99, 0.999))
        for gradient in (robustness_gradient, mapped_gradient)
    )
    largest = float(mapped_gradient(0.5))
    return by_construction(
        f"The gradient is {plain} and grows without bound; behind the logistic function it is {mapped}, at most "
        f"{largest:.4g}."
    )
