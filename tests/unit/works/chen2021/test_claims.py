"""Every check supports its claim in a world where it holds, and contradicts it where it does not."""

from __future__ import annotations

import pytest

from gauntlet.works.chen2021 import claims_frank_wolfe, claims_hard_label

BOTH, QUERIES = ("white-box-mnist", "white-box-imagenet"), ("queries-mnist", "queries-imagenet")
ALL_LABELS = ("labels-mnist", "labels-cifar10", "labels-resnet50", "labels-inception")
NAMES = ("adversarial-training", "trades", "sense", "feature-scattering", "adversarial-interpolation")
DEFENDED = tuple(f"robust-{name}" for name in NAMES)
TUNED = {"tuning": 20}
ROLES = {"falsely": list(NAMES[2:]), "recognized": list(NAMES[:2])}
ALIKE = {"white_box": {"pgd": (0.24, 6, 0.9), "mi-fgsm": (0.24, 5, 0.9), "fw": (0.24, 3, 0.9)}}


def over(kind, **changes):
    """Change what attacks leave more than RayS on one kind of defence."""
    return {"over_rays": {kind: {key.replace("_", "-"): value for key, value in changes.items()}}}


CHAPTER_2 = {
    "c1": (BOTH, {**TUNED, "level": 0.95, "points": 50}, {}, {"white_box": {"pgd": (0.8, 6, 0.98)}}),
    "c2": (BOTH, TUNED, {}, {"white_box": {"pgd": (1.0, 2, 0.98)}}),
    "c3": (BOTH, TUNED, {}, {"white_box": {"fw": (1.0, 3, 1.0)}}),
    "c4": (
        BOTH,
        {**TUNED, "share": {"white-box-mnist": 0.9, "white-box-imagenet": 0.9}},
        {},
        {"white_box": {"pgd": (1.0, 6, 0.7)}},
    ),
    "c5": (("white-box-robust",), {**TUNED, "points": 3}, ALIKE, {"white_box": {"pgd": (0.1, 6, 0.9)}}),
    "c6": (QUERIES, {}, {}, {"scores": {"bandits": (1.0, 30, 6000, 9.0)}}),
    "c7": (QUERIES, {"share": 0.6}, {}, {"scores": {"fw-sphere": (0.99, 5000, 9500, 2.0)}}),
    "c8": (
        QUERIES,
        {"ratio": 0.1, "points": 3},
        {},
        {"scores": {"fw-sphere": (0.6, 1000, 5000, 2.0)}},
    ),
    "c9": (QUERIES, {}, {}, {"scores": {"bandits": (0.72, 9000, 9999, 9.0)}}),
    "c10": (QUERIES, {}, {}, {"scores": {"bandits": (0.72, 4000, 6000, 9.0)}}),
    "c11": (QUERIES, {}, {}, {"scores": {"nes": (0.88, 2500, 9000, 1.0)}}),
    "c12": (
        ("queries-robust",),
        {"points": 2},
        {"scores": {"nes": (0.1, 1000, 6000, 1.0), "bandits": (0.1, 30, 1500, 1.0)}},
        {"scores": {"fw-sphere": (0.01, 9000, 9500, 2.0)}},
    ),
}
CHAPTER_3 = {
    "c13": (ALL_LABELS, {}, {}, {"labels": {"sign-opt": (1.0, 2000, 9000), "rays": (0.9, 30, 1500)}}),
    "c14": (ALL_LABELS[2:], {"below": 0.4, "above": 0.95}, {}, {"labels": {"opt": (0.6, 100, 4000)}}),
    "c15": (
        ALL_LABELS,
        {"hsja": {"mean": list(ALL_LABELS[2:]), "median": list(ALL_LABELS[2:])}},
        {},
        {"labels": {"opt": (0.14, 10, 40)}},
    ),
    "c16": (ALL_LABELS, {}, {}, {"labels": {"sign-opt": (0.3, 10, 20)}}),
    "c17": (ALL_LABELS, {"level": 0.95}, {}, {"pgd": 0.8}),
    "c18": (DEFENDED, {"points": 10}, {}, over("falsely", hsja=0.0)),
    "c19": (
        DEFENDED,
        {"hsja": 0.8, "sign_opt": 0.5},
        {},
        {"distances": {"hsja": 0.5}, **over("falsely", hsja=0)},
    ),
    "c20": (
        DEFENDED[:2],
        {"recognized": list(NAMES[:2]), "points": 6},
        {},
        over("recognized", pgd_20=-0.2, pgd_100=-0.2),
    ),
    "c21": (DEFENDED, {**ROLES, "points": 5}, {}, over("falsely", pgd_20=0.0)),
    "c22": (DEFENDED, ROLES, {}, {"robust": {"sense": 0.6}}),
    "c23": (DEFENDED, {**ROLES, "share": 0.35}, {}, {"robust": {"sense": 0.1}}),
    "c24": (
        ("robust-feature-scattering",),
        {"defence": "feature-scattering", "points": 5},
        {},
        over("falsely", cw_20=0.4),
    ),
    "c25": (DEFENDED[3:], {"defences": list(NAMES[3:])}, {}, over("falsely", hsja=0.5)),
    "c26": (DEFENDED, {"share": 0.05, "points": 3}, {}, {"early": 1.5}),
    "c27": (DEFENDED, {"share": 0.95}, {}, {"filled": 0.8}),
    "c28": (("labels-mnist",), {}, {}, {"again": 1}),
}


@pytest.mark.parametrize("name", [*CHAPTER_2, *CHAPTER_3])
def test_a_claim_follows_the_data(name, world, evaluations, inputs):
    module, cases = (claims_frank_wolfe, CHAPTER_2) if name in CHAPTER_2 else (claims_hard_label, CHAPTER_3)
    names, settings, held, broken = cases[name]
    check = getattr(module, name)
    world = world.but(images=1500 if name in ("c20", "c23", "c5") else 600, **held)
    verdict = check(inputs(settings=settings, evaluations=evaluations(world, *names)))
    assert verdict.decision == "supported", verdict.reason
    verdict = check(inputs(settings=settings, evaluations=evaluations(world.but(**broken), *names)))
    assert verdict.decision == "contradicted", verdict.reason


def test_few_images_leave_a_small_difference_open(world, evaluations, inputs):
    found = evaluations(world.but(images=12), *DEFENDED)
    verdict = claims_hard_label.c18(inputs(settings={"points": 10}, evaluations=found))
    assert verdict.decision == "inconclusive"


def test_one_falsely_robust_network_says_nothing_about_several(world, evaluations, inputs):
    found = evaluations(world, *DEFENDED)
    settings = {"falsely": ["adversarial-interpolation"], "share": 0.1}
    assert claims_hard_label.c23(inputs(settings=settings, evaluations=found)).decision == "not testable"


def test_an_attack_that_never_succeeds_decides_nothing_about_its_queries(world, evaluations, inputs):
    found = evaluations(world.but(labels={"opt": (0.0, 100, 4000)}), "labels-mnist")
    verdict = claims_hard_label.c16(inputs(evaluations=found))
    assert verdict.decision == "inconclusive"
    assert "opt never succeeded" in verdict.reason
