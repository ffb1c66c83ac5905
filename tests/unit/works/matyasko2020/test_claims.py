"""Every check supports its claim in a world where it holds, and contradicts it where it does not."""

from __future__ import annotations

import pytest

MASKED, TRAINED = "mnist-linf-at", "cifar-linf-at"
WEAK = {"factors": {TRAINED: {"l2 PDGD-100": 2.0, "linf PDPGD-100": 2.0}}}

# By claim: settings, and the change of the world that breaks it.
CLAIMS = {
    "pdpgd-has-the-smallest-linf-norms-on-mnist": ({}, {"factors": {"mnist-l2-at": {"linf PDPGD-100": 1.2}}}),
    "pdpgd-has-the-smallest-linf-norms-on-cifar-10": (
        {},
        {"factors": {"cifar-plain": {"linf PDPGD-100": 1.2}}},
    ),
    "pdpgd-is-the-best-l1-attack": ({"gain": 0.25}, {"factors": {MASKED: {"l1 EAD": 1.1}}}),
    "pdpgd-is-strongest-in-l1-on-linf-trained-mnist": ({}, {"factors": {MASKED: {"l1 EAD": 0.8}}}),
    "one-run-of-pdpgd-beats-restarted-fab-in-l1": ({}, {"factors": {MASKED: {"l1 FAB-10": 1.3}}}),
    "pdpgd-needs-restarts-to-beat-ead-on-linf-trained-cifar-10": (
        {},
        {"factors": {TRAINED: {"l1 PDPGD-1": 1.06}}},
    ),
    "pdpgd-beats-ead-and-fab-on-l2-trained-cifar-10": ({}, {"factors": {"cifar-l2-at": {"l1 FAB-100": 0.9}}}),
    "ead-is-as-strong-as-fab-in-l1": ({}, {"factors": {TRAINED: {"l1 FAB-100": 1.0}}}),
    "pdpgd-changes-half-of-the-pixels-of-bb": ({}, {"factors": {"cifar-plain": {"l0 B&B": 1.5}}}),
    "pdpgd-is-strongest-in-l0-on-linf-trained-cifar-10": ({}, {"factors": {TRAINED: {"l0 B&B": 1.2}}}),
    "the-pixel-attack-stalls": ({"little": 0.05, "floor": 0.1}, {"stall": 9.0}),
    "pdpgd-is-best-in-l0-on-trained-mnist": ({"close": 0.1}, {"factors": {"mnist-plain": {"l0 B&B": 0.5}}}),
    "pdgd-is-the-best-l2-attack": ({}, {"factors": {"cifar-plain": {"l2 FAB-100": 3.0}}}),
    "primal-dual-attacks-are-strongest-on-linf-trained-cifar-10": ({}, WEAK),
    "good-attacks-agree-at-the-smallest-radius": (
        {"near": 0.15},
        {"levels": {f"{TRAINED} linf": 0.2, f"{TRAINED} l2": 0.2}},
    ),
    "deepfool-is-weakest-on-trained-models": ({}, {"factors": {TRAINED: {"l2 DF": 1.0}}}),
    "linf-trained-mnist-masks-its-gradients": (
        {"clear": 0.05, "rare": 0.02},
        {"failing": {f"{MASKED} l2-df": 0.0}},
    ),
    "bb-beats-ddn-beats-cw-on-linf-trained-mnist": ({}, {"factors": {"mnist-plain": {"l2 C&W": 1.3}}}),
    "cw-is-best-on-trained-cifar-10": ({}, {"factors": {TRAINED: {"l2 C&W": 1.5}}}),
    "daa-beats-pgd-on-linf-trained-mnist": ({}, {"factors": {MASKED: {"linf DAA-50": 1.3}}}),
    "daa-is-weak-on-trained-cifar-10": ({"much": 0.05}, {"factors": {TRAINED: {"linf DAA-50": 1.1}}}),
    "fab-is-weaker-than-pgd-near-the-training-radius": ({}, {"factors": {MASKED: {"linf FAB-100": 1.0}}}),
    "pgd-in-l2-saturates-on-trained-cifar-10": ({"much": 0.1}, {"factors": {TRAINED: {"l2 PGD-100": 1.1}}}),
    "linf-trained-mnist-is-less-robust-in-l1-and-l0": ({}, {"levels": {f"{MASKED} l0": 2.0}}),
    "restarts-help-most-where-gradients-are-masked": ({}, {"factors": {"mnist-plain": {"l1 PDPGD-1": 5.0}}}),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_is_supported_where_it_holds_and_contradicted_where_it_does_not(
    name, world, inputs_of, verdict_of
):
    settings, change = CLAIMS[name]
    for each, decision in ((world, "supported"), (world.but(**change), "contradicted")):
        verdict = verdict_of(inputs_of(name, each, scale="full", **settings))
        assert verdict.decision == decision, verdict.reason


def test_every_claim_of_the_chapter_is_tested(catalogues):
    claims = set(catalogues("full").works["matyasko2020"].chapters["primal_dual"].claims)
    assert claims == {*CLAIMS, "one-run-costs-as-much-as-pgd-at-five-radii"}


def test_what_the_configuration_sets_is_no_evidence(world, inputs_of, verdict_of):
    name = "one-run-costs-as-much-as-pgd-at-five-radii"
    assert verdict_of(inputs_of(name, world, scale="full")).decision == "by construction"
    assert verdict_of(inputs_of(name, world.but(steps=1000), scale="full")).decision == "contradicted"


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
