"""Every check supports its claim in a world where it holds, and contradicts it where it does not."""

from __future__ import annotations

import pytest

EQUAL = {"PGD-1": 1.0, "PGD-1k": 1.0, "PGD-10k": 1.0, "CW-10k": 1.0, "CW-100k": 1.0, "DF": 1.0}
ALL_WEAK = {name: 4.0 for name in EQUAL if name != "PGD-1k"}
WEAK_HERE = {"ours": 5.0}
GTS = ("gts-plain", "gts-l2-at", "gts-linf-at")
PROVABLE_MNIST = tuple(f"provable-mnist-{kind}" for kind in ("linf-mmr-at", "linf-kw", "l2-mmr-at", "l2-kw"))

# By claim: settings, what makes the world true, what makes it false.
CASES = {
    "linear-regions-have-the-smallest-largest-gap": ({}, {}, {"factors": {"gts-plain": WEAK_HERE}}),
    "linear-regions-have-the-smallest-mean-gap": ({}, {}, {"factors": {"gts-plain": WEAK_HERE}}),
    "only-linear-regions-never-overestimate-by-much": (
        {"much": 0.2, "little": 0.3}, {}, {"factors": {"gts-plain": WEAK_HERE}}
    ),
    "linear-regions-win-everywhere-against-linf-training": (
        {}, {}, {"factors": {"mnist-linf-at": WEAK_HERE}}
    ),
    "linf-training-adds-little-l2-robustness": (
        {"slightly": 0.3}, {}, {"levels": {"mnist-linf-at": 4.0}}
    ),
    "linear-regions-beat-eleven-attacks-of-the-literature": (
        {}, {"levels": {"mnist-linf-at": 0.7}}, {"levels": {"mnist-linf-at": 3.0}}
    ),
    "restarted-pgd-is-stronger-on-the-l2-trained-mnist-model": (
        {}, {}, {"factors": {"mnist-l2-at": {"PGD-10k": 1.4}}}
    ),
    "linear-regions-are-best-or-tied-on-gts": ({}, {}, {"factors": {"gts-plain": WEAK_HERE}}),
    "linear-regions-gain-two-points-on-gts": ({}, {}, {"factors": dict.fromkeys(GTS, EQUAL)}),
    "linear-regions-are-close-to-the-best-on-cifar-10": (
        {"little": 0.05}, {}, {"factors": {"cifar-plain": WEAK_HERE}}
    ),
    "pgd-is-poor-at-large-radii-on-the-l2-trained-cifar-10-model": (
        {"much": 0.05}, {}, {"factors": {"cifar-l2-at": EQUAL}}
    ),
    "deepfool-has-the-largest-mean-gap": (
        {}, {}, {"factors": {"gts-plain": EQUAL, "gts-l2-at": EQUAL, "gts-linf-at": {**EQUAL, "ours": 2.0}}}
    ),
    "linear-regions-are-best-on-provable-mnist-models": (
        {}, {}, {"factors": {PROVABLE_MNIST[2]: WEAK_HERE}}
    ),
    "linear-regions-are-best-or-tied-on-provable-cifar-10-models": (
        {}, {}, {"factors": {"provable-cifar-l2-mmr-at": WEAK_HERE}}
    ),
    "linear-regions-gain-most-on-a-provable-model": (
        {"much": 0.03}, {}, {"factors": dict.fromkeys(PROVABLE_MNIST, EQUAL)}
    ),
    "cw-fails-on-the-linf-kw-model": ({"much": 0.1}, {}, {"factors": {PROVABLE_MNIST[1]: EQUAL}}),
    "linear-regions-equal-pgd-on-large-models": (
        {"near": 0.05}, {}, {"factors": {"large-plain": {"PGD-1k": 3.0}}}
    ),
    "restarts-help-most-on-the-linf-trained-mnist-model": ({"much": 0.1}, {}, {"factors": {"mnist-linf-at": EQUAL}}),
    "more-iterations-give-cw-nothing": (
        {"little": 0.05}, {}, {"factors": {"gts-plain": {"CW-10k": 2.0}}}
    ),
    "the-bias-q-hardly-matters": ({}, {}, {"early": {"q-1.0": 0.5}}),
    "only-gamma-1-on-mnist-is-worse": ({}, {}, {"finals": {"sweeps-mnist/gamma-5": 1.5}}),
    "q-and-gamma-reach-the-same-statistics": ({}, {}, {"finals": {"sweeps-gts/q-0.9": 1.5}}),
    "attacks-rank-by-cost-as-in-the-text": (
        {}, {"passes": {"pgd-0.1": 900}}, {"passes": {"pgd-0.1": 900, "cw-100k": 1e6}}
    ),
    "linear-regions-are-large": ({}, {}, {"within": 0.99}),
    "gradients-mislead-most-against-linf-training": (
        {}, {}, {"factors": {"mnist-linf-at": EQUAL, "mnist-plain": ALL_WEAK}}
    ),
    "cifar-10-models-are-less-robust-than-mnist-models": (
        {}, {}, {"levels": {"cifar-l2-at": 9.0, "cifar-linf-at": 9.0}}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_claim_is_supported_where_it_holds_and_contradicted_where_it_does_not(
    name, world, inputs_of, verdict_of
):
    settings, true, false = CASES[name]
    for change, decision in ((true, "supported"), (false, "contradicted")):
        verdict = verdict_of(inputs_of(name, world.but(**change), scale="full", **settings))
        assert verdict.decision == decision, verdict.reason


def test_a_rise_with_the_radius_contradicts(world, inputs_of, verdict_of):
    name = "robust-accuracy-never-rises-with-the-radius"
    inputs = inputs_of(name, world, scale="full")
    assert verdict_of(inputs).decision == "supported"
    inputs = inputs_of(name, world, scale="full")
    frame = inputs.results.tables["mnist-plain"].frame
    frame.loc[frame["procedure"] == "pgd-2.5", "restart"] = -1
    assert verdict_of(inputs).decision == "contradicted"


def test_every_claim_of_the_work_is_tested(catalogues):
    claims = catalogues("full").works["croce2019"].content.claims
    testable = {name for name, claim in claims.items() if not claim.untestable}
    assert testable == {*CASES, "robust-accuracy-never-rises-with-the-radius"}
    assert set(claims) - testable == {"the-solver-is-faster-than-its-predecessor"}
