"""Claims about the BOBYQA attack.

Models and radii are compared on the pairs that both attacked, and whole images are resampled.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pandas as pd

from gauntlet.analysis.bootstrap import mean, paired_difference
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import paired_share_difference, share
from gauntlet.analysis.published import published_value
from gauntlet.analysis.queries import charged
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most, not_testable
from gauntlet.works.maerz2023.black_box.pairs import (
    ATTACK,
    WITHOUT_NOISE,
    at_target,
    common_pairs,
    images_of,
    queries_of_pairs,
    success_rate,
)

NATURAL, PGD, R_FGSM, SMOOTHED = "Natural", "MadryLab", "LocusLab", "HadiSalman"
RADII = (3, 6, 9)
EARLY = 50
"""Queries that the work calls a few dozens."""
MARGIN = 0.03
"""Difference of success rates up to which a defence does not do better."""


def larger_radii_help_bobyqa_least_against_smoothing(inputs: ArtefactInputs) -> Verdict:
    """From the smallest to the largest radius, on each model but the smoothed one, the success rate grows, the mean
    number of queries (the whole budget for a failure) falls, and the success rate grows by more than that of the
    smoothed model (HadiSalman).
    """
    smoothed = [_attack(inputs, SMOOTHED, radius) for radius in (RADII[-1], RADII[0])]
    parts = []
    for defence in (NATURAL, PGD, R_FGSM):
        more, less = (_attack(inputs, defence, radius) for radius in (RADII[-1], RADII[0]))
        parts.append(_gain(f"growth of the success rate with the radius, {defence}", more, less))
        large, small = common_pairs(*(charged(run)[run.correct] for run in (more, less)))
        saved = paired_difference(small, large, clusters=images_of(small))
        parts.append(above(f"queries saved at the larger radius, {defence}", saved))
        pairs = common_pairs(*map(queries_of_pairs, (more, less, *smoothed)))
        here, there, smoothed_here, smoothed_there = (queries.notna().astype(float) for queries in pairs)
        excess = mean(here - there - (smoothed_here - smoothed_there), clusters=images_of(here))
        parts.append(above(f"growth of the success rate, {defence} less smoothed", excess))
    return all_of(*parts)


def bobyqa_rarely_succeeds_against_defended_models(inputs: ArtefactInputs) -> Verdict:
    """At every radius the success rate on every defended model is within the printed bound. Reduced form, for other
    networks and budgets than the work's: it is below that on the natural model.
    """
    parts = []
    for radius, defence in product(RADII, (PGD, R_FGSM, SMOOTHED)):
        name, attack = f"success rate at radius {radius}/255", _attack(inputs, defence, radius)
        if inputs.settings["reduced"]:
            parts.append(_gain(f"{name}, {NATURAL} less {defence}", _attack(inputs, NATURAL, radius), attack))
        else:
            bound = published_value(inputs.published, attack_eps=f"{radius}/255") / 100
            parts.append(at_most(f"{name}, {defence}", success_rate(attack), bound))
    return all_of(*parts)


def bobyqa_succeeds_early_on_the_smoothed_model(inputs: ArtefactInputs) -> Verdict:
    """More than half of the successes on the smoothed model, over all radii, need at most 50 queries."""
    smoothed = inputs.results.where(defence=SMOOTHED)
    verdict = _early("noisy", smoothed.where(attack=ATTACK))
    silent = _early("noiseless", smoothed.where(attack=WITHOUT_NOISE))
    runs = smoothed.where(attack=ATTACK).groups("radius_255")
    confirmed = sum(int(at_target(run, "smoothed_prediction").sum()) for _, run in runs)
    return Verdict(
        verdict.decision,
        f"{verdict.reason} The smoothed classifier itself, by many draws, gives {confirmed} of the final images to "
        f"the target. Asked without noise: {silent.reason}",
        {**verdict.numbers, "final images confirmed by the smoothed classifier": confirmed, **silent.numbers},
    )


def newer_defences_do_not_beat_pgd_training(inputs: ArtefactInputs) -> Verdict:
    """At every radius the success rates on the R-FGSM model (LocusLab) and the smoothed one (HadiSalman) are at most
    3 points below that on the PGD-trained model (MadryLab).
    """
    parts = []
    for radius, defence in product(RADII, (R_FGSM, SMOOTHED)):
        newer, older = (_attack(inputs, each, radius) for each in (defence, PGD))
        name = f"success rate at radius {radius}/255, {defence} less {PGD}"
        parts.append(_gain(name, newer, older, threshold=-MARGIN))
    return all_of(*parts)


def _attack(inputs: ArtefactInputs, defence: str, radius: int) -> Results:
    return inputs.results.one(attack=ATTACK, defence=defence, radius_255=radius)


def _gain(name: str, more: Results, less: Results, *, threshold: float = 0.0) -> Verdict:
    """Judge by how much the success rate of one run exceeds that of another, on the pairs of both."""
    first, second = common_pairs(queries_of_pairs(more), queries_of_pairs(less))
    gain = paired_share_difference(first.notna(), second.notna(), clusters=images_of(first))
    verdict = above(name, gain, threshold)
    counts = f"{first.count()} against {second.count()} of {len(first)} pairs"
    return replace(verdict, reason=f"{verdict.reason} ({counts}.)")


def _early(kind: str, runs: Results) -> Verdict:
    """Judge which share of the successes of several runs came early."""
    queries = pd.concat([queries_of_pairs(run) for _, run in runs.groups("radius_255")]).dropna()
    if queries.empty:
        return not_testable("No attack succeeded.")
    return above(
        f"share of the {len(queries)} successes of {kind} attacks that need at most {EARLY} queries",
        share(queries <= EARLY, clusters=images_of(queries)),
        0.5,
    )
