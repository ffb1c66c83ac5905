"""Every check supports its claim in a world where it holds, and contradicts it where it does not."""

from __future__ import annotations

import pytest

from gauntlet.works.matyasko2020 import claims_minimal_norms

MASKED, TRAINED = "mnist-linf-at", "cifar-linf-at"
MNIST = ("mnist-plain", "mnist-linf-at", "mnist-l2-at")
CIFAR = ("cifar-plain", "cifar-linf-at", "cifar-l2-at")
BOTH_TRAINED = ("cifar-linf-at", "cifar-l2-at")
WEAK = {"factors": {TRAINED: {"l2 PDGD-100": 2.0, "linf PDPGD-100": 2.0}}}

# Claim: models, whether attacks in a ball matter, settings, and the change that breaks it.
CLAIMS = {
    "c1": (MNIST, False, {}, {"factors": {"mnist-l2-at": {"linf PDPGD-100": 1.2}}}),
    "c2": (CIFAR, False, {}, {"factors": {"cifar-plain": {"linf PDPGD-100": 1.2}}}),
    "c3": (MNIST + CIFAR, False, {"gain": 0.25}, {"factors": {MASKED: {"l1 EAD": 1.1}}}),
    "c4": ((MASKED,), True, {}, {"factors": {MASKED: {"l1 EAD": 0.8}}}),
    "c5": ((MASKED,), True, {}, {"factors": {MASKED: {"l1 FAB-10": 1.3}}}),
    "c6": ((TRAINED,), True, {}, {"factors": {TRAINED: {"l1 PDPGD-1": 1.06}}}),
    "c7": (("cifar-l2-at",), True, {}, {"factors": {"cifar-l2-at": {"l1 FAB-100": 0.9}}}),
    "c8": ((TRAINED,), True, {}, {"factors": {TRAINED: {"l1 FAB-100": 1.0}}}),
    "c9": (CIFAR, False, {}, {"factors": {"cifar-plain": {"l0 B&B": 1.5}}}),
    "c10": ((TRAINED,), True, {}, {"factors": {TRAINED: {"l0 B&B": 1.2}}}),
    "c11": (BOTH_TRAINED, True, {"little": 0.05, "floor": 0.1}, {"stall": 9.0}),
    "c12": (MNIST, False, {"close": 0.1}, {"factors": {"mnist-plain": {"l0 B&B": 0.5}}}),
    "c13": (MNIST + CIFAR, True, {}, {"factors": {"cifar-plain": {"l2 FAB-100": 3.0}}}),
    "c14": ((TRAINED,), True, {}, WEAK),
    "c15": ((TRAINED,), True, {"near": 0.15}, {"levels": {f"{TRAINED} linf": 0.2, f"{TRAINED} l2": 0.2}}),
    "c16": (MNIST + CIFAR, False, {}, {"factors": {TRAINED: {"l2 DF": 1.0}}}),
    "c17": (MNIST, False, {"clear": 0.05, "rare": 0.02}, {"failing": {f"{MASKED} l2-df": 0.0}}),
    "c18": (MNIST, False, {}, {"factors": {"mnist-plain": {"l2 C&W": 1.3}}}),
    "c19": (CIFAR, False, {}, {"factors": {TRAINED: {"l2 C&W": 1.5}}}),
    "c20": ((MASKED,), True, {}, {"factors": {MASKED: {"linf DAA-50": 1.3}}}),
    "c21": (BOTH_TRAINED, True, {"much": 0.05}, {"factors": {TRAINED: {"linf DAA-50": 1.1}}}),
    "c22": ((MASKED,), True, {}, {"factors": {MASKED: {"linf FAB-100": 1.0}}}),
    "c23": (BOTH_TRAINED, True, {"much": 0.1}, {"factors": {TRAINED: {"l2 PGD-100": 1.1}}}),
    "c24": (MNIST, False, {}, {"levels": {f"{MASKED} l0": 2.0}}),
    "c25": (MNIST, True, {}, {"factors": {"mnist-plain": {"l1 PDPGD-1": 5.0}}}),
    "c26": ((MASKED,), True, {}, {"steps": 1000}),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_follows_the_data(name, world, evaluations, inputs, settings, with_fixed):
    names, in_ball, own, change = CLAIMS[name]
    check = getattr(claims_minimal_norms, name)
    names = with_fixed(*names) if in_ball else names
    held, broken = (
        check(inputs(settings={**settings, **own}, evaluations=evaluations(each, *names)))
        for each in (world, world.but(**change))
    )
    assert held.decision == "supported", held.reason
    assert broken.decision == "contradicted", broken.reason


def test_more_restarts_that_leave_more_images_contradict(world, evaluations, inputs, settings, with_fixed):
    worse = world.but(factors={"mnist-plain": {"linf FAB-100": 3.0}})
    results = evaluations(worse, *with_fixed(*MNIST))
    verdict = claims_minimal_norms.c25(inputs(settings=settings, evaluations=results))
    assert verdict.decision == "contradicted", verdict.reason


@pytest.mark.parametrize(("name", "names"), [("c9", CIFAR), ("c10", (TRAINED,)), ("c18", MNIST)])
def test_a_comparison_with_an_attack_that_was_not_run_is_not_made(
    name, names, world, evaluations, inputs, settings, with_fixed
):
    short = world.but(left_out=tuple(f"{norm}-bb" for norm in ("linf", "l2", "l1", "l0")))
    results = evaluations(short, *with_fixed(*names))
    verdict = getattr(claims_minimal_norms, name)(inputs(settings=settings, evaluations=results))
    assert verdict.decision == ("not testable" if name == "c9" else "supported")
    assert "B&B" in verdict.reason
    assert "not run at this scale" in verdict.reason


def test_a_few_images_do_not_decide(world, evaluations, inputs, settings):
    few = world.but(images=12, factors={"mnist-plain": {"linf FAB-100": 1.0001, "linf B&B": 1.0}})
    results = evaluations(few, "mnist-plain")
    verdict = claims_minimal_norms.c1(inputs(settings=settings, evaluations=results))
    assert verdict.decision in ("inconclusive", "contradicted")
