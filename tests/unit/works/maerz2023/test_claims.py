"""Every check supports its claim in a world where it holds, and contradicts it where it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gauntlet.works.maerz2023.perturbations import claims

ZERO, SCHEMES_ON_DEFENDED = (
    "only-harmonic-steps-reach-zero-confidence",
    "step-schemes-hardly-matter-on-defended-models",
)
FEW_STEPS = "few-steps-already-give-related-gradients"
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
    "schemes-and-images-change-results-little": (
        {"margins": {"1": 0.01, "2": 0.1}}, {"decay_top": {"geometric": 0.9}}
    ),
    "on-the-pgd-trained-model-steps-act-alike": ({"factor": 6}, {"defended": 4.0}),
    "equal-volume-fits-other-schemes-and-models": ({}, {"level": {"l2-volume": 2.0}}),
}  # fmt: skip
ON_GRADIENTS = {
    "gradients-at-noise-resemble-clean-ones": ({}, {"outer": 0.9}),
    "similarity-falls-with-the-difference-of-steps": ({}, {"defended_cosine": {8: 0.5}}),
    "gradients-stay-acute-only-on-defended-models": ({}, {"cosine": {1: 0.9}}),
    "angles-grow-with-the-radius": ({}, {"double": 1.5}),
    "adversarial-training-makes-angles-smaller": ({"much": 10}, {"defended_cosine": {1: 0.15}}),
    "other-schemes-give-slightly-larger-cosines": ({}, {"scheme_gain": -0.02}),
    FEW_STEPS: ({}, {"cosine": {1: 0.01}}),
}
"""Each judged over all parameters and over the first tensor, by one check."""


@pytest.mark.parametrize("name", [*CASES, *ON_GRADIENTS])
def test_a_claim_is_supported_where_it_holds_and_contradicted_where_it_does_not(
    name, world, inputs_of, verdict_of
):
    settings, change = (CASES | ON_GRADIENTS)[name]
    only = "comparisons" if name in ON_GRADIENTS else "attacks"
    world = world.but(images=800 if name == SCHEMES_ON_DEFENDED else 100, only=only)
    for changes, decision in (({}, "supported"), (change, "contradicted")):
        verdict = verdict_of(inputs_of(name, world.but(**changes), **settings))
        assert verdict.decision == decision, verdict.reason


def test_every_claim_of_the_two_chapters_is_tested(catalogues):
    work = catalogues("demo").works["maerz2023"]
    found = {
        name for chapter in ("perturbations", "gradient_similarity") for name in work.chapters[chapter].claims
    }
    scopes = {f"{name}{suffix}" for name in ON_GRADIENTS for suffix in ("", "-first-tensor")}
    assert found == {*CASES, *scopes, ZERO, FACTORS, COUNTEREXAMPLE}


def test_each_scope_of_the_gradient_is_judged_by_itself(world, inputs_of, verdict_of):
    world = world.but(only="comparisons")
    both, first = (inputs_of(name, world) for name in (FEW_STEPS, f"{FEW_STEPS}-first-tensor"))
    first.results.tables["natural"].frame["cosine_first_tensor_1_16"] = 0.01
    assert verdict_of(both).decision == "supported"
    verdict = verdict_of(first)
    assert verdict.decision == "contradicted"
    assert verdict.numbers["released median cosine similarity, 1 and 16"] == pytest.approx(0.12005479)
    assert "Released" not in verdict_of(both).reason


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
    ("zeros", "decision"),
    [
        ({"harmonic": 6}, "supported"),
        ({"harmonic": 0}, "inconclusive"),
        ({"harmonic": 1}, "inconclusive"),
        ({"constant": 1}, "contradicted"),
    ],
)
def test_confidences_of_zero_are_counted_by_step_scheme(zeros, decision, world, inputs_of, verdict_of):
    verdict = verdict_of(inputs_of(ZERO, world.but(zeros=zeros, only="attacks"), scale="full"))
    assert verdict.decision == decision, verdict.reason
    # Both samples have as many.
    assert verdict.numbers["images at confidence 0, harmonic"] == 2 * zeros.get("harmonic", 6)


@pytest.mark.parametrize(("strongest", "decision"), [("harmonic", "supported"), ("constant", "contradicted")])
def test_below_full_scale_the_least_confident_images_are_compared(
    strongest, decision, world, inputs_of, verdict_of
):
    changed = world.but(decay_level={strongest: 1.3}, only="attacks")
    assert verdict_of(inputs_of(ZERO, changed)).decision == decision


def test_few_images_leave_a_small_difference_open(world, inputs_of, verdict_of):
    """On ten images no difference between step schemes can be told from two points."""
    inputs = inputs_of(SCHEMES_ON_DEFENDED, world.but(images=10, only="attacks"))
    assert verdict_of(inputs).decision == "inconclusive"
