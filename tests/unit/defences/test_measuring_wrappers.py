"""GradAlign and the increment of the loss, which wrap any defence."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gauntlet.contracts import Progress
from gauntlet.defences.fast_adversarial_training import FastAdversarialTraining
from gauntlet.defences.grad_align import GradAlign, mean_cosine
from gauntlet.defences.loss_increment import LossIncrement
from gauntlet.defences.natural import Natural
from gauntlet.defences.starts import CleanStart
from gauntlet.errors import ConfigurationError

START = Progress(epoch=0, epochs=2, step=0, steps=4)


def test_gradients_of_a_linear_two_class_model_are_aligned(gray_batch):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2)).train()
    batch = gray_batch()
    batch = replace(batch, labels=batch.labels % 2)
    loss = GradAlign(defence=Natural(), strength=0.5).loss(model, batch, START)
    assert loss.parts["misalignment"].item() == pytest.approx(0, abs=1e-6)
    assert loss.value.item() == pytest.approx(F.cross_entropy(model(batch.images), batch.labels).item())


def test_misalignment_and_its_gradient_agree_with_finite_differences(smooth_model, gray_batch):
    """One weight is moved back and forth in float64; the input gradients are those of central differences."""
    model = smooth_model.double()
    batch = gray_batch()
    batch = replace(batch, images=batch.images.double())
    defence = GradAlign(defence=Natural(), strength=1.0, eps=0.5)

    def misalignment() -> torch.Tensor:
        fresh = replace(batch, generator=torch.Generator().manual_seed(5))
        return defence.loss(model, fresh, START).parts["misalignment"]

    noise = (
        torch.rand(batch.images.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64) - 0.5
    )
    gradients = []
    for images in (batch.images, batch.images + noise):
        gradient = torch.zeros_like(images)
        for pixel in range(36):
            step = torch.zeros(36, dtype=torch.float64)
            step[pixel] = 1e-5
            high, low = (
                F.cross_entropy(model(images + sign * step.view(1, 1, 6, 6)), batch.labels, reduction="none")
                for sign in (1, -1)
            )
            gradient.flatten(1)[:, pixel] = (high - low).detach() / 2e-5
        gradients.append(gradient.flatten(1))
    expected = 1 - F.cosine_similarity(*gradients).mean()
    assert misalignment().item() == pytest.approx(expected.item(), rel=1e-4)

    weight = model[1].weight
    (analytic,) = torch.autograd.grad(misalignment(), weight)
    with torch.no_grad():
        weight[2, 3] += 1e-5
        high = misalignment_without_graph(misalignment)
        weight[2, 3] -= 2e-5
        low = misalignment_without_graph(misalignment)
    assert analytic[2, 3].item() == pytest.approx((high - low) / 2e-5, rel=1e-3)


def misalignment_without_graph(misalignment) -> float:
    with torch.enable_grad():
        return misalignment().item()


def test_a_vanishing_gradient_gives_no_nan_and_does_not_count():
    first = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    second = torch.tensor([[1.0, 0.0], [4.0, 3.0]], requires_grad=True)
    cosine = mean_cosine(first, second)
    assert cosine.item() == pytest.approx(24 / 25)
    gradients = torch.autograd.grad(cosine, [first, second])
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert gradients[0][0].abs().sum() == 0
    zero = torch.zeros(2, 2, requires_grad=True)
    assert mean_cosine(zero, second).item() == 1.0


def test_gradients_too_small_to_be_squared_count():
    tiny = torch.tensor([[3e-30, 4e-30]])
    assert mean_cosine(tiny, tiny).item() == pytest.approx(1.0)


def test_the_increment_of_a_linear_model_has_a_closed_form(gray_batch):
    """One step to the ball's corner raises the log-odds against the true class by eps ||w1 - w0||_1."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2)).train()
    batch = gray_batch()
    batch = replace(batch, labels=batch.labels % 2)
    wrapped = LossIncrement(defence=FastAdversarialTraining(eps=0.05, step_size=0.05, start=CleanStart()))
    loss = wrapped.loss(model, batch, START)
    weights = model[1].weight.detach()
    rise = 0.05 * (weights[1] - weights[0]).abs().sum()
    logits = model(batch.images).detach()
    against = logits.gather(1, 1 - batch.labels[:, None]) - logits.gather(1, batch.labels[:, None])
    expected = (F.softplus(against + rise) - F.softplus(against)).mean()
    torch.testing.assert_close(loss.parts["loss_increment"], expected)
    assert all(module.training for module in model.modules())


def test_the_lowest_increment_of_an_epoch_is_kept_and_forgotten_at_the_next(smooth_model, gray_batch):
    wrapped = LossIncrement(defence=FastAdversarialTraining())
    increment = wrapped.loss(smooth_model, gray_batch(), START).parts["loss_increment"].item()
    for step, epoch, before, expected in [
        (1, 0, -5.0, -5.0),
        (1, 0, 5.0, increment),
        (2, 1, -5.0, increment),  # the second epoch begins
    ]:
        progress = Progress(epoch, 2, step, 4, {"lowest_increment": torch.tensor(before)})
        found = wrapped.loss(smooth_model, gray_batch(), progress).state["lowest_increment"]
        assert found.item() == pytest.approx(expected)


def test_a_defence_without_an_attack_has_no_increment(smooth_model, gray_batch):
    with pytest.raises(ConfigurationError, match="increment"):
        LossIncrement(defence=Natural()).loss(smooth_model, gray_batch(), START)
