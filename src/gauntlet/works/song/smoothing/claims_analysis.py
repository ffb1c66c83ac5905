"""Claims about convergence, principal directions and the gradient of the robustness term (song, chapters 3 to 5)."""

from __future__ import annotations

import numpy as np

from gauntlet.reporting.claims import Decision, Verdict, all_of, at_most, direction, equals
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.statistics import share_difference
from gauntlet.works.song.smoothing.formulas import mapped_gradient, robustness_gradient
from gauntlet.works.song.smoothing.histories import CURVES, convergence
from gauntlet.works.song.smoothing.observations import SIGMAS
from gauntlet.works.song.smoothing.spectrum import training_variances


def c13(inputs: ArtefactInputs) -> Verdict:
    """C13: the generalized loss reaches 95 % of Consistency's final accuracy in an earlier epoch, and ends higher."""
    parts = []
    for sigma in SIGMAS:
        found = convergence(inputs, sigma)
        original, generalized = (found.curves[name] for name in CURVES.values())
        first, second = (found.reached[name] for name in CURVES.values())
        parts.append(_earlier(f"sigma {sigma:g}", second, first))
        counts = [round(float(curve[-1]) * found.images) for curve in (generalized, original)]
        gain = share_difference(counts[0], found.images, counts[1], found.images).scaled(100)
        parts.append(
            direction(f"final accuracy in points at sigma {sigma:g}, generalized less original", *gain)
        )
    return all_of(*parts)


def _earlier(where: str, epoch: float, reference: float) -> Verdict:
    """Decide whether one training is there first; in the same epoch, neither is."""
    decision: Decision
    if epoch == reference:
        decision, relation = "inconclusive", "in the same epoch as"
    elif epoch < reference:
        decision, relation = "supported", "before"
    else:
        decision, relation = "contradicted", "not before"
    reached = "never" if np.isnan(epoch) else f"in epoch {epoch:.0f}"
    return Verdict(
        decision,
        f"At {where} the generalized loss gets to 95 % of the original's final accuracy {reached}, {relation} the "
        f"original loss (epoch {reference:.0f}).",
        {f"epoch at {where}, generalized": epoch, f"epoch at {where}, original": reference},
    )


def c14(inputs: ArtefactInputs) -> Verdict:
    """C14: most principal directions have less than a tenth of the noise variance, at both noise levels."""
    _, _, variances = training_variances(inputs)
    parts = []
    for sigma in SIGMAS:
        share = float((variances < sigma**2 / 10).mean())
        parts.append(
            direction(
                f"share of directions far below the noise, sigma {sigma:g}",
                share,
                share,
                share,
                threshold=0.5,
            )
        )
    return all_of(*parts)


def c17(inputs: ArtefactInputs) -> Verdict:
    """C17: the gradient grows beyond every bound towards p = 1, and behind the soft mapping it stays bounded.

    Supported if it takes the stated values at 0.99 and 0.999, keeps growing a hundredfold per four further digits,
    and the mapped gradient never exceeds its value at p = 1/2.
    """
    tails = 1 - np.array([1e-4, 1e-8, 1e-12])
    growth = float((robustness_gradient(tails[1:]) / robustness_gradient(tails[:-1])).min())
    largest = float(mapped_gradient(np.linspace(0.5, 0.999999, 20001)).max())
    return all_of(
        equals("gradient at 0.99", float(robustness_gradient(0.99)), 37.52, tolerance=0.01),
        equals("gradient at 0.999", float(robustness_gradient(0.999)), 297.0, tolerance=0.1),
        direction("growth of the gradient per four digits", growth, growth, growth, threshold=100),
        equals("mapped gradient at 0.99", float(mapped_gradient(0.99)), 0.3715, tolerance=1e-3),
        at_most("largest mapped gradient", largest, largest, largest, bound=0.6267),
    )
