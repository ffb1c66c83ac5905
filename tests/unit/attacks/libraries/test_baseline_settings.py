"""The settings that the works give their baselines are those of the library's attacks."""

from __future__ import annotations

import pytest

from gauntlet.attacks.libraries.foolbox import FoolboxAttack
from gauntlet.contracts import PROCEDURES, Task

TASK = Task((1, 28, 28), 10)

# croce2019, section 5 (C&W with 40 search steps) and matyasko2020, section 5.4.
SETTINGS = {
    "carlini_wagner_l2": [
        {
            "binary_search_steps": 40,
            "steps": 10_000,
            "stepsize": 5e-3,
            "initial_const": 1e-2,
            "confidence": 0,
            "abort_early": True,
        },
        {
            "binary_search_steps": 9,
            "steps": 10_000,
            "stepsize": 0.01,
            "initial_const": 0.01,
            "confidence": 0,
            "abort_early": False,
        },
    ],
    "ddn": [{"steps": 1000, "init_epsilon": 1.0, "gamma": 0.05}],
    "elastic_net": [
        {
            "binary_search_steps": 9,
            "steps": 1000,
            "initial_stepsize": 0.01,
            "initial_const": 0.01,
            "regularization": 0.05,
            "decision_rule": "L1",
            "abort_early": False,
        }
    ],
    "deepfool_l2": [{"steps": 100, "candidates": 10, "overshoot": 0.05}, {"steps": 50, "overshoot": 0.02}],
    "deepfool_linf": [{"steps": 50, "overshoot": 0.02}],
    **{
        f"brendel_bethge_{norm}": [
            {"steps": 1000, "lr": 1.0, "lr_num_decay": decays, "momentum": 0.8, "overshoot": 1.1}
            for decays in (20, 100)
        ]
        for norm in ("linf", "l2", "l1", "l0")
    },
}
CASES = [(attack, settings) for attack, variants in SETTINGS.items() for settings in variants]


@pytest.mark.parametrize(("attack", "settings"), CASES)
def test_the_works_settings_are_settings_of_the_library(attack, settings):
    parsed = PROCEDURES.parse({"name": "foolbox", "attack": attack, "settings": settings})
    assert parsed.settings == settings
    assert parsed.cost(TASK).backward >= settings["steps"]


@pytest.mark.parametrize(
    ("attack", "settings", "norm"),
    [
        ("carlini_wagner_l2", SETTINGS["carlini_wagner_l2"][1] | {"steps": 60, "stepsize": 0.05}, "l2"),
        ("ddn", SETTINGS["ddn"][0] | {"steps": 100}, "l2"),
        ("elastic_net", SETTINGS["elastic_net"][0] | {"steps": 60, "initial_stepsize": 0.05}, "l1"),
        ("deepfool_l2", SETTINGS["deepfool_l2"][1] | {"candidates": 2}, "l2"),
        ("deepfool_linf", SETTINGS["deepfool_linf"][0] | {"candidates": 2}, "linf"),
    ],
)
def test_shortened_they_come_near_the_exact_distance_of_affine_classifiers(
    attack, settings, norm, margin_problem, exact_sizes
):
    model, batch = margin_problem(images=6, shape=(1, 6, 6))
    columns = FoolboxAttack(attack=attack, settings=settings).run(model, batch).columns
    assert columns["success"].all()
    ratio = columns[norm] / exact_sizes(model, batch, norm)
    assert ratio.min() > 1 - 1e-3
    assert ratio.mean() < 1.35
