"""Claims about certified radius and accuracy (song, chapter 5, Table 5.1).

Every check says in its docstring what counts as support. Methods are compared on the same images, and an order or
a gain needs a 95 % interval of the paired difference that lies on one side of zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gauntlet.reporting.claims import Verdict, all_of, direction, equals, not_testable
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.works.song.smoothing.observations import (
    METHODS,
    RADII,
    SIGMAS,
    Certificates,
    accuracy_gain,
    acr_gain,
    certificates,
)


def c1(inputs: ArtefactInputs) -> Verdict:
    """C1: the order of the ACR at sigma 0.25; every neighbour must exceed the next one."""
    return _order(inputs, SIGMAS[0], ("ours", "ensemble", "consistency", "gaussian-ld", "macer", "gaussian"))


def c2(inputs: ArtefactInputs) -> Verdict:
    """C2: the order of the ACR at sigma 0.5, where MACER and Gaussian training with decomposition change places."""
    return _order(inputs, SIGMAS[1], ("ours", "ensemble", "consistency", "macer", "gaussian-ld", "gaussian"))


def _order(inputs: ArtefactInputs, sigma: float, methods: Sequence[str]) -> Verdict:
    return all_of(*(_acr_above(inputs, sigma, first, second) for first, second in pairwise(methods)))


def _acr_above(inputs: ArtefactInputs, sigma: float, first: str, second: str) -> Verdict:
    one, two = certificates(inputs, first, sigma), certificates(inputs, second, sigma)
    return direction(f"ACR at sigma {sigma:g}, {METHODS[first]} less {METHODS[second]}", *acr_gain(one, two))


def _accuracy_above(inputs: ArtefactInputs, sigma: float, first: str, second: str, radius: float) -> Verdict:
    one, two = certificates(inputs, first, sigma), certificates(inputs, second, sigma)
    where = f"radius {radius:g}" if radius else "radius 0 (ACC)"
    return direction(
        f"certified accuracy in points at sigma {sigma:g}, {where}, {METHODS[first]} less {METHODS[second]}",
        *accuracy_gain(one, two, radius),
    )


def c3(inputs: ArtefactInputs) -> Verdict:
    """C3: the method exceeds Consistency in ACR and in ACC, at both noise levels."""
    return all_of(
        *(_acr_above(inputs, sigma, "ours", "consistency") for sigma in SIGMAS),
        *(_accuracy_above(inputs, sigma, "ours", "consistency", 0) for sigma in SIGMAS),
    )


def c4(inputs: ArtefactInputs) -> Verdict:
    """C4: the method exceeds Consistency at every radius beyond 0 that can be certified at all."""
    return _at_every_radius(inputs, "ours", "consistency")


def c7(inputs: ArtefactInputs) -> Verdict:
    """C7: decomposition raises the certified accuracy of Gaussian training at every radius beyond 0."""
    return _at_every_radius(inputs, "gaussian-ld", "gaussian")


def _at_every_radius(inputs: ArtefactInputs, first: str, second: str) -> Verdict:
    return all_of(
        *(
            _accuracy_above(inputs, sigma, first, second, radius)
            for sigma in SIGMAS
            for radius in RADII
            if radius <= certificates(inputs, first, sigma).limit
        )
    )


def c5(inputs: ArtefactInputs) -> Verdict:
    """C5: the method exceeds the ensemble of three in ACR and in ACC, at both noise levels; the size is left open."""
    return all_of(
        *(_acr_above(inputs, sigma, "ours", "ensemble") for sigma in SIGMAS),
        *(_accuracy_above(inputs, sigma, "ours", "ensemble", 0) for sigma in SIGMAS),
    )


def c6(inputs: ArtefactInputs) -> Verdict:
    """C6: decomposition raises the ACR of Gaussian training at both noise levels."""
    return all_of(*(_acr_above(inputs, sigma, "gaussian-ld", "gaussian") for sigma in SIGMAS))


def c8(inputs: ArtefactInputs) -> Verdict:
    """C8: decomposition raises the accuracy at radius 0 of Gaussian training at both noise levels."""
    return all_of(*(_accuracy_above(inputs, sigma, "gaussian-ld", "gaussian", 0) for sigma in SIGMAS))


def c15(inputs: ArtefactInputs) -> Verdict:
    """C15: every other method exceeds Gaussian training in ACR, and Consistency exceeds MACER."""
    others = [method for method in METHODS if method != "gaussian"]
    return all_of(
        *(_acr_above(inputs, sigma, method, "gaussian") for sigma in SIGMAS for method in others),
        *(_acr_above(inputs, sigma, "consistency", "macer") for sigma in SIGMAS),
    )


def c16(inputs: ArtefactInputs) -> Verdict:
    """C16: at sigma 0.25 no image of any method is certified at radius 1 or beyond.

    Without an image that is certified at all there is nothing to see.
    """
    found = {name: certificates(inputs, method, SIGMAS[0]) for method, name in METHODS.items()}
    if not any(one.earned.any() for one in found.values()):
        return not_testable("No method certified any image at sigma 0.25.")
    return all_of(*(_never_beyond(name, one, 1.0) for name, one in found.items()))


def _never_beyond(name: str, found: Certificates, radius: float) -> Verdict:
    verdict = equals(
        f"images of {name} certified at {radius:g}", float(found.certified(radius).sum()), 0, tolerance=0
    )
    largest = float(found.earned.max())
    return Verdict(
        verdict.decision,
        f"{verdict.reason} Largest radius {largest:.3f}, of at most {found.limit:.3f}.",
        verdict.numbers | {f"largest radius, {name}": largest},
    )
