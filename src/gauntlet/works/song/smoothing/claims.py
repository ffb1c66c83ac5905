"""Claims about certificates, convergence, principal directions and the gradient (song, chapters 3 to 5).

Methods are compared on the same images: an order or a gain needs a 95 % interval of the paired difference that lies
on one side of zero.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from gauntlet.analysis.certificates import (
    average_certified_radius_gain,
    certified_accuracy_gain,
    certified_at,
)
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import Interval, share_difference
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import Verdict, above, all_of, by_construction, equals
from gauntlet.works.song.smoothing.certified import limit
from gauntlet.works.song.smoothing.convergence import GENERALIZED, ORIGINAL, convergences
from gauntlet.works.song.smoothing.formulas import mapped_gradient, robustness_gradient
from gauntlet.works.song.smoothing.spectrum import SIGMAS, training_variances


def acr_orders_the_methods(inputs: ArtefactInputs) -> Verdict:
    """The average certified radius of each method exceeds that of the next one in the claim's order."""
    return all_of(*(_acr_above(inputs.results, *pair) for pair in pairwise(inputs.settings["order"])))


def _acr_above(results: Results, first: str, second: str) -> Verdict:
    """Decide whether one model has the larger ACR at every noise level of the results."""
    return all_of(
        *(
            above(
                f"ACR at sigma {sigma:g}, {first} less {second}",
                average_certified_radius_gain(level.one(model=first), level.one(model=second)),
            )
            for sigma, level in results.groups("sigma")
        )
    )


def _accuracy_above(results: Results, first: str, second: str, *radii: float) -> Verdict:
    """Decide whether one model has the larger certified accuracy at every radius that can be certified at all."""
    return all_of(
        *(
            above(
                f"certified accuracy in points at sigma {sigma:g}, radius {radius:g}, {first} less {second}",
                certified_accuracy_gain(level.one(model=first), level.one(model=second), radius).scaled(100),
            )
            for sigma, level in results.groups("sigma")
            for radius in radii
            if radius <= limit(level)
        )
    )


def exceeds_in_acr(inputs: ArtefactInputs) -> Verdict:
    """The average certified radius of the first training exceeds that of the second at both noise levels."""
    return _acr_above(inputs.results, *inputs.settings["compared"])


def exceeds_in_accuracy(inputs: ArtefactInputs) -> Verdict:
    """The certified accuracy of the first training exceeds that of the second at both noise levels, at every radius
    that the claim is about and the draws can certify at all.
    """
    return _accuracy_above(inputs.results, *inputs.settings["compared"], *inputs.settings["radii"])


def exceeds_in_acr_and_clean_accuracy(inputs: ArtefactInputs) -> Verdict:
    """The first training exceeds the second in average certified radius and in accuracy at radius 0, at both noise
    levels, by however much.
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
        *(
            equals(f"images of {model} certified at 1", float(certified_at(found, 1).sum()), 0, tolerance=0)
            for model, found in inputs.results.groups("model")
        )
    )


def generalized_consistency_converges_faster_and_higher(inputs: ArtefactInputs) -> Verdict:
    """At both noise levels it reaches 95 % of Consistency's final accuracy in an earlier epoch, and ends higher."""
    parts = []
    for found in convergences(inputs):
        epochs = [float(np.nan_to_num(found.reached[name], nan=np.inf)) for name in (ORIGINAL, GENERALIZED)]
        lead = epochs[0] - epochs[1]
        hits = [round(float(found.curves[name][-1]) * found.images) for name in (GENERALIZED, ORIGINAL)]
        gain = share_difference(hits[0], found.images, hits[1], found.images).scaled(100)
        where = f"at sigma {found.sigma:g}"
        parts += [
            above(
                f"epochs by which generalized consistency leads {where} ({epochs[1]:g} against {epochs[0]:g})",
                Interval(lead, lead, lead),
            ),
            above(f"final accuracy in points {where}, generalized less original", gain),
        ]
    return all_of(*parts)


def most_principal_directions_drown_in_noise(inputs: ArtefactInputs) -> Verdict:
    """More than half of the principal directions have less than a tenth of the noise variance, at both levels."""
    _, variances = training_variances(inputs)
    shares = {sigma: float((variances < sigma**2 / 10).mean()) for sigma in SIGMAS}
    return all_of(
        *(
            above(f"share of directions far below the noise, sigma {sigma:g}", Interval(*[share] * 3), 0.5)
            for sigma, share in shares.items()
        )
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
