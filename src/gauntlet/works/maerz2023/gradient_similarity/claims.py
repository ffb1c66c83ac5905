"""Claims about the similarity of gradients, in all parameters or in the first tensor.

The document speaks of all parameters; the numbers that its code released are of the first tensor, of the natural model
at twice the radius. Each is judged by itself, the released medians beside the latter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations, product

import numpy as np

from gauntlet.analysis.bootstrap import bootstrap
from gauntlet.analysis.comparisons import holds
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most
from gauntlet.reporting.numerals import radius_text
from gauntlet.works.maerz2023.gradient_similarity.cosines import (
    angles,
    compared,
    cosines,
    median,
    medians,
    released_median,
)
from gauntlet.works.maerz2023.versions import NOISES, SCHEMES, STEPS, Version

NATURAL = "Natural"


def gradients_at_noise_resemble_clean_ones(inputs: ArtefactInputs) -> Verdict:
    """On the natural model at both radii, the least similar pair of unattacked versions has a larger median cosine
    than the most similar pair of which one side is attacked.
    """
    inner = list(combinations(("clean", *NOISES), 2))
    outer = list(product(("clean", *NOISES), STEPS))

    def gap(sample: np.ndarray) -> float:
        found = medians(sample)
        return float(found[: len(inner)].min() - found[len(inner) :].max())

    verdict = all_of(
        above(
            f"smallest inner less largest outer median cosine, {name}",
            bootstrap(gap, _table(inputs, comparison, [*inner, *outer])).interval(),
        )
        for name, comparison in _cases(inputs)
    )
    return _beside_released(inputs, verdict, *inner, *product(("clean",), STEPS))


def similarity_falls_with_the_difference_of_steps(inputs: ArtefactInputs) -> Verdict:
    """For every model and radius the median cosine to the gradient after 16 steps rises from 1 over 2 and 4 to 8
    steps.
    """
    parts = []
    for name, comparison in _cases(inputs):
        table = _table(inputs, comparison, [(steps, STEPS[-1]) for steps in STEPS[:-1]])
        estimate = bootstrap(medians, table)
        listed = ", ".join(f"{value:.2f}" for value in estimate.value)
        parts.append(holds(f"{name}: {listed} rises", estimate, lambda found: (np.diff(found) > 0).all()))
    return _beside_released(inputs, all_of(*parts), *product(STEPS[:-1], STEPS[-1:]))


def gradients_stay_acute_only_on_defended_models(inputs: ArtefactInputs) -> Verdict:
    """The median angle between the gradients after 1 and 16 steps is at most {degrees} degrees on every defended
    model and larger on the natural one.
    """
    edge, parts = inputs.settings["degrees"], []
    for name, comparison in _cases(inputs):
        interval = bootstrap(np.nanmedian, _angles(inputs, comparison)).interval()
        judge = above if comparison.label("defence") == NATURAL else at_most
        parts.append(judge(f"median angle, {name}", interval, edge))
    return _beside_released(inputs, all_of(*parts), (1, 16), metric="median_angle")


def angles_grow_with_the_radius(inputs: ArtefactInputs) -> Verdict:
    """The median angle on the natural model, on the same images, is larger at twice the radius."""
    pairs = {
        defence: [_angles(inputs, comparison) for _, comparison in found.groups("ball")]
        for defence, found in compared(inputs.results).groups("defence")
    }
    growth = bootstrap(lambda pair: median(pair[1]) - median(pair[0]), pairs[NATURAL])
    verdict = above("growth of the median angle with the radius, natural [degrees]", growth.interval())
    others = {
        f"growth, {defence} models trained for either radius": median(double) - median(plain)
        for defence, (plain, double) in pairs.items()
        if defence != NATURAL
    }
    return replace(verdict, numbers=verdict.numbers | others)


def adversarial_training_makes_angles_smaller(inputs: ArtefactInputs) -> Verdict:
    """The median angle on each defended model is smaller than on the natural model at the same radius, by more than
    {much} degrees.
    """
    natural = dict(compared(inputs.results).where(defence=NATURAL).groups("ball"))
    parts = []
    for name, comparison in _cases(inputs):
        if comparison.label("defence") != NATURAL:
            drop = bootstrap(
                lambda ours, theirs: np.nanmedian(ours) - np.nanmedian(theirs),
                _angles(inputs, natural[comparison.label("ball")]),
                _angles(inputs, comparison),
            )
            parts.append(
                above(f"median angle, natural less {name}", drop.interval(), inputs.settings["much"])
            )
    return all_of(*parts)


def other_schemes_give_slightly_larger_cosines(inputs: ArtefactInputs) -> Verdict:
    """The cosine, averaged over images, models and pairs of attacks, is larger under each of the other schemes than
    under deterministic harmonic steps.
    """
    pairs = list(combinations(STEPS, 2))
    base, *others = (
        [
            _table(inputs, comparison, pairs)
            for _, comparison in compared(inputs.results, scheme).groups("model", "ball")
        ]
        for scheme in SCHEMES
    )
    parts = []
    for scheme, tables in zip(SCHEMES[1:], others, strict=True):
        gains = [np.nanmean(ours - theirs, axis=1) for ours, theirs in zip(tables, base, strict=True)]
        gain = bootstrap(lambda *groups: np.mean([np.nanmean(group) for group in groups]), *gains)
        parts.append(above(f"mean gain of the cosine, {scheme}", gain.interval()))
    return all_of(*parts)


def few_steps_already_give_related_gradients(inputs: ArtefactInputs) -> Verdict:
    """On the natural model at both radii, the median cosines of the gradients after 1 and 2 steps to that after 16
    steps are above {noticeable}.
    """
    verdict = all_of(
        above(
            f"median cosine of {steps} and 16 steps, {name}",
            bootstrap(np.nanmedian, _table(inputs, comparison, [(steps, 16)])[:, 0]).interval(),
            inputs.settings["noticeable"],
        )
        for name, comparison in _cases(inputs)
        for steps in STEPS[:2]
    )
    return _beside_released(inputs, verdict, (1, 16), (2, 16))


def _cases(inputs: ArtefactInputs) -> list[tuple[str, Results]]:
    """Return the models and radii whose gradients were compared, with their names."""
    return [
        (f"{comparison.label('model')}, {radius_text(comparison.label('eps'))}", comparison)
        for _, comparison in compared(inputs.results).groups("model", "ball")
    ]


def _table(
    inputs: ArtefactInputs, comparison: Results, pairs: Iterable[tuple[Version, Version]]
) -> np.ndarray:
    """Return the cosines of several pairs in the claim's scope, ``[images, pairs]``."""
    scope = str(inputs.settings["scope"])
    return np.stack([cosines(comparison, *pair, scope) for pair in pairs], axis=1)


def _angles(inputs: ArtefactInputs, comparison: Results) -> np.ndarray:
    return angles(comparison, scope=str(inputs.settings["scope"]))


def _beside_released(
    inputs: ArtefactInputs,
    verdict: Verdict,
    *pairs: tuple[Version, Version],
    metric: str = "median_cosine_similarity",
) -> Verdict:
    """Return a verdict with the released medians of some pairs where they are of the claim's scope."""
    if inputs.published.empty:
        return verdict
    released = {
        f"released {metric.replace('_', ' ')}, {first} and {second}": released_median(
            inputs.published, metric, first, second
        )
        for first, second in pairs
    }
    listed = ", ".join(f"{name.rpartition(', ')[2]} {value:.3g}" for name, value in released.items())
    return replace(
        verdict,
        reason=f"{verdict.reason} Released for the natural model: {listed}.",
        numbers=verdict.numbers | released,
    )
