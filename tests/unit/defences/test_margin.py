"""Margin maximization against closed forms, finite differences and the robust hinge that it bounds."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from gauntlet.contracts import DEFENCES, Batch, Progress
from gauntlet.defences.margin import Margin, multiclass_hinge, sensitivities
from gauntlet.errors import ConfigurationError

START = Progress(0, 1, 0, 10)
SETTINGS = [("l2", 2), ("l2", 1), ("l1", 1)]


@pytest.fixture
def linear():
    """Two classes, f = f_1 - f_0 = w'x + b with the difference of the rows."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 2)).double()


def double(batch):
    return Batch(batch.images.double(), batch.labels % 2, batch.indices, batch.generator)


def parameter_gradients(model, loss):
    return torch.cat([each.flatten() for each in torch.autograd.grad(loss.value, list(model.parameters()))])


@pytest.mark.parametrize(("norm", "power"), SETTINGS)
@pytest.mark.parametrize("maximum", ["danskin", "exact"])
def test_the_penalty_of_a_linear_classifier_is_that_of_its_weights(norm, power, maximum, linear, gray_batch):
    batch = double(gray_batch())
    w = linear[1].weight[1] - linear[1].weight[0]
    expected = torch.linalg.vector_norm(w, 2 if norm == "l2" else 1) ** power
    loss = Margin(strength=0.3, norm=norm, power=power, maximum=maximum).loss(linear, batch, START)
    torch.testing.assert_close(loss.parts["sensitivity"], expected)
    y = 2.0 * batch.labels - 1
    f = linear(batch.images)[:, 1] - linear(batch.images)[:, 0]
    torch.testing.assert_close(loss.value, (1 - y * f).clamp(min=0).mean() + 0.3 * expected)


@pytest.mark.parametrize(("norm", "power"), SETTINGS)
@pytest.mark.parametrize("classification", ["hinge", "cross_entropy"])
def test_parameter_gradients_match_finite_differences(norm, power, classification, smooth_model, gray_batch):
    model, batch = smooth_model.double(), gray_batch()
    batch = Batch(batch.images.double(), batch.labels, batch.indices, batch.generator)
    defence = Margin(strength=0.5, norm=norm, power=power, classification=classification)
    gradient = parameter_gradients(model, defence.loss(model, batch, START))
    generator = torch.Generator().manual_seed(3)
    direction = torch.randn(len(gradient), generator=generator, dtype=torch.float64)
    start = nn.utils.parameters_to_vector(model.parameters()).detach()
    values = []
    for step in (1e-6, -1e-6):
        nn.utils.vector_to_parameters(start + step * direction, model.parameters())
        values.append(defence.loss(model, batch, START).value.item())
    assert gradient @ direction == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5)


def test_the_penalty_changes_the_gradient_of_the_first_layer(smooth_model, gray_batch):
    batch = gray_batch()
    without, with_penalty = (
        parameter_gradients(smooth_model, Margin(strength=strength).loss(smooth_model, batch, START))
        for strength in (0.0, 1.0)
    )
    hidden = 36 * 16
    assert (with_penalty[:hidden] - without[:hidden]).norm() > 0.1 * without[:hidden].norm()


@pytest.mark.parametrize(("norm", "power"), SETTINGS)
def test_both_ways_to_the_maximum_have_one_gradient(norm, power, smooth_model, gray_batch):
    found = [
        parameter_gradients(
            smooth_model,
            Margin(strength=1.0, norm=norm, power=power, maximum=maximum).loss(
                smooth_model, gray_batch(), START
            ),
        )
        for maximum in ("danskin", "exact")
    ]
    torch.testing.assert_close(*found)


def test_the_sensitivity_is_the_jacobian_projected_on_the_last_layer(smooth_model, gray_batch):
    """Section 3.4: grad f_y - grad f_j = (w_y - w_j) J of the layer before; the largest of the wrong classes."""
    batch = gray_batch()
    points = batch.images.clone().requires_grad_()
    found = sensitivities(points, smooth_model(points), batch.labels, "l2")
    features, last = smooth_model[:-1], smooth_model[-1].weight
    for image, label, value in zip(batch.images, batch.labels, found, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda x: features(x[None])[0], image).flatten(1)
        norms = ((last[label] - last) @ jacobian).norm(dim=1)
        assert value.item() == pytest.approx(norms.max().item(), rel=1e-4)


@pytest.mark.parametrize(("norm", "ball"), [("l2", "l2"), ("l1", "linf")])
def test_the_objective_bounds_the_robust_hinge_and_meets_it_where_the_hinge_is_active(
    norm, ball, linear, gray_batch
):
    """Theorem 3.4.1 for a linear f: the exact worst case is (1 - yf + C||w||)_+."""
    batch, radius = double(gray_batch(200)), 0.7
    w = (linear[1].weight[1] - linear[1].weight[0]).detach()
    y = 2.0 * batch.labels - 1
    step = w / w.norm() if ball == "l2" else w.sign()
    worst = (batch.images.flatten(1) - radius * y[:, None] * step).view_as(batch.images)
    with torch.no_grad():
        exact = multiclass_hinge(linear(worst), batch.labels)
        hinge = multiclass_hinge(linear(batch.images), batch.labels)
    bound = hinge + radius * torch.linalg.vector_norm(w, 2 if norm == "l2" else 1)
    objective = Margin(strength=radius, norm=norm, power=1).loss(linear, batch, START).value
    assert objective.item() == pytest.approx(bound.mean().item())
    assert (exact <= bound + 1e-12).all()
    active = hinge > 0
    assert active.any() and not active.all()
    torch.testing.assert_close(exact[active], bound[active])
    assert (exact[~active] < bound[~active]).all()
    random = torch.randn(100, 36, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for direction in random / (
        random.norm(dim=1, keepdim=True) if ball == "l2" else random.abs().amax(1, True)
    ):
        moved = batch.images + radius * direction.view(1, 1, 6, 6)
        assert (multiclass_hinge(linear(moved), batch.labels) <= exact + 1e-12).all()


def test_a_dead_network_has_no_penalty_and_finite_gradients(gray_batch):
    dead = nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():
        dead[1].bias.fill_(-100)
    for norm, power in SETTINGS:
        loss = Margin(strength=1.0, norm=norm, power=power).loss(dead, gray_batch(), START)
        assert loss.parts["sensitivity"] == 0
        assert parameter_gradients(dead, loss).isfinite().all()


def test_the_loss_leaves_weights_and_mode_as_they_were(smooth_model, gray_batch):
    before = copy.deepcopy(smooth_model.state_dict())
    Margin(strength=1.0).loss(smooth_model, gray_batch(), START)
    assert smooth_model.training
    assert all(torch.equal(before[name], each) for name, each in smooth_model.state_dict().items())


def test_the_square_of_an_l1_norm_is_refused():
    with pytest.raises(ConfigurationError, match="power"):
        DEFENCES.parse({"name": "margin", "strength": 0.01, "norm": "l1"})
