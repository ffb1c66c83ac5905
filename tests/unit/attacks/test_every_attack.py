"""Claims that hold for every registered attack."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from gauntlet.attacks import MiFgsm, RayS
from gauntlet.attacks.base import Attack
from gauntlet.contracts import PROCEDURES, ThreatModel
from gauntlet.errors import ConfigurationError

BALL = {"linf": 0.3, "l2": 1.0, "l1": 5.0}

# Small settings of every attack, with its threat model.
CASES = [
    *(
        (settings, ThreatModel("fixed_budget", "white-box", norm, eps, norm))
        for norm, eps in BALL.items()
        for settings in (
            {"name": "pgd", "norm": norm, "eps": eps, "steps": 2},
            {"name": "scheduled_ascent", "norm": norm, "eps": eps, "steps": 2, "decay": "harmonic"},
            {"name": "frank_wolfe", "norm": norm, "eps": eps, "steps": 2},
            {"name": "apgd", "norm": norm, "eps": eps, "steps": 5},
        )
    ),
    *(
        (
            {"name": "reference_noise", "kind": "boundary", "norm": norm, "eps": eps},
            ThreatModel("reference", "none", norm, eps, norm),
        )
        for norm, eps in BALL.items()
    ),
    *(
        (
            {"name": "pgd_with_restarts", "norm": norm, "eps": BALL[norm], "step_size": 0.1, "steps": 3},
            ThreatModel("fixed_budget", "white-box", norm, BALL[norm], norm),
        )
        for norm in ("linf", "l2")
    ),
    (
        {"name": "sparse_pgd", "eps": 5.0, "step_size": 1.0, "steps": 3},
        ThreatModel("fixed_budget", "white-box", "l1", 5.0, "l1"),
    ),
    *(
        (settings, ThreatModel("fixed_budget", "white-box", "linf", 0.3, "linf"))
        for settings in (
            {"name": "mi_fgsm", "eps": 0.3, "steps": 3, "step_size": 0.1},
            {"name": "daa", "eps": 0.3, "steps": 3, "step_size": 0.1},
            {"name": "auto_attack", "norm": "linf", "eps": 0.3},
        )
    ),
    *(
        (settings, ThreatModel("minimum_norm", "white-box", norm, None, norm))
        for norm in BALL
        for settings in (
            {"name": "fab", "norm": norm, "start_radius": 0.3, "steps": 4},
            {"name": "pdpgd", "norm": norm, "steps": 20},
        )
    ),
    *(
        (settings, ThreatModel("minimum_norm", "white-box", "l2", None, "l2"))
        for settings in (
            {"name": "pdgd", "steps": 20},
            {"name": "deepfool", "steps": 5, "clip": 0.5},
            {"name": "carlini_wagner", "steps": 20, "searches": 3, "initial_weight": 1.0},
            {"name": "high_confidence", "steps": 20},
            {"name": "lbfgs", "iterations": 10, "searches": 4},
            {"name": "linear_region", "starts": 1, "regions": 2, "solver_steps": 20},
        )
    ),
    *(
        (settings, ThreatModel("minimum_norm", "white-box", "l0", None, "pixels"))
        for settings in (
            {"name": "pdpgd", "norm": "l0", "steps": 20},
            {"name": "jsma"},
            {"name": "sparsefool", "steps": 3},
        )
    ),
    *(
        (
            {"name": "foolbox", "attack": attack, "settings": {"steps": 5}},
            ThreatModel("minimum_norm", "white-box", norm, None, "pixels" if norm == "l0" else norm),
        )
        for attack, norm in {
            "deepfool_l2": "l2",
            "deepfool_linf": "linf",
            "carlini_wagner_l2": "l2",
            "elastic_net": "l1",
            "ddn": "l2",
            "brendel_bethge_linf": "linf",
            "brendel_bethge_l2": "l2",
            "brendel_bethge_l1": "l1",
            "brendel_bethge_l0": "l0",
        }.items()
    ),
    (
        {"name": "foolbox", "attack": "ddn", "settings": {"steps": 5}, "eps": 0.5},
        ThreatModel("fixed_budget", "white-box", "l2", 0.5, "l2"),
    ),
    *(
        (settings | {"eps": 0.3, "budget": 30}, ThreatModel("score_based", "scores", "linf", 0.3, "linf"))
        for settings in (
            {"name": "bandits", "tiles": 4},
            {"name": "bobyqa", "subproblem_size": 4, "grids": (2,), "starts": (0,)},
            {"name": "frank_wolfe_blackbox", "pairs": 3},
            {"name": "nattack", "population": 5},
            {"name": "nes", "pairs": 3},
            {"name": "sign_hunter"},
            {"name": "square"},
        )
    ),
    *(
        (
            settings | {"eps": 0.3, "budget": 100},
            ThreatModel("decision_based", "labels", "linf", 0.3, "best_linf"),
        )
        for settings in (
            {"name": "rays"},
            {"name": "opt"},
            {"name": "sign_opt", "probes": 10},
            {"name": "hop_skip_jump", "initial_probes": 10},
        )
    ),
    (
        {"name": "one_pixel", "pixels": 2, "population": 10, "generations": 2},
        ThreatModel("score_based", "scores", "l0", 2, "pixels"),
    ),
    ({"name": "watermark", "cell": 1, "budget": 20}, ThreatModel("score_based", "scores", None, None, "l2")),
]


def each(cases):
    names = [
        "-".join(value for value in settings.values() if isinstance(value, str)) for settings, _ in cases
    ]
    return pytest.mark.parametrize(("settings", "threat_model"), cases, ids=names)


# The compiler of these takes a minute; they have tests of their own.
QUICK = [case for case in CASES if not case[0].get("attack", "").startswith("brendel_bethge")]


@pytest.fixture
def network():
    """A random ten-class network of ReLU type for 1x8x8 images."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10)
    ).eval()


@pytest.fixture
def batch(network, batch_of):
    """Four images with the network's own labels, and one with another label."""
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        labels = network(images).argmax(1)
    labels[2] = (labels[2] + 1) % 10
    return batch_of(images, labels)


def test_no_attack_is_left_out():
    attacks = {name for name in PROCEDURES.names() if issubclass(PROCEDURES.get(name), Attack)}
    assert {settings["name"] for settings, _ in CASES} == attacks


@each(CASES)
def test_an_attack_has_the_threat_model_of_its_settings(settings, threat_model):
    assert PROCEDURES.parse(settings).threat_model == threat_model


@each(QUICK)
def test_the_threat_models_distance_is_a_column_within_the_radius(settings, threat_model, network, batch):
    outcome = PROCEDURES.parse(settings).run(network, batch)
    sizes = outcome.columns[threat_model.distance]
    assert sizes.shape == (5,)
    if threat_model.radius is not None:
        bounded = outcome.columns.get("success_in_budget", slice(None))
        assert (sizes[bounded] <= threat_model.radius * (1 + 1e-5)).all()


def test_certificates_and_measures_have_no_threat_model():
    assert PROCEDURES.parse({"name": "clean"}).threat_model is None


UNTARGETED = ("fab", "apgd", "auto_attack", "deepfool", "sparsefool", "linear_region")


@each(QUICK)
def test_success_is_another_class_than_the_label_where_there_are_no_targets(
    settings, threat_model, network, batch
):
    columns = PROCEDURES.parse(settings).run(network, batch).columns
    assert torch.equal(columns["success"], columns["prediction"] != batch.labels)


@each(QUICK)
def test_success_is_the_target_where_there_is_one(settings, threat_model, network, batch):
    attack = PROCEDURES.parse(settings)
    targeted = replace(batch, targets=(batch.labels + 3) % 10)
    if settings["name"] in UNTARGETED or "deepfool" in settings.get("attack", ""):
        with pytest.raises(ConfigurationError, match="targets"):
            attack.run(network, targeted)
    else:
        columns = attack.run(network, targeted).columns
        assert torch.equal(columns["success"], columns["prediction"] == targeted.targets)


@each(QUICK)
def test_no_attack_sends_the_network_a_batch_without_images(settings, threat_model, network, batch):
    attack, sizes = PROCEDURES.parse(settings), []
    network.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    usual = attack.run(network, batch)
    misclassified = replace(batch, labels=(network(batch.images).argmax(1) + 1) % 10)
    found = attack.run(network, misclassified)
    assert min(sizes) > 0
    assert found.columns["success"].all() or settings["name"] in (
        "pgd",
        "scheduled_ascent",
        "reference_noise",
    )
    assert found.columns.keys() == usual.columns.keys()

    sizes.clear()
    nothing = attack.run(network, batch.select(torch.arange(0)))
    assert sizes == []
    assert all(len(column) == 0 for column in nothing.columns.values())


def test_confidence_is_a_lead_in_logits_that_a_success_has(network, batch):
    attack = MiFgsm(eps=0.5, steps=20, step_size=0.05)
    sure = replace(batch, confidence=0.3)
    outcome = attack.run(network, sure)
    lead = -sure.criterion.margin(network(outcome.images))
    assert torch.equal(outcome.columns["success"], lead >= 0.3)
    assert outcome.columns["success"].any()
    assert (attack.run(network, batch).columns["iterations"] <= outcome.columns["iterations"]).all()


def test_an_attack_that_sees_the_class_only_refuses_confidence(network, batch):
    with pytest.raises(ConfigurationError, match="confidence"):
        RayS(eps=0.3, budget=10).run(network, replace(batch, confidence=0.3))
