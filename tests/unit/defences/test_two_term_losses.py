"""Generalized adversarial training, fast adversarial training and width adjusted regularization."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gauntlet.contracts import DEFENCES, Cost, Defence, Progress, Task
from gauntlet.defences.ascent import Ascent
from gauntlet.defences.fast_adversarial_training import FastAdversarialTraining
from gauntlet.defences.generalized_adversarial_training import GeneralizedAdversarialTraining
from gauntlet.defences.natural import Natural
from gauntlet.defences.regularization import regularized
from gauntlet.defences.starts import CleanStart, UniformStart
from gauntlet.defences.trades import Trades
from gauntlet.defences.width_adjusted import WidthAdjusted
from gauntlet.errors import ConfigurationError

START = Progress(epoch=0, epochs=1, step=0, steps=10)


def test_generalized_adversarial_training_with_weight_1_is_the_mean_of_the_larger_loss(
    smooth_model, gray_batch
):
    batch = gray_batch()
    loss = GeneralizedAdversarialTraining(eps=0.3, steps=1, step_size=0.3, start=UniformStart()).loss(
        smooth_model, batch, START
    )
    clean, attacked = (
        F.cross_entropy(smooth_model(images), batch.labels, reduction="none")
        for images in (batch.images, loss.perturbed)
    )
    torch.testing.assert_close(loss.value, torch.maximum(clean, attacked).mean())


def test_the_difference_is_clipped_image_by_image(gray_batch):
    """Two images, one of whose losses the attack lowers: it must not make up for the other."""

    class Stub(nn.Module):
        """Logits by position: clean (2, 0) and (-2, 0), attacked (0, 0) for both, so losses change by +, -."""

        calls = 0

        def forward(self, images):
            if not self.training:  # the attack
                return images.flatten(1)[:, :2]
            self.calls += 1
            return torch.tensor([[2.0, 0.0], [-2.0, 0.0]] if self.calls == 1 else [[0.0, 0.0]] * 2)

    batch = replace(gray_batch(2), labels=torch.zeros(2, dtype=torch.int64))
    loss = GeneralizedAdversarialTraining(strength=3.0, steps=1).loss(Stub().train(), batch, START)
    low, high, middle = (torch.tensor(x).exp().add(1).log() for x in (-2.0, 2.0, 0.0))
    torch.testing.assert_close(loss.parts["natural_loss"], (low + high) / 2)
    torch.testing.assert_close(loss.parts["robust_loss"], (middle - low) / 2)
    torch.testing.assert_close(loss.value, (low + high) / 2 + 3 * (middle - low) / 2)


def test_the_local_lipschitz_estimate_does_not_depend_on_the_number_of_images(smooth_model, gray_batch):
    """A batch joined with itself has the same one: gradients are those of sums, not of means."""
    defence = GeneralizedAdversarialTraining(eps=0.1, steps=3, step_size=0.05, start=CleanStart())
    batch = gray_batch()
    one, two = (
        defence.loss(smooth_model, batch.select(torch.arange(8).repeat(times)), START).parts[
            "local_lipschitz"
        ]
        for times in (1, 2)
    )
    torch.testing.assert_close(one, two)
    assert one > 0


def test_fast_adversarial_training_takes_one_clipped_step_from_its_start(gray_batch):
    """On a linear network the gradient is the same everywhere: the step of 10/8 of the radius is clipped."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2)).train()
    batch = gray_batch()
    batch = replace(batch, labels=batch.labels % 2)
    weights = model[1].weight
    direction = (weights[1] - weights[0]).sign() * (1 - 2 * batch.labels[:, None])
    clean_start = FastAdversarialTraining(eps=0.08, step_size=0.1, start=CleanStart())
    change = (clean_start.loss(model, batch, START).perturbed - batch.images).flatten(1)
    torch.testing.assert_close(change, 0.08 * direction)
    random_start = FastAdversarialTraining(eps=0.08, step_size=0.1)
    loss = random_start.loss(model, batch, START)
    change = (loss.perturbed - batch.images).flatten(1)
    assert (change.abs() <= 0.08 + 1e-6).all()
    start = UniformStart().points(model, replace(gray_batch(), labels=batch.labels), 0.08, 0.1)
    expected = ((start - batch.images).flatten(1) + 0.1 * direction).clamp(-0.08, 0.08)
    torch.testing.assert_close(change, expected)
    torch.testing.assert_close(loss.value, F.cross_entropy(model(loss.perturbed), batch.labels))


def test_passes_are_those_of_the_work():
    """Section 5.11, without the passes that gradients of the weights add: 5, 9, 11 and 27 in all."""
    task = Task((3, 32, 32), 10)
    fast = DEFENCES.parse({"name": "fast_adversarial_training"})
    trades = DEFENCES.parse({"name": "trades", "steps": 1, "start": {"name": "uniform"}})
    smoothing = DEFENCES.parse({"name": "trades", "steps": 1, "start": {"name": "backward_smoothing"}})
    ten = DEFENCES.parse({"name": "trades"})
    assert [each.cost(task).passes for each in (fast, trades, smoothing, ten)] == [5, 9, 11, 27]


@dataclass(frozen=True, kw_only=True)
class Stubbed(Defence):
    """A natural loss of a fixed number of times the robust one."""

    name: ClassVar[str] = "stubbed"
    ratio: float

    def loss(self, model, batch, progress):
        robust = torch.tensor(0.5)
        return regularized(self.ratio * robust, robust, 6.0, torch.zeros(1, 2), Ascent(batch.images, robust))

    def cost(self, task):
        return Cost()


@pytest.mark.parametrize(("ratio", "strengths"), [(40, [0, 0, 0]), (20, [1, 2, 3])])
def test_the_weight_follows_the_ratio(ratio, strengths, gray_batch):
    """At a target of 30 and a rate of 0.1 a ratio of 20 raises it by 1.0 a step, one of 40 leaves it at 0."""
    defence, state = WidthAdjusted(defence=Stubbed(ratio=ratio), target_ratio=30), {}
    for step, strength in enumerate(strengths):
        loss = defence.loss(nn.Identity(), gray_batch(), Progress(0, 1, step, 10, state))
        state = loss.state
        assert state["strength"].item() == pytest.approx(strength)
        assert loss.value.item() == pytest.approx(0.5 * ratio + strength * 0.5)
        assert loss.parts["strength"] is state["strength"]


def test_the_weight_falls_to_zero_where_there_is_no_robust_loss(gray_batch):
    class Silent(Stubbed):
        def loss(self, model, batch, progress):
            zero = torch.tensor(0.0)
            return regularized(torch.tensor(2.0), zero, 6.0, torch.zeros(1, 2), Ascent(batch.images, zero))

    before = {"strength": torch.tensor(9.0)}
    loss = WidthAdjusted(defence=Silent(ratio=1)).loss(
        nn.Identity(), gray_batch(), Progress(0, 1, 1, 10, before)
    )
    assert loss.state["strength"] == 0
    assert loss.value == 2.0


def test_no_gradient_flows_through_the_weight(smooth_model, gray_batch):
    """The gradient is that of TRADES with the weight as a constant."""
    inner = Trades(steps=2)
    state = {"strength": torch.tensor(4.0)}
    adjusted = WidthAdjusted(defence=inner, target_ratio=2.0)
    loss = adjusted.loss(smooth_model, gray_batch(), Progress(0, 1, 1, 10, state))
    found = torch.autograd.grad(loss.value, list(smooth_model.parameters()))
    strength = loss.state["strength"].item()
    assert strength != 4.0 and not loss.state["strength"].requires_grad
    expected = torch.autograd.grad(
        replace(inner, strength=strength).loss(smooth_model, gray_batch(), START).value,
        list(smooth_model.parameters()),
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_a_defence_without_a_robust_term_cannot_be_adjusted(smooth_model, gray_batch):
    with pytest.raises(ConfigurationError, match="robust loss"):
        WidthAdjusted(defence=Natural()).loss(smooth_model, gray_batch(), START)
