"""Frozen networks and the quadratic programs on their regions, for every kind of layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import LinearConstraint, minimize
from torch import nn
from torch.nn import functional as F

from gauntlet.attacks.linear_regions.other_class_starts import other_class_starts
from gauntlet.attacks.linear_regions.piecewise_affine import Regions
from gauntlet.attacks.linear_regions.region_qp import Programs, layer_scales, pose, solve, squared_norm
from gauntlet.contracts import LabelledImages
from gauntlet.errors import GauntletError


class Residual(nn.Module):
    """Pre-activation residual block with batch norm, leaky ReLU and a widened average-pool shortcut."""

    def __init__(self):
        super().__init__()
        self.norm, self.conv1 = nn.BatchNorm2d(2), nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, bias=False)

    def forward(self, x):
        out = self.conv2(F.leaky_relu(self.conv1(F.leaky_relu(self.norm(x), 0.1)), 0.1))
        out += F.pad(F.avg_pool2d(x, 2), (0, 0, 0, 0, 1, 1))
        return out


class DenseBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(5, 2, 3, padding=1)

    def forward(self, x):
        x = torch.cat([x, torch.relu(self.conv1(x))], 1)
        return torch.cat([x, self.conv2(x).relu()], 1)


class Centred(nn.Module):
    """Subtract the image's own mean, divide by a constant: affine, and maps constants to zero."""

    def forward(self, x):
        return (x - x.mean((1, 2, 3), keepdim=True)) / 0.21


NETWORKS = {
    "dense": lambda: [
        nn.Flatten(),
        nn.Linear(16, 12),
        nn.ReLU(),
        nn.Linear(12, 8),
        nn.ReLU(),
        nn.Linear(8, 3),
    ],
    "convolution": lambda: [
        nn.ZeroPad2d((0, 1, 0, 1)),
        nn.Conv2d(1, 3, 3, stride=2),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(12, 3),
    ],
    "batch norm": lambda: [
        nn.Conv2d(1, 3, 2, stride=2, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(12, 3),
    ],
    "residual": lambda: [
        Centred(),
        nn.Conv2d(1, 2, 3, padding=1),
        Residual(),
        nn.LeakyReLU(0.1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    ],
    "dense block": lambda: [
        nn.Conv2d(1, 2, 3, stride=2, padding=1),
        DenseBlock(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(28, 3),
    ],
    "max-pool": lambda: [
        nn.Conv2d(1, 3, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(12, 3),
    ],
    "overlapping max-pool": lambda: [
        nn.Conv2d(1, 2, 3, padding=1),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.Flatten(),
        nn.Linear(8, 3),
    ],
    "average-pool": lambda: [
        nn.Conv2d(1, 3, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(12, 3),
    ],
}


def build(layers: list[nn.Module], seed: int = 0) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A network whose three classes all occur on uniform 4x4 images, with such images and its answers."""
    torch.manual_seed(seed)
    network = nn.Sequential(*layers)
    for module in network.modules():
        for name, value in list(module.named_parameters(recurse=False)) + list(
            module.named_buffers(recurse=False)
        ):
            if value.is_floating_point():
                # Spread out; variances and scales stay positive.
                noise = torch.rand_like(value) + 0.5 if "var" in name else torch.randn_like(value)
                value.data = (
                    noise / value[0].numel() ** 0.5
                    if value.dim() > 1
                    else 0.3 * noise + 0.7 * ("var" in name)
                )
    network.eval()
    images = torch.rand(300, 1, 4, 4)
    with torch.no_grad():
        network[-1].weight /= network(images).std(0)[:, None]
        network[-1].bias -= network(images).mean(0)
        labels = network(images).argmax(1)
    assert labels.bincount(minlength=3).min() > 5
    return network, images, labels


@pytest.fixture(params=NETWORKS)
def kind(request):
    return request.param


@pytest.fixture
def network(kind):
    return build(NETWORKS[kind]())


def boundary(network, images, labels, count=4):
    """Starts on the decision boundary, whose regions the boundary crosses."""
    return other_class_starts(network, images[:count], labels[:count], LabelledImages(images, labels), 1)


def programs_at(network, starts, labels, generator):
    regions = Regions.at(network, starts.points)
    scales = layer_scales(regions, starts.points, generator)
    sources = labels[starts.image]
    with torch.no_grad():
        # The likeliest wrong class, whichever way rounding decides on the boundary.
        targets = network(starts.points).scatter(1, sources[:, None], -torch.inf).argmax(1)
    return pose(regions, starts.points, sources, targets, scales, 75.0)


def explicit(programs: Programs, row: int) -> tuple[np.ndarray, np.ndarray]:
    """A and b of one program, from finite evaluations of its constraints at 0 and the unit vectors."""
    alone = programs.select(torch.full((17,), row))
    points = torch.cat([torch.zeros(1, 16), torch.eye(16)]).view(17, 1, 4, 4)
    values = alone.constraints(points).detach().double()
    return (values[1:] - values[0]).T.numpy(), -values[0].numpy()


def test_the_frozen_network_is_the_real_one_at_its_reference_point_and_all_over_its_region(network):
    model, images, _ = network
    regions = Regions.at(model, images[:50])
    rows, logits = regions.evaluate(images[:50])
    torch.testing.assert_close(logits, model(images[:50]), atol=1e-5, rtol=1e-4)
    assert max(row.max() for row in rows) <= 0
    inside_seen = 0
    for radius in (0.003, 0.03, 0.1):
        points = images[:50] + radius * torch.randn(50, 1, 4, 4)
        rows, logits = regions.evaluate(points)
        inside = torch.stack([(row <= 0).all(1) for row in rows]).all(0)
        inside_seen += int(inside.sum())
        torch.testing.assert_close(logits[inside], model(points)[inside], atol=1e-4, rtol=1e-4)
        # The hash tells the same regions apart as the constraints do.
        assert (Regions.at(model, points).keys() == regions.keys()).tolist() == inside.tolist()
    assert 25 < inside_seen < 150


def test_forward_and_backward_products_belong_to_one_matrix(network):
    model, images, labels = network
    generator = torch.Generator().manual_seed(0)
    programs = programs_at(model, boundary(model, images, labels), labels, generator)
    u = torch.randn(4, 1, 4, 4, requires_grad=True)
    value = programs.constraints(u)
    w = torch.randn(value.shape)
    (transposed,) = torch.autograd.grad(value, u, w)
    product = (value - programs.constraints(torch.zeros(4, 1, 4, 4))).detach()
    torch.testing.assert_close((product * w).sum(1), (u * transposed).flatten(1).sum(1), rtol=1e-3, atol=1e-3)
    eigenvalue = squared_norm(programs, u.detach(), generator, steps=40)
    for row in range(4):
        exact = np.linalg.norm(explicit(programs, row)[0], 2) ** 2
        assert exact <= eigenvalue[row] <= 1.06 * exact


def test_the_solver_agrees_with_a_reference_solver(network, kind):
    model, images, labels = network
    generator = torch.Generator().manual_seed(0)
    starts = boundary(model, images, labels)
    x = images[starts.image]
    programs = programs_at(model, starts, labels, generator)
    # The residual network's pooled layer makes its programs ill-conditioned.
    steps, tolerance = (1500, 0.03) if kind == "residual" else (1000, 0.01)
    found = solve(programs, x, torch.full((4,), 1e3), generator, steps)
    optima = []
    for row in range(4):
        matrix, offset = explicit(programs, row)
        target = x[row].flatten().double().numpy()
        # The reference point is feasible up to the rounding of the boundary search.
        reference = minimize(
            lambda z, target=target: ((z - target) ** 2).sum() / 2,
            starts.points[row].flatten().double().numpy(),
            jac=lambda z, target=target: z - target,
            bounds=[(0, 1)] * 16,
            constraints=LinearConstraint(matrix, ub=offset),
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 500},
        )
        assert reference.success
        assert (matrix @ reference.x - offset).max() < 1e-6
        optima.append(reference.fun)
    optima = torch.tensor(optima)
    torch.testing.assert_close(found.values.double(), optima, rtol=tolerance, atol=5e-4)
    assert (found.values <= optima + 2e-4).all()
    distance = (found.points - x).flatten(1).norm(dim=1).double()
    torch.testing.assert_close(distance, (2 * optima).sqrt(), rtol=0.05, atol=1e-3)


@pytest.mark.parametrize("kind", ["dense", "max-pool"])
def test_a_bound_below_the_optimum_ends_a_program_and_one_above_does_not(kind):
    model, images, labels = build(NETWORKS[kind]())
    generator = torch.Generator().manual_seed(0)
    starts = boundary(model, images, labels)
    x = images[starts.image]
    programs = programs_at(model, starts, labels, generator)
    distance = (2 * solve(programs, x, torch.full((4,), 1e3), generator, steps=600).values).sqrt()
    below = solve(programs, x, 0.9 * distance, generator, steps=600)
    assert below.hopeless.all()
    assert (below.iterations < 600).all()
    assert not solve(programs, x, 1.1 * distance, generator, steps=600).hopeless.any()


def test_a_region_that_the_decision_boundary_misses_is_found_hopeless_at_any_bound():
    """Two units cut the plane far from the boundary; the dual of the empty program grows without end."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 1), nn.ReLU(), nn.Linear(1, 2))
    model[1].weight.data = torch.ones(1, 16) / 16
    model[1].bias.data = torch.tensor([-0.5])
    model[3].weight.data, model[3].bias.data = torch.tensor([[0.0], [1.0]]), torch.tensor([0.2, 0.0])
    dark = torch.full((1, 1, 4, 4), 0.2)
    regions = Regions.at(model, dark)
    generator = torch.Generator().manual_seed(0)
    zero, one = torch.zeros(1, dtype=torch.long), torch.ones(1, dtype=torch.long)
    programs = pose(regions, dark, zero, one, layer_scales(regions, dark, generator), 75.0)
    found = solve(programs, dark, torch.tensor([4.0]), generator)
    assert found.hopeless.all()
    assert found.iterations < 500


def test_max_pooling_is_the_same_as_its_rewriting_with_relu():
    """max(a, b) = a + relu(b - a), which has the same regions."""

    class Rewritten(nn.Module):
        def __init__(self, conv, linear):
            super().__init__()
            self.conv, self.linear = conv, linear

        def forward(self, images):
            values = self.conv(images)
            first, second = values[..., 0::2], values[..., 1::2]
            return self.linear((first + torch.relu(second - first)).flatten(1))

    layers = [nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d((1, 2)), nn.Flatten(), nn.Linear(16, 3)]
    model, images, labels = build(layers)
    other = Rewritten(model[0], model[3]).eval()
    generator = torch.Generator().manual_seed(0)
    starts = boundary(model, images, labels)
    torch.testing.assert_close(model(images), other(images))
    far = torch.full((4,), 1e3)
    values = [
        solve(
            programs_at(network, starts, labels, generator), images[starts.image], far, generator, 600
        ).values
        for network in (model, other)
    ]
    torch.testing.assert_close(*values, rtol=5e-3, atol=5e-4)


def test_programs_solved_together_give_what_they_give_alone():
    model, images, labels = build(NETWORKS["max-pool"]())
    generator = torch.Generator().manual_seed(0)
    starts = boundary(model, images, labels)
    programs = programs_at(model, starts, labels, generator)
    x, bound = images[starts.image], torch.full((4,), 1e3)
    together = solve(programs, x, bound, generator, 500)
    for row in (0, 2):
        only = torch.tensor([row])
        alone = solve(programs.select(only), x[only], bound[only], generator, 500)
        torch.testing.assert_close(alone.values, together.values[only], rtol=1e-2, atol=1e-4)


class Squared(nn.Module):
    def forward(self, x):
        return x * x


REFUSED = {
    "sigmoid": ([nn.Flatten(), nn.Linear(16, 4), nn.Sigmoid(), nn.Linear(4, 3)], r"'2' \(Sigmoid\).*sigmoid"),
    "own images squared": ([Squared(), nn.Flatten(), nn.Linear(16, 3)], r"'0' \(Squared\).*mul"),
    "instance norm": ([nn.InstanceNorm2d(1), nn.Flatten(), nn.Linear(16, 3)], r"'0' \(InstanceNorm2d\)"),
    "max-pool with ceil": ([nn.MaxPool2d(3, ceil_mode=True), nn.Flatten()], r"'0' \(MaxPool2d\).*ceil_mode"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_layers_are_refused_by_name(case):
    layers, message = REFUSED[case]
    with pytest.raises(GauntletError, match=message):
        Regions.at(nn.Sequential(*layers).eval(), torch.rand(2, 1, 4, 4))


def test_batch_norm_in_training_mode_is_refused():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten())
    with pytest.raises(GauntletError, match=r"'1' \(BatchNorm2d\).*training"):
        Regions.at(model.train(), torch.rand(2, 1, 4, 4))
