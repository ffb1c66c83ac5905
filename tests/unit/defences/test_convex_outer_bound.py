from __future__ import annotations

import pytest
import torch
from scipy.optimize import linprog
from torch import nn
from torch.nn import functional as F

from gauntlet.contracts import Batch, Progress
from gauntlet.defences.convex_outer_bound import ConvexOuterBound, margin_bounds
from gauntlet.errors import GauntletError


@pytest.fixture
def dense():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)
    ).double()


@pytest.fixture
def convolution():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(3, 4, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


def polytope_minimum(model, image, eps, row, lower, upper):
    """The smallest <row, logits> over the outer polytope of a two-hidden-layer network, by a linear program.

    Variables: input, then pre-activation and activation of each hidden layer.
    """
    linears = [module for module in model if isinstance(module, nn.Linear)]
    sizes = [4, 6, 6, 5, 5]
    starts = [sum(sizes[:i]) for i in range(6)]
    total = starts[5]
    equal, equal_to, below, below_to = [], [], [], []
    for layer in range(2):
        weight, bias = linears[layer].weight.detach(), linears[layer].bias.detach()
        source = starts[0] if layer == 0 else starts[2]
        z, a = starts[1 + 2 * layer], starts[2 + 2 * layer]
        for unit in range(len(bias)):
            line = torch.zeros(total, dtype=torch.float64)
            line[source : source + weight.shape[1]] = weight[unit]
            line[z + unit] = -1
            equal.append(line)
            equal_to.append(-bias[unit])
            low, high = lower[layer][unit], upper[layer][unit]
            slope = (high.clamp(min=0) - low.clamp(min=0)) / (high - low)
            for sign_a, sign_z, to in (
                (-1, 0.0, 0.0),
                (-1, 1.0, 0.0),
                (1, -slope, low.clamp(min=0) - slope * low),
            ):
                line = torch.zeros(total, dtype=torch.float64)
                line[a + unit], line[z + unit] = sign_a, sign_z
                below.append(line)
                below_to.append(torch.as_tensor(to, dtype=torch.float64))
    cost = torch.zeros(total, dtype=torch.float64)
    cost[starts[4] :] = row @ linears[2].weight.detach()
    bounds = [(float(v) - eps, float(v) + eps) for v in image.flatten()]
    for layer in range(2):
        bounds += [(float(a), float(b)) for a, b in zip(lower[layer], upper[layer], strict=True)]
        bounds += [(0, None)] * len(lower[layer])
    found = linprog(
        cost.numpy(),
        torch.stack(below).numpy(),
        torch.stack(below_to).numpy(),
        torch.stack(equal).numpy(),
        torch.stack(equal_to).numpy(),
        bounds,
    )
    assert found.success
    return found.fun + float(row @ linears[2].bias.detach())


def interval_bounds(model, image, eps):
    """Pre-activation bounds of each linear layer by interval arithmetic."""
    low, high = image.flatten() - eps, image.flatten() + eps
    lowers, uppers = [], []
    for module in model:
        if isinstance(module, nn.Linear):
            middle, radius = (low + high) / 2, (high - low) / 2
            center, reach = module(middle), radius @ module.weight.abs().T
            low, high = center - reach, center + reach
            lowers.append(low.detach())
            uppers.append(high.detach())
        elif isinstance(module, nn.ReLU):
            low, high = low.clamp(min=0), high.clamp(min=0)
    return lowers, uppers


def second_layer_bounds(model, image, eps):
    """The own bounds of the second hidden layer: margins of networks that end in one of its units."""
    sides = []
    for sign in (1, -1):
        values = []
        for unit in range(5):
            end = nn.Linear(6, 2).double()
            end.weight.data = torch.stack([sign * model[3].weight[unit], torch.zeros(6).double()]).detach()
            end.bias.data = torch.stack([sign * model[3].bias[unit], torch.zeros(()).double()]).detach()
            part = nn.Sequential(model[0], model[1], model[2], end)
            values.append(sign * margin_bounds(part, image, torch.tensor([0]), "linf", eps)[0, 1].detach())
        sides.append(torch.stack(values))
    return sides


def test_the_bound_is_below_the_linear_program_over_its_polytope_and_close_to_it(dense):
    """It is the value of a feasible point of the program's dual, so that it cannot exceed the program."""
    generator = torch.Generator().manual_seed(0)
    gaps, tight = [], 0
    for eps in (0.02, 0.1, 0.3):
        for _ in range(3):
            image = torch.rand(1, 1, 2, 2, generator=generator).double()
            label = dense(image).argmax(1)
            bound = margin_bounds(dense, image, label, "linf", eps)[0].detach()
            first = [side[0] for side in interval_bounds(dense, image, eps)]
            second = second_layer_bounds(dense, image, eps)
            for other in range(3):
                if other == label:
                    continue
                row = F.one_hot(label, 3)[0].double() - F.one_hot(torch.tensor(other), 3).double()
                sides = zip(first, second, strict=True)
                program = polytope_minimum(dense, image, eps, row, *(list(side) for side in sides))
                gaps.append(program - float(bound[other]))
                tight += gaps[-1] < 1e-6
                assert gaps[-1] > -1e-6
                assert bound[other] < (dense(image)[0] * row).sum()
    # Without undecided units both are exact.
    assert tight >= 3
    assert max(gaps) < 0.1


def test_with_one_hidden_layer_the_bound_is_at_most_the_linear_program_and_exact_if_no_unit_is_undecided():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).double()
    image, label = torch.full((1, 1, 2, 2), 0.5).double(), torch.tensor([0])
    for eps in (1e-4, 0.3):
        bound = margin_bounds(model, image, label, "linf", eps)[0, 1]
        samples = image + eps * (2 * torch.rand(20_000, 1, 2, 2).double() - 1)
        corners = image + eps * torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 4).view(-1, 1, 2, 2)
        logits = model(torch.cat([samples, corners.double()]))
        smallest = (logits[:, 0] - logits[:, 1]).min()
        assert bound <= smallest + 1e-9
        if eps == 1e-4:
            # The network is affine on so small a cube, and its minimum at a corner.
            torch.testing.assert_close(bound, smallest, rtol=1e-9, atol=1e-9)
        else:
            assert bound < smallest - 1e-3


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_no_sampled_perturbation_goes_below_the_bound(convolution, norm):
    images = torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = convolution(images).argmax(1)
    for eps in (0.01, 0.1, 0.5):
        with torch.no_grad():
            bound = margin_bounds(convolution, images, labels, norm, eps)
            noise = torch.randn(3000, 1, 1, 4, 4)
            noise = eps * (
                noise.sign() if norm == "linf" else noise / noise.flatten(1).norm(dim=1).view(-1, 1, 1, 1, 1)
            )
            logits = convolution((images[None] + noise).flatten(0, 1)).view(3000, 4, 3)
        margins = logits.gather(2, labels.view(1, 4, 1).expand(3000, 4, 1)) - logits
        assert (bound <= margins.amin(0) + 1e-5).all()
        assert bound.gather(1, labels[:, None]).abs().max() < 1e-5


def test_it_beats_interval_arithmetic(dense):
    image = torch.rand(1, 1, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    label = dense(image).argmax(1)
    lower, upper = interval_bounds(dense, image, 0.2)
    bound = margin_bounds(dense, image, label, "linf", 0.2)[0]
    for other in range(3):
        if other != label:
            assert bound[other] > lower[2][label] - upper[2][other]


def test_rows_in_blocks_give_the_same_bound(convolution):
    images = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2])
    whole = margin_bounds(convolution, images, labels, "l2", 0.2)
    torch.testing.assert_close(margin_bounds(convolution, images, labels, "l2", 0.2, rows_at_once=3), whole)


def test_the_gradient_is_that_of_finite_differences(dense):
    image = torch.rand(2, 1, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    weight, labels = dense[1].weight, torch.tensor([0, 1])
    margin_bounds(dense, image, labels, "linf", 0.1).sum().backward()
    analytic = weight.grad[2, 1].item()
    values = []
    for step in (1e-6, -1e-6):
        with torch.no_grad():
            weight[2, 1] += step
            values.append(margin_bounds(dense, image, labels, "linf", 0.1).sum().item())
            weight[2, 1] -= step
    assert analytic == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-6)


def test_training_lowers_the_robust_loss_and_raises_the_certified_share(convolution):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(32, 1, 4, 4, generator=generator)
    labels = (images[:, 0, :2].mean((1, 2)) * 6 - 1.5).round().clamp(0, 2).long()
    batch = Batch(images, labels, torch.arange(32), generator)
    defence = ConvexOuterBound(norm="linf", eps=0.02, start_eps=0.001, ramp_epochs=4)
    optimizer = torch.optim.Adam(convolution.parameters(), lr=0.03)
    full = [defence.loss(convolution, batch, Progress(epoch=10, epochs=20, step=0, steps=20))]
    for epoch in range(20):
        loss = defence.loss(convolution, batch, Progress(epoch=epoch, epochs=20, step=epoch, steps=20))
        optimizer.zero_grad()
        loss.value.backward()
        optimizer.step()
        assert loss.logits.shape == (32, 3)
    full.append(defence.loss(convolution, batch, Progress(epoch=20, epochs=20, step=20, steps=20)))
    assert full[1].value < 0.9 * full[0].value
    assert full[1].parts["certified"] > full[0].parts["certified"]


def test_the_radius_grows_linearly():
    defence = ConvexOuterBound(norm="linf", eps=0.02, start_eps=0.001, ramp_epochs=4)
    radii = [defence.radius(Progress(epoch=epoch, epochs=9, step=0, steps=1)) for epoch in (0, 2, 4, 8)]
    assert radii == pytest.approx([0.001, 0.0105, 0.02, 0.02])


def test_other_nonlinear_layers_are_refused():
    for layer in (nn.MaxPool2d(2), nn.LeakyReLU(0.1), nn.Tanh()):
        model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), layer, nn.Flatten())
        with pytest.raises(GauntletError):
            margin_bounds(model, torch.randn(1, 1, 4, 4), torch.tensor([0]), "linf", 0.1)
