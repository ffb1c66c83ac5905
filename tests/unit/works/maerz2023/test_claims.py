"""Every check supports its claim in a world where it holds, and contradicts it where it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gauntlet.works.maerz2023.perturbations import claims

ZERO, SCHEMES_ON_DEFENDED = (
    "only-harmonic-steps-reach-zero-confidence",
    "step-schemes-hardly-matter-on-defended-models",
)
FACTORS, COUNTEREXAMPLE = (
    "printed-factors-are-those-of-equal-volume",
    "gradients-of-the-counterexample-become-opposite",
)

# By claim: settings, what makes the world false.
CASES = {
    "one-radius-for-all-norms-leaves-l1-and-l2-attacks-weak": ({}, {"level": {"l2-same": 18.0}}),
    "top-1-accuracy-is-equal-across-norms": ({}, {"gradient_rank": {"l2-volume": 0}}),
    "nested-radii-are-closer-in-top-k-accuracy": ({}, {"top": {"l2-nested": 0.9}}),
    "linf-loss-lies-between-both-conversions": ({}, {"level": {"l2-volume": 30.0, "l1-volume": 30.0}}),
    "l1-attacks-reach-larger-losses-than-l2-attacks": ({}, {"level": {"l1-volume": 5.0}}),
    "only-linf-distortions-span-more-than-tenfold": ({}, {"distortion": {"l1-volume": (0.02, 1.8, 448.0)}}),
    "decaying-steps-beat-constant-steps": ({}, {"decay_top": {"constant": 0.0}}),
    SCHEMES_ON_DEFENDED: ({}, {"defended_top1": {"constant": 0.3}}),
    ZERO: ({"reduced": False}, {"zeros": {"constant": 1}}),
    "schemes-and-images-change-results-little": (
        {"top1": 0.01, "topk": 0.03}, {"decay_top": {"geometric": 0.9}}
    ),
    "on-the-pgd-trained-model-steps-act-alike": ({}, {"defended": 40.0}),
    "equal-volume-fits-other-schemes-and-models": ({}, {"level": {"l2-volume": 2.0}}),
    "gradients-at-noise-resemble-clean-ones": ({}, {"outer": 0.9}),
    "similarity-falls-with-the-difference-of-steps": ({}, {"defended_cosine": {8: 0.5}}),
    "gradients-stay-acute-only-on-defended-models": ({}, {"cosine": {1: 0.9}}),
    "angles-grow-with-the-radius": ({}, {"double": 1.5}),
    "adversarial-training-makes-angles-smaller": ({"much": 10}, {"defended_cosine": {1: 0.15}}),
    "other-schemes-give-slightly-larger-cosines": ({}, {"scheme_gain": -0.02}),
    "few-steps-already-give-related-gradients": ({}, {"cosine": {1: 0.01}}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_claim_is_supported_where_it_holds_and_contradicted_where_it_does_not(
    name, world, inputs_of, verdict_of
):
    settings, change = CASES[name]
    world = world.but(images=400 if name == SCHEMES_ON_DEFENDED else 100)
    for changes, decision in (({}, "supported"), (change, "contradicted")):
        verdict = verdict_of(inputs_of(name, world.but(**changes), **settings))
        assert verdict.decision == decision, verdict.reason


def test_every_claim_of_the_two_chapters_is_tested(catalogues):
    work = catalogues("demo").works["maerz2023"]
    found = {
        name for chapter in ("perturbations", "gradient_similarity") for name in work.chapters[chapter].claims
    }
    assert found == {*CASES, FACTORS, COUNTEREXAMPLE}


def test_the_printed_factors_are_checked_to_their_decimals(world, inputs_of, verdict_of):
    inputs = inputs_of(FACTORS, world)
    assert verdict_of(inputs).decision == "by construction"
    wrong = inputs.published.assign(value=inputs.published["value"] * 1.00001)
    assert verdict_of(replace(inputs, published=wrong)).decision == "contradicted"


def test_the_counterexample_claim_needs_the_limit(world, inputs_of, verdict_of, monkeypatch):
    inputs = inputs_of(COUNTEREXAMPLE, world)
    assert verdict_of(inputs).decision == "by construction"
    monkeypatch.setattr(claims, "danskin_angle", lambda tau: 170 - tau)
    assert verdict_of(inputs).decision == "contradicted"


@pytest.mark.parametrize(
    ("zeros", "reduced", "decision"),
    [(0, False, "inconclusive"), (2, True, "inconclusive"), (0, True, "contradicted")],
)
def test_too_few_zero_confidences_decide_nothing(zeros, reduced, decision, world, inputs_of, verdict_of):
    """Without zeros the reduced form compares the largest losses, which are equal in this world."""
    # The replicate has as many; an odd count cannot come out of two equal samples.
    inputs = inputs_of(ZERO, world.but(zeros={"harmonic": zeros // 2}), reduced=reduced)
    verdict = verdict_of(inputs)
    assert verdict.decision == decision, verdict.reason
    assert verdict.numbers["images at confidence 0, harmonic"] == zeros


def test_few_images_leave_a_small_difference_open(world, inputs_of, verdict_of):
    """On ten images no difference between step schemes can be told from a point."""
    inputs = inputs_of(SCHEMES_ON_DEFENDED, world.but(images=10))
    assert verdict_of(inputs).decision == "inconclusive"
