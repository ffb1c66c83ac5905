"""Every check supports its claim in a world where it holds, and contradicts it where it does not."""

from __future__ import annotations

import pytest

TUNED = {"tuning": 20}
IMAGENET = ["resnet50", "inception"]
ALIKE = {"white_box": {"pgd": (0.24, 6, 0.9), "mi-fgsm": (0.24, 5, 0.9), "fw": (0.24, 3, 0.9)}}


def over(kind, **changes):
    """Change what attacks leave more than RayS on one kind of defence."""
    return {"over_rays": {kind: {key.replace("_", "-"): value for key, value in changes.items()}}}


# By claim: settings, what makes the world true, what makes it false.
CASES = {
    "iterative-attacks-reach-every-image": (
        {**TUNED, "level": 0.95, "points": 50},
        {},
        {"white_box": {"pgd": (0.8, 6, 0.98)}},
    ),
    "frank-wolfe-needs-the-fewest-iterations": (TUNED, {}, {"white_box": {"pgd": (1.0, 2, 0.98)}}),
    "frank-wolfe-perturbs-least": (TUNED, {}, {"white_box": {"fw": (1.0, 3, 1.0)}}),
    "pgd-and-mi-fgsm-fill-the-ball": (
        {**TUNED, "share": {"mnist": 0.9, "imagenet": 0.9}},
        {},
        {"white_box": {"pgd": (1.0, 6, 0.7)}},
    ),
    "iterative-attacks-are-alike-on-a-robust-network": (
        {**TUNED, "points": 3},
        ALIKE,
        {"white_box": {"pgd": (0.1, 6, 0.9)}},
    ),
    "frank-wolfe-succeeds-most-often-by-scores": ({}, {}, {"scores": {"bandits": (1.0, 30, 6000, 9.0)}}),
    "frank-wolfe-halves-the-queries": (
        {"share": 0.6},
        {},
        {"scores": {"fw-sphere": (0.99, 5000, 9500, 2.0)}},
    ),
    "sphere-and-gaussian-directions-are-alike": (
        {"ratio": 0.1, "points": 3},
        {},
        {"scores": {"fw-sphere": (0.6, 1000, 5000, 2.0)}},
    ),
    "bandit-is-quick-where-it-succeeds": ({}, {}, {"scores": {"bandits": (0.72, 9000, 9999, 9.0)}}),
    "bandit-leads-early-and-ends-last": ({}, {}, {"scores": {"bandits": (0.72, 4000, 6000, 9.0)}}),
    "frank-wolfe-takes-fewest-queries-on-a-robust-network": (
        {"points": 2},
        {"scores": {"nes": (0.1, 1000, 6000, 1.0), "bandits": (0.1, 30, 1500, 1.0)}},
        {"scores": {"fw-sphere": (0.01, 9000, 9500, 2.0)}},
    ),
    "rays-succeeds-most-often": (
        {},
        {},
        {"labels": {"sign-opt": (1.0, 2000, 9000), "rays": (0.9, 30, 1500)}},
    ),
    "only-rays-succeeds-on-imagenet": (
        {"below": 0.4, "above": 0.95},
        {},
        {"labels": {"opt": (0.6, 100, 4000)}},
    ),
    "rays-takes-the-fewest-queries": (
        {"hsja": dict.fromkeys(("mean", "median"), dict.fromkeys(IMAGENET, "below"))},
        {},
        {"labels": {"opt": (0.14, 10, 40)}},
    ),
    "sign-opt-takes-more-queries-than-opt": ({}, {}, {"labels": {"sign-opt": (0.3, 10, 20)}}),
    "pgd-reaches-every-undefended-image": ({"level": 0.95}, {}, {"pgd": 0.8}),
    "rays-is-far-below-hsja-on-defended-networks": ({}, {}, over("falsely", hsja=0.0)),
    "rays-finds-nearer-boundaries": (
        {"hsja": 0.8, "sign_opt": 0.5},
        {},
        {"distances": {"hsja": 0.5}, **over("falsely", hsja=0)},
    ),
    "rays-is-close-to-white-box-attacks-on-honest-defences": (
        {"points": 6},
        {},
        over("recognized", pgd_20=-0.2, pgd_100=-0.2),
    ),
    "rays-reveals-falsely-robust-networks": ({}, {}, over("falsely", pgd_20=0.0)),
    "rays-reverses-the-ranking-by-pgd": ({}, {}, {"robust": {"sense": 0.6}}),
    "falsely-robust-networks-have-equal-boundary-distances": (
        {"share": 0.35},
        {},
        {"robust": {"sense": 0.1}},
    ),
    "margin-attacks-reveal-feature-scattering": (
        {},
        {},
        over("falsely", cw_20=0.4),
    ),
    "even-hsja-goes-below-pgd": ({}, {}, over("falsely", hsja=0.5)),
    "rays-converges-in-a-quarter-of-its-queries": ({"share": 0.05, "points": 3}, {}, {"early": 1.5}),
    "other-attacks-use-the-whole-radius": ({"share": 0.95}, {}, {"filled": 0.8}),
    "rays-is-deterministic": ({}, {}, {"again": 1}),
}


NEEDS_MANY_IMAGES = {
    "iterative-attacks-are-alike-on-a-robust-network",
    "rays-is-close-to-white-box-attacks-on-honest-defences",
    "falsely-robust-networks-have-equal-boundary-distances",
}


@pytest.mark.parametrize("name", CASES)
def test_a_claim_is_supported_where_it_holds_and_contradicted_where_it_does_not(
    name, world, inputs_of, verdict_of
):
    settings, true, false = CASES[name]
    world = world.but(images=1500 if name in NEEDS_MANY_IMAGES else 600, **true)
    for each, decision in ((world, "supported"), (world.but(**false), "contradicted")):
        verdict = verdict_of(inputs_of(name, each, scale="full", **settings))
        assert verdict.decision == decision, verdict.reason


def test_every_claim_of_the_chapters_is_tested(catalogues):
    chapters = catalogues("full").works["chen2021"].chapters
    claims = {**chapters["frank_wolfe"].claims, **chapters["hard_label"].claims}
    assert set(claims) == {*CASES, "frank-wolfe-is-the-fastest-black-box-attack"}


def test_few_images_leave_a_small_difference_open(world, inputs_of, verdict_of):
    name = "rays-is-far-below-hsja-on-defended-networks"
    verdict = verdict_of(inputs_of(name, world.but(images=12), scale="full"))
    assert verdict.decision == "inconclusive"


@pytest.mark.parametrize(
    ("name", "methods", "decision"),
    [
        ("pgd-and-mi-fgsm-fill-the-ball", {"pgd": (1.0, 6, 0.7)}, "contradicted"),
        ("pgd-and-mi-fgsm-fill-the-ball", {}, "inconclusive"),
        ("pgd-and-mi-fgsm-fill-the-ball", {"pgd": (0.0, 6, 0.98)}, "not testable"),
        ("frank-wolfe-perturbs-least", {"fw": (1.0, 3, 1.0)}, "contradicted"),
        ("frank-wolfe-perturbs-least", {}, "inconclusive"),
        ("frank-wolfe-perturbs-least", {"fw": (0.0, 3, 0.5)}, "not testable"),
    ],
)
def test_an_attack_that_never_succeeds_hides_no_other_part(
    name, methods, decision, world, inputs_of, verdict_of
):
    never = world.but(white_box={"mi-fgsm": (0.0, 5, 0.97), **methods})
    settings, _, _ = CASES[name]
    assert verdict_of(inputs_of(name, never, scale="full", **settings)).decision == decision


def test_one_falsely_robust_network_says_nothing_about_several(world, inputs_of, verdict_of):
    name = "falsely-robust-networks-have-equal-boundary-distances"
    one = inputs_of(name, world, scale="full", falsely=["SENSE"])
    assert verdict_of(one).decision == "not testable"


def test_an_attack_that_never_succeeds_decides_nothing_about_its_queries(world, inputs_of, verdict_of):
    name = "sign-opt-takes-more-queries-than-opt"
    verdict = verdict_of(inputs_of(name, world.but(labels={"opt": (0.0, 100, 4000)})))
    assert verdict.decision == "inconclusive"
    assert "/opt never succeeded" in verdict.reason
