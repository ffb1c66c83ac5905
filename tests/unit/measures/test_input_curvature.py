"""The largest eigenvalue of the input Hessian against closed forms, the full Hessian and power iteration."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gauntlet.contracts import PROCEDURES, Task
from gauntlet.defences.starts import BackwardSmoothing, UniformStart
from gauntlet.measures.input_curvature import InputCurvature


def test_curvature_of_a_linear_two_class_network_has_a_closed_form(batch):
    """p (1 - p) ||w1 - w2||^2."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    p = model(batch.images).softmax(1)[:, 0]
    difference = model[1].weight[0] - model[1].weight[1]
    found = InputCurvature().run(model, batch).columns["curvature"]
    torch.testing.assert_close(found, (p * (1 - p) * difference.square().sum()).double())


def test_curvature_is_the_largest_eigenvalue_of_the_full_hessian_whatever_the_label(network, batch):
    found = InputCurvature().run(network, batch).columns["curvature"]
    for image, label, value in zip(batch.images, batch.labels, found, strict=True):
        for wanted in (label, (label + 1) % 4):

            def loss(pixels, wanted=wanted):
                return F.cross_entropy(network(pixels.view(1, 3, 8, 8)), wanted[None])

            hessian = torch.autograd.functional.hessian(loss, image.flatten())
            assert value.item() == pytest.approx(torch.linalg.eigvalsh(hessian)[-1].item(), rel=1e-3)


def test_power_iteration_on_hessian_vector_products_agrees(network, batch):
    found = InputCurvature().run(network, batch).columns["curvature"]
    leaf = batch.images.clone().requires_grad_()
    gradient = torch.autograd.grad(
        F.cross_entropy(network(leaf), batch.labels, reduction="sum"), leaf, create_graph=True
    )[0]
    vector = torch.randn(leaf.shape, generator=torch.Generator().manual_seed(0))
    for _ in range(100):
        vector = vector / vector.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        (product,) = torch.autograd.grad((gradient * vector).sum(), leaf, retain_graph=True)
        size = (product * vector).flatten(1).sum(1)
        vector = product
    torch.testing.assert_close(found, size.double(), rtol=1e-3, atol=1e-8)


def test_curvature_is_measured_where_the_start_leads(network, batch):
    start = UniformStart()
    points = start.points(network, replace(batch, generator=torch.Generator().manual_seed(3)), 0.2, 0.2)
    expected = InputCurvature().run(network, replace(batch, images=points)).columns["curvature"]
    moved = InputCurvature(start=start, eps=0.2).run(
        network, replace(batch, generator=torch.Generator().manual_seed(3))
    )
    torch.testing.assert_close(moved.columns["curvature"], expected)


def test_it_is_configured_with_a_start_and_counts_a_pass_back_for_each_class():
    measure = PROCEDURES.parse({"name": "input_curvature", "start": {"name": "backward_smoothing"}})
    assert measure == InputCurvature(start=BackwardSmoothing())
    assert measure.cost(Task((3, 32, 32), 10)).passes == 2 + 11
