"""The high-confidence attack: Algorithm 1, and its closed form that can be differentiated."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from gauntlet.attacks import HighConfidence
from gauntlet.attacks.minimum_norm.high_confidence import nearest_boundary_class, unrolled_high_confidence


@pytest.fixture
def images():
    return 0.3 + 0.4 * torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def probability(model, images, classes):
    return model(images).softmax(1).gather(1, classes[:, None]).squeeze(1)


@torch.no_grad()
def test_a_linear_softmax_is_approached_from_below_and_reached_with_overshoot(affine_model, images):
    model, wanted = affine_model(48, classes=3), torch.full((6,), 0.9)
    aims = (model(images).argmax(1) + 1) % 3
    reached = [
        probability(
            model,
            unrolled_high_confidence(model, images, aims, wanted, steps=steps, overshoot=overshoot),
            aims,
        )
        for overshoot in (0.0, 0.02)
        for steps in (1, 3, 60)
    ]
    one, three, many = reached[:3]
    assert (one < 0.9).all() and (one < three).all() and (three < 0.9 + 1e-4).all()
    assert torch.allclose(many, wanted, atol=1e-3)
    assert (reached[-1] >= 0.9).all(), "with overshoot"
    assert (reached[-1] < 0.95).all()


def test_the_closed_form_and_algorithm_1_lead_to_the_same_images(affine_model, images):
    """Both ask for the clean confidence; small logits keep the points inside the image box."""
    model = affine_model(48, classes=3)
    with torch.no_grad():
        model.weight *= 0.5
        model.bias *= 0.5
        wanted, labels = model(images).softmax(1).max(1)
    aims = nearest_boundary_class(model, images, labels)
    attack = HighConfidence(steps=30, largest_step=None, overshoot=0.05)
    outcome = attack(model, images, labels)
    closed = unrolled_high_confidence(model, images, aims, wanted, steps=30, overshoot=0.05)
    assert torch.allclose(outcome.images, closed.detach(), atol=1e-5)
    assert torch.equal(outcome.columns["aim"], aims)
    assert outcome.columns["reached"].all()
    assert torch.equal(outcome.columns["prediction"], aims)
    assert (outcome.columns["prediction_confidence"] >= wanted - 1e-6).all()


def test_no_step_is_longer_than_its_bound_and_the_last_point_counts(affine_model, images):
    model = affine_model(48, classes=3)
    labels = model(images).argmax(1)
    outcome = HighConfidence(steps=2, largest_step=0.002, overshoot=0.0)(model, images, labels)
    assert torch.allclose(outcome.columns["l2"], torch.tensor(0.004), atol=1e-5)
    assert not outcome.columns["reached"].any()
    assert (outcome.columns["iterations"] == 2).all()


def test_images_stay_in_the_box(affine_model):
    model, images = affine_model(48, classes=3), torch.zeros(2, 3, 4, 4)
    outcome = HighConfidence(steps=50)(model, images, model(images).argmax(1))
    assert outcome.images.min() >= 0 and outcome.images.max() <= 1
    assert outcome.columns["l2"].min() > 0


def test_the_nearest_boundary_of_an_affine_model_is_that_of_the_smallest_distance(affine_model, images):
    model = affine_model(48, classes=4)
    logits, weight = model(images).detach(), model.weight.detach()
    for reference in (logits.argmax(1), torch.tensor([0, 1, 2, 3, 0, 1])):
        expected = []
        for row, own in enumerate(reference.tolist()):
            distances = {
                other: float(
                    (logits[row, other] - logits[row, own]).abs() / (weight[other] - weight[own]).norm()
                )
                for other in range(4)
                if other != own
            }
            expected.append(min(distances, key=distances.__getitem__))
        assert nearest_boundary_class(model, images, reference).tolist() == expected


def test_a_target_of_the_samples_is_the_aim(affine_model, images, batch_of):
    model = affine_model(48, classes=4)
    labels = model(images).argmax(1)
    targets = (labels + 2) % 4
    columns = HighConfidence(steps=200).run(model, batch_of(images, labels, targets=targets)).columns
    assert torch.equal(columns["aim"], targets)
    assert torch.equal(columns["prediction"], targets)


def test_a_misclassified_image_is_attacked_as_well(affine_model, images, batch_of):
    """It has to become a class other than its label, as surely as the network is of its mistake."""
    model = affine_model(48, classes=3)
    with torch.no_grad():
        model.weight *= 0.3
        model.bias *= 0.3
    predicted = model(images).argmax(1)
    wrong = batch_of(images, (predicted + 1) % 3)
    wanted = model(images).softmax(1).amax(1)
    columns = HighConfidence(steps=300).run(model, wrong).columns
    assert (columns["aim"] != wrong.labels).all()
    assert columns["reached"].all()
    assert torch.allclose(columns["wanted_confidence"], wanted, atol=1e-6)
    already = columns["aim"] == predicted
    assert torch.equal(columns["l2"] == 0, already)
    assert replace(wrong, labels=predicted).criterion.met_by(model(images)).logical_not().all()


@pytest.mark.parametrize("index", [0, 5, 17])
def test_the_gradient_in_a_weight_is_that_of_finite_differences(index):
    """In double precision, where no indicator changes and positions are differentiated as well."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    images = torch.rand(3, 1, 4, 4, dtype=torch.float64)
    direction = torch.randn(3, 1, 4, 4, dtype=torch.float64)
    aims = (model(images).argmax(1) + 1) % 3
    wanted = torch.full((3,), 0.999, dtype=torch.float64)
    weight = model[1].weight

    def value():
        moved = unrolled_high_confidence(
            model, images, aims, wanted, steps=3, overshoot=0.05, through_positions=True
        )
        return (moved * direction).sum()

    def soft_gates_only():
        """The straight-through estimate adds a term for gates that do not move; it is removed here."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(torch.Tensor, "sigmoid", lambda self: torch.zeros_like(self))
            return torch.autograd.grad(value(), weight)[0].flatten()[index]

    exact, step = soft_gates_only(), 1e-6
    with torch.no_grad():
        weight.view(-1)[index] += step
    above = value().detach()
    with torch.no_grad():
        weight.view(-1)[index] -= 2 * step
    below = value().detach()
    assert torch.isclose(exact, (above - below) / (2 * step), rtol=1e-4, atol=1e-7)


def test_the_indicator_has_the_gradient_of_a_sigmoid():
    """One step of a one-pixel network: the only dependence left through the gate is that of the sigmoid."""
    wanted, aims = torch.tensor([0.9]), torch.tensor([0])
    images = torch.tensor([[[[0.2]]]])
    network = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    moved = unrolled_high_confidence(network, images, aims, wanted, steps=1, overshoot=0.0)
    gradient = torch.autograd.grad(moved.sum(), network[1].bias)[0]

    bias = network[1].bias.detach().clone().requires_grad_()
    weight = network[1].weight.detach()
    logits = images.flatten(1) @ weight.T + bias
    log_p = logits.log_softmax(1)[:, 0]
    slope = (weight[0] - logits.softmax(1) @ weight).squeeze()
    move = (wanted.log() - log_p).abs() * slope / (slope.square() + 1e-8)
    soft = (wanted - log_p.exp()).sigmoid()
    gate = 1.0 + soft - soft.detach()
    assert torch.allclose(gradient, torch.autograd.grad((gate * move).sum(), bias)[0], rtol=1e-4)
