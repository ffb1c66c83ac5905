"""Claims about the BOBYQA attack.

Models and radii are compared on the pairs that both attacked, and whole images are resampled. Success against the
smoothed model is that of its vote over many draws; the successes of single draws, as released, stand beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product

import pandas as pd

from gauntlet.analysis.bootstrap import mean, paired_difference
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import LEVEL, corrected_level, paired_share_difference, share
from gauntlet.analysis.published import published_value
from gauntlet.analysis.queries import charged
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most, not_testable
from gauntlet.works.maerz2023.black_box.pairs import (
    ATTACK,
    WITHOUT_NOISE,
    common_pairs,
    confirmed_queries,
    images_of,
    queries_of_pairs,
)

NATURAL, PGD, R_FGSM, SMOOTHED = "Natural", "MadryLab", "LocusLab", "HadiSalman"
RADII = (3, 6, 9)
EARLY = 50
"""Queries that the work calls a few dozens."""
MARGIN = 0.03
"""Difference of success rates up to which a defence does not do better."""


def larger_radii_help_bobyqa_least_against_smoothing(inputs: ArtefactInputs) -> Verdict:
    """From the smallest to the largest radius, on each model but the smoothed one the success rate grows and the mean
    number of queries (the whole budget for a failure) falls; the success rate grows more on the natural model, and on
    both other defended models together, than on the smoothed one, and on neither of them less.
    """
    smoothed = [_attack(inputs, SMOOTHED, radius) for radius in (RADII[-1], RADII[0])]
    parts, excess = [], {}
    for defence in (NATURAL, PGD, R_FGSM):
        more, less = (_attack(inputs, defence, radius) for radius in (RADII[-1], RADII[0]))
        parts.append(_gain(f"growth of the success rate with the radius, {defence}", more, less))
        large, small = common_pairs(*(charged(run)[run.correct] for run in (more, less)))
        saved = paired_difference(small, large, clusters=images_of(small))
        parts.append(above(f"queries saved at the larger radius, {defence}", saved))
        pairs = common_pairs(*map(confirmed_queries, (more, less, *smoothed)))
        here, there, smoothed_here, smoothed_there = (queries.notna().astype(float) for queries in pairs)
        excess[defence] = here - there - (smoothed_here - smoothed_there)
    name = "growth of the success rate, {} less smoothed"
    single = {defence: _mean(name.format(defence), values) for defence, values in excess.items()}
    both = _mean(name.format(f"{PGD} and {R_FGSM}"), pd.concat([excess[PGD], excess[R_FGSM]]))
    return all_of(*parts, single.pop(NATURAL), _together(both, *single.values()))


def bobyqa_rarely_succeeds_against_defended_models(inputs: ArtefactInputs) -> Verdict:
    """At every radius the success rate over the defended models together is within the printed bound with its 95 %
    interval, and that of none of them is above it.
    """
    parts = []
    for radius in RADII:
        bound = published_value(inputs.published, attack_eps=f"{radius}/255") / 100
        name, single, reached = f"success rate at radius {radius}/255", [], []
        for defence in (PGD, R_FGSM, SMOOTHED):
            reached.append(confirmed_queries(_attack(inputs, defence, radius)).notna())
            rate = share(reached[-1], clusters=images_of(reached[-1]))
            single.append(at_most(f"{name}, {defence}", rate, bound))
        together = pd.concat(reached)
        rate = share(together, clusters=images_of(together))
        parts.append(_together(at_most(f"{name}, defended models", rate, bound), *single))
    return all_of(*parts)


def bobyqa_succeeds_less_against_defended_models(inputs: ArtefactInputs) -> Verdict:
    """At every radius the success rate on every defended model is below that on the natural model."""
    return all_of(
        _gain(
            f"success rate at radius {radius}/255, {NATURAL} less {defence}",
            *(_attack(inputs, each, radius) for each in (NATURAL, defence)),
        )
        for radius, defence in product(RADII, (PGD, R_FGSM, SMOOTHED))
    )


def bobyqa_succeeds_early_on_the_smoothed_model(inputs: ArtefactInputs) -> Verdict:
    """More than half of the successes on the smoothed model, over all radii, need at most 50 queries; its vote over
    many draws confirms a success. Single draws and queries without noise, as released, are told beside.
    """
    smoothed = inputs.results.where(defence=SMOOTHED)
    verdict = _early("confirmed", map(confirmed_queries, _each_radius(smoothed, ATTACK)))
    beside = [
        _early(kind, map(queries_of_pairs, _each_radius(smoothed, attack)))
        for kind, attack in (("single-draw", ATTACK), ("noiseless", WITHOUT_NOISE))
    ]
    told = " ".join(each.reason for each in beside)
    numbers = {name: value for each in beside for name, value in each.numbers.items()}
    return replace(verdict, reason=f"{verdict.reason} Beside: {told}", numbers=verdict.numbers | numbers)


def newer_defences_do_not_beat_pgd_training(inputs: ArtefactInputs) -> Verdict:
    """At every radius the success rates on the R-FGSM model (LocusLab) and the smoothed one (HadiSalman) are at most
    3 points below that on the PGD-trained model (MadryLab), with their 95 % intervals. One that lies below it, with an
    interval at the level that allows for their number, contradicts.
    """
    cases = list(product(RADII, (R_FGSM, SMOOTHED)))
    level = corrected_level(len(cases))
    parts = []
    for radius, defence in cases:
        newer, older = (_attack(inputs, each, radius) for each in (defence, PGD))
        name = f"success rate at radius {radius}/255, {defence} less {PGD}"
        part = _gain(name, newer, older, threshold=-MARGIN)
        beats = _gain(name, newer, older, level=level).decision == "contradicted"
        parts.append(replace(part, decision="contradicted" if beats else part.decision))
    return all_of(*parts)


def _attack(inputs: ArtefactInputs, defence: str, radius: int) -> Results:
    return inputs.results.one(attack=ATTACK, defence=defence, radius_255=radius)


def _each_radius(results: Results, attack: str) -> Iterator[Results]:
    """Yield the runs of an attack, one per radius."""
    for _, run in results.where(attack=attack).groups("radius_255"):
        yield run


def _gain(
    name: str, more: Results, less: Results, *, threshold: float = 0.0, level: float = LEVEL
) -> Verdict:
    """Judge by how much the confirmed success rate of one run exceeds that of another, on the pairs of both."""
    first, second = common_pairs(confirmed_queries(more), confirmed_queries(less))
    gain = paired_share_difference(first.notna(), second.notna(), clusters=images_of(first), level=level)
    verdict = above(name, gain, threshold)
    released = [queries.count() for queries in common_pairs(queries_of_pairs(more), queries_of_pairs(less))]
    counts = f"{first.count()} against {second.count()} of {len(first)} pairs"
    if released != [first.count(), second.count()]:
        counts += f"; by single draws {released[0]} against {released[1]}"
    return replace(verdict, reason=f"{verdict.reason} ({counts}.)")


def _mean(name: str, values: pd.Series) -> Verdict:
    """Judge whether a number of each pair is positive in the mean."""
    return above(name, mean(values, clusters=images_of(values)))


def _together(pooled: Verdict, *single: Verdict) -> Verdict:
    """Let a number over several models decide, unless one of them alone contradicts it."""
    against = [part for part in single if part.decision == "contradicted"]
    verdict = all_of(pooled, *against)
    numbers = {name: value for part in single for name, value in part.numbers.items()}
    return replace(verdict, numbers=numbers | verdict.numbers)


def _early(kind: str, runs: Iterable[pd.Series]) -> Verdict:
    """Judge which share of the successes of several runs came early."""
    queries = pd.concat(list(runs)).dropna()
    if queries.empty:
        return not_testable(f"No {kind} attack succeeded.")
    return above(
        f"share of the {len(queries)} successes of {kind} attacks that need at most {EARLY} queries",
        share(queries <= EARLY, clusters=images_of(queries)),
        0.5,
    )
