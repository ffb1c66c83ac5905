"""The attacks of Carlini & Wagner and of Szegedy et al. where the smallest perturbation is known."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from gauntlet.attacks import CarliniWagner, Lbfgs
from gauntlet.attacks.minimum_norm.carlini_wagner import lead_for
from gauntlet.errors import ConfigurationError


@pytest.fixture
def images():
    return 0.2 + 0.6 * torch.rand(4, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def distance_to_boundary(model, images):
    """Of a two-class affine model."""
    gap = model(images)[:, 1] - model(images)[:, 0]
    return (gap.abs() / (model.weight[1] - model.weight[0]).norm()).detach()


@pytest.mark.parametrize(
    ("attack", "slack"),
    [
        (CarliniWagner(steps=200, searches=10, abort_early=False), 0.02),
        (CarliniWagner(steps=200, searches=10), 0.05),
        (Lbfgs(iterations=50, searches=20), 0.02),
    ],
    ids=["cw", "cw, early end", "lbfgs"],
)
def test_on_an_affine_model_the_smallest_perturbation_is_the_distance(affine_model, images, attack, slack):
    model = affine_model(48)
    columns = attack(model, images, model(images).argmax(1)).columns
    distance = distance_to_boundary(model, images)
    assert columns["success"].all()
    assert (columns["l2"] >= distance - 1e-5).all()
    assert (columns["l2"] <= (1 + slack) * distance + 0.005).all()


@pytest.mark.parametrize("attack", [CarliniWagner(steps=100, searches=8), Lbfgs(iterations=30, searches=12)])
def test_a_target_is_reached(affine_model, images, batch_of, attack):
    model = affine_model(48, classes=4)
    labels = model(images).argmax(1)
    targets = (labels + 2) % 4
    outcome = attack.run(model, batch_of(images, labels, targets=targets))
    assert outcome.columns["success"].all()
    assert torch.equal(outcome.columns["prediction"], targets)


def test_a_lead_of_5_14_implies_a_probability_of_095_among_ten_classes():
    assert lead_for(0.95, 10) == pytest.approx(5.14, abs=0.005)
    logits = torch.zeros(1, 10)
    logits[0, 3] = lead_for(0.95, 10)
    assert F.softmax(logits, 1)[0, 3] == pytest.approx(0.95, abs=1e-6), "the worst case: all others level"
    spread = torch.linspace(-4, 0, 10)[None].clone()
    spread[0, 3] = spread[0].amax() + lead_for(0.95, 10)
    assert F.softmax(spread, 1)[0, 3] > 0.95


def test_a_wanted_probability_is_kept_and_not_overshot(affine_model, images, batch_of):
    model = affine_model(48, classes=10)
    labels = model(images).argmax(1)
    targets = (labels + 1) % 10
    batch = batch_of(images, labels, targets=targets)
    sure, near = (
        CarliniWagner(steps=200, searches=8, probability=probability).run(model, batch).columns
        for probability in (0.95, None)
    )
    assert (sure["prediction_confidence"] >= 0.95 - 1e-5).all()
    assert (sure["prediction_confidence"] < 0.97).all(), "more than wanted costs length"
    assert (sure["l2"] > near["l2"]).all()


def test_an_image_has_its_result_whoever_is_in_its_batch(affine_model, images):
    model = affine_model(48, classes=3)
    labels = model(images).argmax(1)
    attack = CarliniWagner(steps=60, searches=5)
    together, alone = attack(model, images, labels), attack(model, images[:1], labels[:1])
    assert torch.allclose(together.columns["l2"][:1], alone.columns["l2"], atol=1e-5)


def test_lbfgs_refuses_a_confidence(affine_model, images):
    model = affine_model(48)
    with pytest.raises(ConfigurationError, match="confidence"):
        Lbfgs()(model, images, model(images).argmax(1), confidence=1.0)
