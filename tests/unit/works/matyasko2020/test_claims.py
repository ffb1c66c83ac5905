"""What the printed tables cannot show of the checks: rivals that were not run, ties, few images."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("name", "decision"),
    [
        ("pdpgd-changes-half-of-the-pixels-of-bb", "not testable"),
        ("pdpgd-is-strongest-in-l0-on-linf-trained-cifar-10", "inconclusive"),
        ("bb-beats-ddn-beats-cw-on-linf-trained-mnist", "inconclusive"),
        ("pdpgd-is-strongest-in-l1-on-linf-trained-mnist", "inconclusive"),
        ("pdgd-is-the-best-l2-attack", "inconclusive"),
    ],
)
def test_a_ranking_without_one_of_its_rivals_is_not_decided_for_it(
    name, decision, world, inputs_of, verdict_of
):
    short = world.but(left_out=tuple(f"{norm}-bb" for norm in ("linf", "l2", "l1", "l0")))
    verdict = verdict_of(inputs_of(name, short, scale="full"))
    assert verdict.decision == decision
    assert "B&B" in verdict.reason
    assert "not run at this scale" in verdict.reason


def test_a_few_images_do_not_decide(world, inputs_of, verdict_of):
    name = "pdpgd-has-the-smallest-linf-norms-on-mnist"
    few = world.but(images=12, factors={"mnist-plain": {"linf FAB-100": 1.0001, "linf B&B": 1.0}})
    verdict = verdict_of(inputs_of(name, few, scale="full"))
    assert verdict.decision in ("inconclusive", "contradicted")


@pytest.mark.parametrize(
    ("name", "rival"),
    [
        ("pdpgd-is-strongest-in-l1-on-linf-trained-mnist", "l1 PDPGD-10"),
        ("daa-beats-pgd-on-linf-trained-mnist", "linf PGD-100"),
    ],
)
def test_attacks_that_leave_the_same_images_decide_nothing(name, rival, world, inputs_of, verdict_of):
    best = {"l1 PDPGD-10": 1.0, "linf PGD-100": 1.03}[rival]
    level = world.but(factors={"mnist-linf-at": {rival: best}})
    assert verdict_of(inputs_of(name, world, scale="full")).decision == "supported"
    assert verdict_of(inputs_of(name, level, scale="full")).decision == "inconclusive"


def test_few_images_on_which_attacks_agree_do_not_show_that_they_agree(world, inputs_of, verdict_of):
    name = "good-attacks-agree-at-the-smallest-radius"
    near = world.but(levels={"cifar-linf-at linf": 0.05, "cifar-linf-at l2": 0.05})
    assert verdict_of(inputs_of(name, near, scale="full")).decision == "supported"
    assert verdict_of(inputs_of(name, near.but(images=12), scale="full")).decision == "inconclusive"
