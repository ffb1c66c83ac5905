"""What the printed tables cannot show of the checks: few images, and attacks that never succeed."""

from __future__ import annotations

import pytest


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
    assert verdict_of(inputs_of(name, never, scale="full", tuning=20, printed={})).decision == decision


def test_one_falsely_robust_network_says_nothing_about_several(world, inputs_of, verdict_of):
    name = "falsely-robust-networks-have-equal-boundary-distances"
    one = inputs_of(name, world, scale="full", falsely=["SENSE"])
    assert verdict_of(one).decision == "not testable"


def test_an_attack_that_never_succeeds_decides_nothing_about_its_queries(world, inputs_of, verdict_of):
    name = "sign-opt-takes-more-queries-than-opt"
    verdict = verdict_of(inputs_of(name, world.but(labels={"opt": (0.0, 100, 4000)})))
    assert verdict.decision == "inconclusive"
    assert "/opt never succeeded" in verdict.reason
