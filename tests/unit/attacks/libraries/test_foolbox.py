from __future__ import annotations

import importlib.util
import inspect
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from gauntlet.attacks.libraries.foolbox import BASELINES, FoolboxAttack
from gauntlet.contracts import PROCEDURES, Task
from gauntlet.errors import ConfigurationError, ResourceUnavailable

DUAL = {"linf": 1, "l2": 2, "l1": float("inf")}
SHORT = {"binary_search_steps": 4, "steps": 60}


def predicted(model, batch):
    """The batch with the network's own predictions for labels, so that every image starts out right."""
    return replace(batch, labels=model(batch.images).argmax(1))


def exact_distance(model, images, norm):
    """Distance to the boundary of an affine two-class model: |f1 - f0| / dual norm of w1 - w0."""
    w = model.weight[1] - model.weight[0]
    logits = model(images)
    return ((logits[:, 1] - logits[:, 0]).abs() / w.norm(DUAL[norm])).detach()


TASK = Task((1, 28, 28), 10)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_deepfool_finds_the_exact_distance_of_an_affine_model(norm, affine_model, random_batch):
    """It overshoots by 2 % and 1e-4."""
    model, batch = affine_model(), random_batch(16, shape=(3, 4, 4), margin=0.4)
    batch = predicted(model, batch)
    found = FoolboxAttack(attack=f"deepfool_{norm}").run(model, batch)
    assert found.columns["success"].all()
    distance = exact_distance(model, batch.images, norm)
    slack = 1e-4 * 1.02 * (48 if norm == "linf" else 1)
    assert (found.columns[norm] >= distance).all()
    assert (found.columns[norm] <= 1.02 * distance * (1 + 1e-4) + slack).all()


@pytest.mark.parametrize(
    ("attack", "norm", "settings"),
    [
        ("carlini_wagner_l2", "l2", {"steps": 200, "initial_const": 1.0}),
        ("ddn", "l2", {"steps": 300}),
        ("elastic_net", "l1", {**SHORT, "steps": 300, "initial_const": 1.0, "decision_rule": "L1"}),
    ],
)
def test_attack_comes_near_the_exact_distance_of_an_affine_model(
    attack, norm, settings, affine_model, random_batch
):
    model, batch = affine_model(), random_batch(8, shape=(3, 4, 4), margin=0.4)
    batch = predicted(model, batch)
    found = FoolboxAttack(attack=attack, settings=settings).run(model, batch).columns
    distance = exact_distance(model, batch.images, norm)
    assert found["success"].all()
    assert (found[norm] >= distance * (1 - 1e-4)).all()
    assert (found[norm] / distance).median() < (2.0 if norm == "l1" else 1.05)


def test_radius_bounds_the_result(cnn, random_batch):
    batch = predicted(cnn, random_batch(16))
    free = FoolboxAttack(attack="deepfool_l2").run(cnn, batch).columns
    eps = free["l2"].median().item()
    bound = FoolboxAttack(attack="deepfool_l2", eps=eps).run(cnn, batch).columns
    assert (bound["l2"] <= eps * (1 + 1e-5)).all()
    assert 0 < bound["success"].sum() < free["success"].sum()


def test_failed_images_stay_clean(cnn, random_batch):
    batch = predicted(cnn, random_batch(16))
    found = FoolboxAttack(attack="deepfool_l2", eps=1e-6).run(cnn, batch)
    assert not found.columns["success"].any()
    assert torch.equal(found.images, batch.images)


def test_targeted_attack_reaches_its_target(cnn, random_batch):
    batch = random_batch(8, targeted=True)
    found = FoolboxAttack(attack="ddn", settings={"steps": 200}).run(cnn, batch).columns
    assert torch.equal(found["success"], found["prediction"] == batch.targets)
    assert found["success"].any()


def test_passes_are_counted_and_leave_no_gradients(cnn, random_batch):
    calls: list[int] = []
    handle = cnn.register_forward_hook(lambda *_: calls.append(1))
    found = FoolboxAttack(attack="ddn", settings={"steps": 7}).perturb(cnn, random_batch())
    handle.remove()
    assert found.queries.tolist() == [len(calls)] * 6
    assert found.columns["backward_passes"].tolist() == [7] * 6
    assert all(parameter.grad is None and parameter.requires_grad for parameter in cnn.parameters())


def test_global_generators_are_left_as_they_were(cnn, random_batch):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    FoolboxAttack(attack="ddn", settings={"steps": 2}).run(cnn, random_batch())
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("name", BASELINES)
def test_settings_and_defaults_are_those_of_the_installed_foolbox(name):
    import foolbox

    plan = BASELINES[name]
    parameters = inspect.signature(getattr(foolbox.attacks, plan.kind).__init__).parameters
    assert plan.defaults.items() <= {key: entry.default for key, entry in parameters.items()}.items()
    assert set(parameters) - set(plan.defaults) <= {"self", "init_attack", "tensorboard"}


def test_cost_bounds_the_passes(cnn, random_batch):
    for attack, settings in (
        ("deepfool_linf", {"steps": 5, "candidates": 4}),
        ("elastic_net", SHORT),
        ("ddn", {}),
    ):
        procedure = FoolboxAttack(attack=attack, settings=settings)
        found = procedure.perturb(cnn, random_batch())
        assert found.queries.max() + 1 <= procedure.cost(TASK).forward
        assert found.columns["backward_passes"].max() <= procedure.cost(TASK).backward


@pytest.fixture
def solvers(monkeypatch):
    """Foolbox's Brendel & Bethge solvers, uncompiled where numba is absent."""
    from foolbox.attacks import brendel_bethge

    if importlib.util.find_spec("numba") is None:
        monkeypatch.setattr(brendel_bethge, "NUMBA_IMPORT_ERROR", None)
        monkeypatch.setattr(brendel_bethge, "numba", SimpleNamespace(__version__="0"), raising=False)


@pytest.mark.usefixtures("solvers")
def test_brendel_bethge_comes_near_the_exact_distance_of_an_affine_model(affine_model, random_batch):
    model, batch = affine_model(), random_batch(3, shape=(3, 4, 4), margin=0.4)
    batch = predicted(model, batch)
    attack = FoolboxAttack(attack="brendel_bethge_linf", settings={"steps": 20, "lr": 0.01})
    found = attack.run(model, batch).columns
    assert found["success"].all()
    assert (found["linf"] / exact_distance(model, batch.images, "linf")).median() < 1.1


@pytest.mark.usefixtures("solvers")
def test_brendel_bethge_starts_from_another_image_where_noise_fools_nobody(batch_of):
    """Class 1 needs a mean pixel above 0.9, which uniform noise never has; one image of the batch has it."""

    class Bright(torch.nn.Module):
        def forward(self, images):
            mean = images.flatten(1).mean(1)
            return torch.stack([torch.full_like(mean, 0.9), mean], 1)

    images = torch.stack([torch.full((1, 6, 6), gray) for gray in (0.5, 0.6, 0.95)])
    attack = FoolboxAttack(attack="brendel_bethge_linf", settings={"steps": 3, "lr": 0.01})
    with_help = attack.run(Bright(), batch_of(images, torch.tensor([0, 0, 1]))).columns
    assert with_help["success"].tolist() == [True, True, True]
    assert with_help["linf"][1].item() == pytest.approx(0.3, abs=0.05)
    alone = attack.run(Bright(), batch_of(images[:2], torch.tensor([0, 0])))
    assert not alone.columns["success"].any()
    assert torch.equal(alone.images, images[:2])


def test_missing_numba_is_named(monkeypatch, cnn, random_batch):
    from foolbox.attacks import brendel_bethge

    monkeypatch.setattr(brendel_bethge, "NUMBA_IMPORT_ERROR", ModuleNotFoundError("no", name="numba"))
    with pytest.raises(ResourceUnavailable, match="numba"):
        FoolboxAttack(attack="brendel_bethge_l2").run(cnn, random_batch())


def test_unknown_names_are_refused_with_the_valid_ones():
    with pytest.raises(ConfigurationError, match="deepfool_l2"):
        PROCEDURES.parse({"name": "foolbox", "attack": "deepfol_l2"})
    with pytest.raises(ConfigurationError, match="overshoot"):
        PROCEDURES.parse({"name": "foolbox", "attack": "deepfool_l2", "settings": {"overshot": 0.1}})


def test_settings_survive_the_way_through_a_configuration():
    attack = FoolboxAttack(attack="ddn", settings={"steps": 1000, "gamma": 0.05}, eps=0.5)
    assert PROCEDURES.parse(PROCEDURES.dump(attack)) == attack
    assert PROCEDURES.dump(attack)["settings"] == {"steps": 1000, "gamma": 0.05}
