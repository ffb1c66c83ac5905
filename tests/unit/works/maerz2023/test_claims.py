"""Every check supports its claim in a world where it holds, and contradicts it where it does not."""

from __future__ import annotations

import pytest

from gauntlet.works.maerz2023 import claims, claims_similarity

WHITE_BOX = {
    "c2": (("natural",), {"share": 0.1}, {"level": {"l2-same": 18.0}}),
    "c3": (("natural",), {"margin": 0.05}, {"gradient_rank": {"l2-volume": 0}}),
    "c4": (("natural",), {"k": 2}, {"top": {"l2-nested": 0.9}}),
    "c5": (("natural",), {}, {"level": {"l2-volume": 30.0, "l1-volume": 30.0}}),
    "c6": (("natural",), {}, {"level": {"l1-volume": 5.0}}),
    "c7": (("natural",), {}, {"distortion": {"l1-volume": (0.02, 1.8, 448.0)}}),
    "c8": (("natural", "natural-replicate"), {"k": 2}, {"decay_top": {"constant": 0.0}}),
    "c9": (("madry-linf-4", "locus-linf-2"), {"margin": 0.01, "k": 2}, {"defended_top1": {"constant": 0.3}}),
    "c10": (("natural", "natural-replicate"), {"events": 5, "reduced": False}, {"zeros": {"constant": 1}}),
    "c11": (
        ("natural", "natural-replicate"),
        {"k": 2, "top1": 0.01, "topk": 0.03},
        {"decay_top": {"geometric": 0.9}},
    ),
    "c12": (("natural", "madry-linf-4"), {}, {"defended": 40.0}),
    "c25": (("natural", "madry-linf-4", "madry-l2-3"), {"factor": 2}, {"level": {"l2-volume": 2.0}}),
}
COMPARED = ("natural", "madry-linf-4", "madry-linf-8", "locus-linf-2", "locus-linf-4")
SIMILARITY = {
    "c13": ({}, {"outer": 0.9}),
    "c14": ({}, {"defended_cosine": {"8": 0.5}}),
    "c15": ({"acute": 80, "near": 75}, {"cosine": {"1": 0.9}}),
    "c16": ({}, {"double": 1.5}),
    "c17": ({"much": 10}, {"defended_cosine": {"1": 0.15}}),
    "c23": ({}, {"scheme_gain": -0.02}),
    "c24": ({"noticeable": 0.05}, {"cosine": {"1": 0.01}}),
}


@pytest.mark.parametrize("name", WHITE_BOX)
def test_a_claim_about_attacks_follows_the_data(name, world, evaluations, inputs):
    names, settings, change = WHITE_BOX[name]
    world = world.but(images=400 if name == "c9" else 100)
    check = getattr(claims, name)
    held = check(inputs(settings=settings, evaluations=evaluations(world, *names)))
    assert held.decision == "supported", held.reason
    broken = check(inputs(settings=settings, evaluations=evaluations(world.but(**change), *names)))
    assert broken.decision == "contradicted", broken.reason


@pytest.mark.parametrize("name", SIMILARITY)
def test_a_claim_about_gradients_follows_the_data(name, world, evaluations, inputs):
    settings, change = SIMILARITY[name]
    check = getattr(claims_similarity, name)
    held = check(inputs(settings=settings, evaluations=evaluations(world, *COMPARED, similarity=True)))
    assert held.decision == "supported", held.reason
    changed = evaluations(world.but(**change), *COMPARED, similarity=True)
    broken = check(inputs(settings=settings, evaluations=changed))
    assert broken.decision == "contradicted", broken.reason


def test_the_printed_factors_are_checked_to_their_decimals(published, inputs):
    printed = published("figure_4_2.csv")
    assert claims.c1(inputs(published=printed)).decision == "supported"
    wrong = printed.assign(value=printed["value"] * 1.00001)
    assert claims.c1(inputs(published=wrong)).decision == "contradicted"


def test_the_counterexample_claim_needs_the_limit(inputs, monkeypatch):
    assert claims.c22(inputs()).decision == "supported"
    monkeypatch.setattr(claims, "danskin_angle", lambda tau: 170 - tau)
    assert claims.c22(inputs()).decision == "contradicted"


@pytest.mark.parametrize(
    ("zeros", "reduced", "decision"),
    [(0, False, "inconclusive"), (2, True, "inconclusive"), (0, True, "contradicted")],
)
def test_too_few_zero_confidences_decide_nothing(zeros, reduced, decision, world, evaluations, inputs):
    """Without zeros the reduced form compares the largest losses, which are equal in this world."""
    names, settings, _ = WHITE_BOX["c10"]
    # The replicate has as many; an odd count cannot come out of two equal samples.
    found = evaluations(world.but(zeros={"harmonic": zeros // 2}), *names)
    verdict = claims.c10(inputs(settings=settings | {"reduced": reduced}, evaluations=found))
    assert verdict.decision == decision, verdict.reason
    assert verdict.numbers["images at confidence 0, harmonic"] == zeros


def test_few_images_leave_a_small_difference_open(world, evaluations, inputs):
    """On ten images no difference between step schemes can be told from a point."""
    names, settings, _ = WHITE_BOX["c9"]
    verdict = claims.c9(inputs(settings=settings, evaluations=evaluations(world.but(images=10), *names)))
    assert verdict.decision == "inconclusive"
