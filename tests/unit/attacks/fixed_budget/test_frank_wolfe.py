from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from gauntlet.attacks.fixed_budget.frank_wolfe import FrankWolfe, lowest_vertex
from gauntlet.attacks.fixed_budget.mi_fgsm import MiFgsm
from gauntlet.attacks.geometry.norms import lengths
from gauntlet.attacks.objectives import cross_entropy, log_odds
from gauntlet.contracts import Criterion


def fgsm(model, batch, eps):
    images = batch.images.clone().requires_grad_()
    loss = F.cross_entropy(
        model(images), batch.labels if batch.targets is None else batch.targets, reduction="sum"
    )
    sign = torch.autograd.grad(loss, images)[0].sign()
    return (batch.images + (eps if batch.targets is None else -eps) * sign).clamp(0, 1)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(
    "attack",
    [
        FrankWolfe(eps=0.1, steps=1, step_size=1.0, momentum=0.7, early_stop=False),
        FrankWolfe(eps=0.1, steps=1, step_size=1.0, momentum=0.7, momentum_start="zero", early_stop=False),
        MiFgsm(eps=0.1, steps=1, step_size=0.1, momentum=1.0, early_stop=False),
    ],
)
def test_one_full_step_is_fgsm(attack, targeted, cnn, random_batch):
    batch = random_batch(targeted=targeted)
    torch.testing.assert_close(attack.perturb(cnn, batch).images, fgsm(cnn, batch, 0.1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_vertex_is_the_lowest_point_of_the_ball(norm):
    generator = torch.Generator().manual_seed(0)
    gradient = torch.randn(5, 3, 4, 4, generator=generator)
    clean = torch.rand(5, 3, 4, 4, generator=generator)
    vertex = lowest_vertex(gradient, clean, norm, 0.3) - clean
    torch.testing.assert_close(lengths(vertex, norm), torch.full((5,), 0.3))
    dual = {"linf": "l1", "l2": "l2", "l1": "linf"}[norm]
    torch.testing.assert_close((vertex * gradient).flatten(1).sum(1), -0.3 * lengths(gradient, dual))


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("step_size", [0.1, 0.7, 1.0])
def test_iterates_stay_in_ball_and_box_without_projection(norm, step_size, cnn, random_batch):
    batch = random_batch()
    attack = FrankWolfe(eps=0.4, norm=norm, steps=7, step_size=step_size, early_stop=False)
    images = attack.perturb(cnn, batch).images
    assert (lengths(images - batch.images, norm) <= 0.4 * (1 + 1e-5)).all()
    assert ((images >= 0) & (images <= 1)).all()


def test_a_constant_sign_pattern_approaches_eps_geometrically(affine_problem):
    """On an affine model ||x_t - x_0||_inf = eps (1 - (1 - gamma)^t) while the box does not bind."""
    attack = FrankWolfe(eps=0.2, steps=5, step_size=0.3, early_stop=False)
    found = attack.perturb(affine_problem.model, affine_problem.batch)
    distance = lengths(found.images - affine_problem.batch.images, "linf")
    torch.testing.assert_close(distance, torch.full_like(distance, 0.2 * (1 - 0.7**5)))


def test_images_stop_at_their_first_success(affine_problem):
    """Steps of 0.002 cross the boundary of an affine model after floor(distance / 0.002) + 1 steps."""
    attack = MiFgsm(eps=0.1, steps=50, step_size=0.002)
    outcome = attack.run(affine_problem.model, affine_problem.batch)
    expected = (affine_problem.distances / 0.002).floor() + 1
    assert outcome.columns["success"].all()
    assert torch.equal(outcome.columns["iterations"].double(), expected)
    torch.testing.assert_close(outcome.columns["linf"], expected * 0.002)
    assert torch.equal(outcome.columns["queries"], outcome.columns["iterations"] + 1)


def test_momentum_sums_l1_normalized_gradients(cnn, random_batch):
    batch = random_batch()
    attack = MiFgsm(eps=0.5, steps=3, step_size=0.05, momentum=0.8, early_stop=False)
    images, total = batch.images, torch.zeros_like(batch.images)
    for _ in range(3):
        leaf = images.clone().requires_grad_()
        gradient = torch.autograd.grad(F.cross_entropy(cnn(leaf), batch.labels, reduction="sum"), leaf)[0]
        total = 0.8 * total + gradient / gradient.abs().sum((1, 2, 3), keepdim=True)
        images = (images + 0.05 * total.sign()).clamp(0, 1)
    torch.testing.assert_close(attack.perturb(cnn, batch).images, images, rtol=0, atol=1e-6)


def test_both_starts_of_the_momentum(cnn, random_batch):
    """gradient: m_0 = g_0, m_1 = b g_0 + (1-b) g_1; zero: m_1 = b (1-b) g_0 + (1-b) g_1."""
    attack = FrankWolfe(eps=0.1, steps=2, step_size=0.5, momentum=0.6)
    first, second = torch.randn(2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0))[:, :, :]
    clean = torch.full((1, 3, 4, 4), 0.5)
    for start, weight in (("gradient", 0.6), ("zero", 0.6 * 0.4)):
        chosen = replace(attack, momentum_start=start)
        _, memory = chosen.step(clean, clean, first[None, 0], None)
        _, memory = chosen.step(clean, clean, second[None, 0], memory)
        torch.testing.assert_close(memory, (weight * first + 0.4 * second)[None, 0])


@pytest.mark.parametrize("targeted", [False, True])
def test_losses_are_lowest_at_the_goal(targeted):
    """Both losses agree with their textbook forms and the margin is negative exactly on success."""
    logits = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    classes = torch.arange(200) % 5
    criterion = Criterion(classes, targeted)
    sign = 1 if targeted else -1
    reference = F.cross_entropy(logits, classes, reduction="none")
    torch.testing.assert_close(cross_entropy(criterion, logits), sign * reference)
    assert torch.equal(criterion.margin(logits) < 0, criterion.met_by(logits))
    odds = torch.log(1 - (-reference.double()).exp()) + reference.double()
    torch.testing.assert_close(log_odds(criterion, logits), sign * odds, rtol=1e-6, atol=1e-6)


def test_cross_entropy_keeps_a_gradient_where_softmax_saturates():
    logits = torch.tensor([[60.0, 0.0, -1.0]], requires_grad=True)
    loss = cross_entropy(Criterion(torch.tensor([0]), targeted=False), logits).sum()
    gradient = torch.autograd.grad(loss, logits)[0]
    assert (gradient != 0).all()
    torch.testing.assert_close(gradient.sum(), torch.tensor(0.0), atol=1e-30, rtol=0)
