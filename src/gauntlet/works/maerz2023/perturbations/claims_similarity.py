"""Claims about the similarity of parameter gradients (maerz2023, contribution 4.3), over all parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from gauntlet.measures.gradient_similarity import angle_degrees
from gauntlet.reporting.claims import Verdict, all_of, at_most, direction
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.resampling import bootstrap, holds_in_resamples
from gauntlet.works.maerz2023.perturbations.observations import GRADIENT, NOISES, SCHEMES
from gauntlet.works.maerz2023.perturbations.similarity import DOUBLE_RADIUS, SAME_RADIUS, cosines

UNGUIDED = ("clean", *NOISES)
CASES = (*((name, "linf") for name in SAME_RADIUS), *((name, "linf-double") for name in DOUBLE_RADIUS))
"""The models and radii whose gradients were compared."""


def _table(inputs: ArtefactInputs, name: str, radius: str, pairs: Iterable[tuple[str, str]]) -> np.ndarray:
    """Return the cosines of several pairs, ``[images, pairs]``."""
    return np.stack(
        [cosines(inputs.evaluations[name], radius, first, second) for first, second in pairs], axis=1
    )


def _medians(rows: np.ndarray) -> np.ndarray:
    return np.nanmedian(rows, axis=0)


def c13(inputs: ArtefactInputs) -> Verdict:
    """C13: gradients at clean and noisy images resemble each other, not those at attacked images.

    Supported if, on the natural model at both radii, the least similar pair without a gradient attack is more
    similar (median cosine) than the most similar pair of which one side is attacked.
    """
    inner = list(combinations(UNGUIDED, 2))
    outer = [(first, second) for first in UNGUIDED for second in GRADIENT]
    parts = []
    for radius in ("linf", "linf-double"):
        rows = _table(inputs, "natural", radius, (*inner, *outer))
        gap = bootstrap(
            lambda sample: _medians(sample)[: len(inner)].min() - _medians(sample)[len(inner) :].max(), rows
        )
        parts.append(direction(f"smallest inner less largest outer median cosine, {radius}", *gap.ends))
    return all_of(*parts)


def c14(inputs: ArtefactInputs) -> Verdict:
    """C14: the fewer steps, the less similar to the 16-step gradient.

    Supported if for every model and radius the median cosine to 16 steps rises from 1 over 2 and 4 to 8
    steps.
    """
    pairs = [(steps, "16") for steps in GRADIENT[:-1]]
    parts = []
    for name, radius in CASES:
        medians = bootstrap(_medians, _table(inputs, name, radius, pairs))
        listed = ", ".join(f"{value:.2f}" for value in medians.value)
        parts.append(
            holds_in_resamples(
                f"{name}, {radius}: {listed} rises", medians, lambda m: bool(np.all(np.diff(m) > 0))
            )
        )
    return all_of(*parts)


def _angle(inputs: ArtefactInputs, name: str, radius: str) -> np.ndarray:
    return angle_degrees(cosines(inputs.evaluations[name], radius, "1", "16"))


def c15(inputs: ArtefactInputs) -> Verdict:
    """C15: 1-step and 16-step gradients enclose an acute angle on defended models, nearly 90 on the natural.

    Supported if every defended median is below ``acute`` degrees and the natural ones are above ``near``.
    """
    acute, near = float(inputs.settings["acute"]), float(inputs.settings["near"])
    parts = []
    for name, radius in CASES:
        median = bootstrap(np.nanmedian, _angle(inputs, name, radius)).ends
        label = f"median angle, {name}, {radius}"
        parts.append(
            direction(label, *median, threshold=near)
            if name == "natural"
            else at_most(label, *median, bound=acute)
        )
    return all_of(*parts)


def c16(inputs: ArtefactInputs) -> Verdict:
    """C16: angles grow when the radius doubles; judged on the natural model, whose images stay the same."""
    pair = [_angle(inputs, "natural", radius) for radius in ("linf", "linf-double")]
    growth = bootstrap(_difference_of_medians, pair)
    verdict = direction("growth of the median angle with the radius, natural [degrees]", *growth.ends)
    for kind, plain, double in zip(("PGD", "R-FGSM"), SAME_RADIUS[1:], DOUBLE_RADIUS[1:], strict=True):
        change = np.nanmedian(_angle(inputs, double, "linf-double")) - np.nanmedian(
            _angle(inputs, plain, "linf")
        )
        verdict.numbers[f"growth, {kind} models trained for either radius"] = float(change)
    return verdict


def _difference_of_medians(pair: Sequence[np.ndarray]) -> float:
    return float(np.nanmedian(pair[1]) - np.nanmedian(pair[0]))


def c17(inputs: ArtefactInputs) -> Verdict:
    """C17: adversarially trained models have much smaller angles than the natural one.

    Supported if the medians differ by more than ``much`` degrees for every defended model at its radius.
    """
    return all_of(
        *(
            direction(
                f"median angle, natural less {name}, {radius}",
                *bootstrap(lambda natural, defended: np.nanmedian(natural) - np.nanmedian(defended),
                           _angle(inputs, "natural", radius), _angle(inputs, name, radius)).ends,
                threshold=float(inputs.settings["much"]),
            )
            for name, radius in CASES
            if name != "natural"
        )
    )  # fmt: skip


def c23(inputs: ArtefactInputs) -> Verdict:
    """C23: geometric and randomised schemes give larger cosines than deterministic harmonic steps.

    Supported if the mean over images, models and pairs of gradient attacks grows for each of the other
    schemes.
    """
    pairs = list(combinations(GRADIENT, 2))
    base, *others = SCHEMES
    parts = []
    for scheme in others:
        gains = [
            np.nanmean(
                [
                    cosines(inputs.evaluations[name], radius, *pair, scheme=scheme)
                    - cosines(inputs.evaluations[name], radius, *pair, scheme=base)
                    for pair in pairs
                ],
                axis=0,
            )
            for name, radius in CASES
        ]
        gain = bootstrap(_mean_of_means, *gains)
        parts.append(direction(f"mean gain of the cosine, {scheme}", *gain.ends))
    return all_of(*parts)


def _mean_of_means(*groups: np.ndarray) -> float:
    return float(np.mean([np.nanmean(group) for group in groups]))


def c24(inputs: ArtefactInputs) -> Verdict:
    """C24: on the natural model too, gradients after 1 and 2 steps are noticeably related to the 16-step one.

    Supported if the median cosines exceed ``noticeable`` on the natural model at both radii.
    """
    return all_of(
        *(
            direction(
                f"median cosine of {steps} and 16 steps, natural, {radius}",
                *bootstrap(np.nanmedian, cosines(inputs.evaluations["natural"], radius, steps, "16")).ends,
                threshold=float(inputs.settings["noticeable"]),
            )
            for radius in ("linf", "linf-double")
            for steps in ("1", "2")
        )
    )
