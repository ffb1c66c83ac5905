"""Every check supports its claim in a world where it holds, and contradicts it where it does not."""

from __future__ import annotations

import pytest

from gauntlet.works.croce2019 import claims, claims_search

MODELS = tuple(
    f"{data}-{kind}" for data in ("mnist", "gts", "cifar") for kind in ("plain", "l2-at", "linf-at")
)
PROVABLE_KINDS = ("linf-mmr-at", "linf-kw", "l2-mmr-at", "l2-kw")
SETS = {"mnist": "MNIST", "gts": "GTS", "cifar": "CIFAR-10"}
PROVABLE_MNIST = tuple(f"provable-mnist-{kind}" for kind in PROVABLE_KINDS)
PROVABLE_CIFAR = tuple(f"provable-cifar-{kind}" for kind in PROVABLE_KINDS)
EQUAL = {"PGD-1": 1.0, "PGD-1k": 1.0, "PGD-10k": 1.0, "CW-10k": 1.0, "CW-100k": 1.0, "DF": 1.0}
ALL_WEAK = {name: 4.0 for name in EQUAL if name != "PGD-1k"}
WEAK_HERE = {"ours": 5.0}

THREE_SETS = {
    "c1": ({}, {"factors": {"gts-plain": WEAK_HERE}}),
    "c2": ({"near": 0.01}, {"factors": {"gts-plain": WEAK_HERE}}),
    "c3": ({"much": 0.2, "little": 0.3}, {"factors": {"gts-plain": WEAK_HERE}}),
    "c4": ({}, {"factors": {"mnist-linf-at": WEAK_HERE}}),
    "c5": ({"slightly": 0.3}, {"levels": {"mnist-linf-at": 4.0}}),
    "c7": ({}, {"factors": {"mnist-l2-at": {"PGD-10k": 1.4}}}),
    "c8": ({}, {"factors": {"gts-plain": WEAK_HERE}}),
    "c9": ({}, {"factors": dict.fromkeys(("gts-plain", "gts-l2-at", "gts-linf-at"), EQUAL)}),
    "c10": ({"little": 0.05}, {"factors": {"cifar-plain": WEAK_HERE}}),
    "c11": ({"much": 0.05}, {"factors": {"cifar-l2-at": EQUAL}}),
    "c12": ({}, {"factors": {"gts-plain": EQUAL, "gts-l2-at": EQUAL, "gts-linf-at": {**EQUAL, "ours": 2.0}}}),
    "c18": ({}, {"factors": {"mnist-linf-at": EQUAL}}),
    "c19": ({"little": 0.05}, {"factors": {"gts-plain": {"CW-10k": 2.0}}}),
    "c26": ({}, {"factors": {"mnist-linf-at": EQUAL, "mnist-plain": ALL_WEAK}}),
    "c27": ({}, {"levels": {"cifar-l2-at": 5.0, "cifar-linf-at": 5.0}}),
}  # fmt: skip
OTHERS = {
    "c13": (PROVABLE_MNIST, "provable", {}, {"factors": {PROVABLE_MNIST[2]: WEAK_HERE}}),
    "c14": (PROVABLE_CIFAR, "provable", {}, {"factors": {PROVABLE_CIFAR[2]: WEAK_HERE}}),
    "c15": (PROVABLE_MNIST, "provable", {"much": 0.05}, {"factors": dict.fromkeys(PROVABLE_MNIST, EQUAL)}),
    "c16": (PROVABLE_MNIST, "provable", {"much": 0.1}, {"factors": {PROVABLE_MNIST[1]: EQUAL}}),
    "c17": (
        ("large-plain", "large-linf-at"),
        "large",
        {"near": 0.05},
        {"factors": {"large-plain": {"PGD-1k": 3.0}}},
    ),
    "c23": (("cifar-plain",), "six", {}, {"passes": {"cw-100k": 1e6}}),
}
SEARCH = {
    "c20": ({"alike": 0.1}, {"early": {"q-1.0": 0.5}}),
    "c21": ({"alike": 0.1, "few": 15}, {"finals": {"sweeps-mnist/gamma-5": 1.5}}),
    "c22": ({"alike": 0.1}, {"finals": {"sweeps-gts/q-0.9": 1.5}}),
}


def verdicts(check, world, change, evaluations, inputs, names, settings, **parts):
    """Check a claim in a world and in the changed world."""
    for each in (world, world.but(**change)):
        yield check(inputs(settings=settings, evaluations=evaluations(each, *names), **parts))


@pytest.mark.parametrize("name", THREE_SETS)
def test_a_claim_about_the_three_data_sets_follows_the_data(name, world, columns, evaluations, inputs):
    settings, change = THREE_SETS[name]
    world = world.but(levels={"cifar-l2-at": 1.2, "cifar-linf-at": 1.0})
    settings = {"attacks": columns["six"], "datasets": SETS, **settings}
    held, broken = verdicts(getattr(claims, name), world, change, evaluations, inputs, MODELS, settings)
    assert held.decision == "supported", held.reason
    assert broken.decision == "contradicted", broken.reason


@pytest.mark.parametrize("name", OTHERS)
def test_a_claim_about_other_models_follows_the_data(name, world, columns, evaluations, inputs):
    names, attacks, settings, change = OTHERS[name]
    dataset = "MNIST" if names == PROVABLE_MNIST else "CIFAR-10"
    prefix = names[0].rsplit("-linf-mmr-at", 1)[0] if "provable" in names[0] else names[0].split("-")[0]
    settings = {"attacks": columns[attacks], "datasets": {prefix: dataset}, **settings}
    held, broken = verdicts(getattr(claims, name), world, change, evaluations, inputs, names, settings)
    assert held.decision == "supported", held.reason
    assert broken.decision == "contradicted", broken.reason


@pytest.mark.parametrize("name", SEARCH)
def test_a_claim_about_the_search_follows_the_data(name, world, columns, evaluations, inputs):
    settings, change = SEARCH[name]
    names = ("sweeps-mnist", "sweeps-gts")
    check = getattr(claims_search, name)
    held, broken = verdicts(check, world, change, evaluations, inputs, names, settings)
    assert held.decision == "supported", held.reason
    assert broken.decision == "contradicted", broken.reason


def test_large_regions_hold_points_far_from_the_start(world, evaluations, inputs):
    settings, names = {"share": 0.1, "tolerance": 0.01}, ("path-gts-plain", "path-gts-l2-at")
    held, broken = verdicts(claims_search.c24, world, {"within": 0.99}, evaluations, inputs, names, settings)
    assert held.decision == "supported", held.reason
    assert broken.decision == "contradicted", broken.reason


def test_the_literature_is_beaten_or_not(world, columns, evaluations, inputs, published):
    settings = {"attacks": columns["six"], "datasets": SETS}
    held, broken = verdicts(
        claims.c6, world.but(levels={"mnist-linf-at": 0.7}), {"levels": {"mnist-linf-at": 3.0}}, evaluations, inputs,
        ("mnist-linf-at",), settings, published=published("text_numbers.csv"),
    )  # fmt: skip
    assert held.decision == "supported", held.reason
    assert broken.decision == "contradicted", broken.reason


def test_a_rise_with_the_radius_contradicts(world, columns, evaluations, inputs):
    settings = {"attacks": columns["six"], "datasets": SETS}
    names = ("mnist-plain",)
    results = evaluations(world, *names)
    assert claims.c28(inputs(settings=settings, evaluations=results)).decision == "supported"
    frame = results["mnist-plain"].frame
    frame.loc[frame["procedure"] == "pgd-2.5", "restart"] = -1
    assert claims.c28(inputs(settings=settings, evaluations=results)).decision == "contradicted"


def test_the_predecessor_is_not_here(inputs):
    assert claims.c25(inputs()).decision == "not testable"
