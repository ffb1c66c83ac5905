"""The adversary critic: both players' steps."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gauntlet.contracts import DEFENCES, Companion, Progress, Task
from gauntlet.defences.adversary_critic import critic_step, gradient_penalty, scored

TASK = Task((1, 6, 6), 3)


def defence(**settings):
    return DEFENCES.parse(
        {
            "name": "adversary_critic",
            "pretraining_epochs": 0,
            "critic": {"name": "noisy_mlp", "units": [16], "image_noise": 0, "hidden_noise": 0},
            "critic_optimizer": {"name": "adam", "lr": 0.001, "beta1": 0.5},
            **settings,
        }
    )


def gradients(model, batch, state=None, **settings):
    """Return the gradient of every weight of the classifier, and the companions after the step."""
    made = defence(**settings)
    torch.manual_seed(7)
    companions = made.companions(TASK)
    own = copy.deepcopy(model)
    # Running confidences that the attack can reach.
    state = {f"confidence_{number}": torch.tensor(0.6) for number in range(3)} if state is None else state
    loss = made.loss(own, batch, Progress(0, 1, 0, 1, state, companions))
    loss.value.backward()
    return torch.cat([parameter.grad.flatten() for parameter in own.parameters()]), companions, loss


def test_without_its_terms_the_gradient_is_that_of_the_natural_loss(smooth_model, gray_batch):
    found, _, _ = gradients(smooth_model, gray_batch(), critic_weight=0, cycle_weight=0)
    F.cross_entropy(smooth_model(gray_batch().images), gray_batch().labels).backward()
    natural = torch.cat([parameter.grad.flatten() for parameter in smooth_model.parameters()])
    assert torch.allclose(found, natural, atol=1e-7)


@pytest.mark.parametrize("weights", [(0.5, 0.0), (0.0, 0.01), (0.5, 0.01)])
def test_lambda_and_lambda_rec_each_change_the_gradient(weights, smooth_model, gray_batch):
    """The terms depend on the classifier through the adversarial images alone."""
    critic, cycle = weights
    plain, _, _ = gradients(smooth_model, gray_batch(), critic_weight=0, cycle_weight=0)
    found, _, loss = gradients(smooth_model, gray_batch(), critic_weight=critic, cycle_weight=cycle)
    assert loss.parts["attacked_share"] > 0, "the attack moves predictions"
    assert (found - plain).norm() > 1e-4 * plain.norm()


def test_the_critic_does_not_move_in_the_classifiers_step(smooth_model, gray_batch):
    made = defence()
    companions = made.companions(TASK)
    loss = made.loss(smooth_model, gray_batch(), Progress(0, 1, 0, 1, {}, companions))
    before = copy.deepcopy(companions["critic"].network.state_dict())
    optimizer = torch.optim.SGD(smooth_model.parameters(), lr=0.1)
    loss.value.backward()
    optimizer.step()
    network = companions["critic"].network
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_the_classifier_gets_no_gradient_from_the_critics_step(smooth_model, gray_batch):
    made = defence()
    companions = made.companions(TASK)
    before = copy.deepcopy(companions["critic"].network.state_dict())
    made.loss(smooth_model, gray_batch(), Progress(0, 1, 0, 1, {}, companions))
    after = companions["critic"].network.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before), "the critic has learned"
    assert all(parameter.grad is None for parameter in smooth_model.parameters())


def test_the_penalty_of_a_linear_critic_is_the_squared_distance_of_its_length_from_1(gray_batch):
    batch = gray_batch()
    critic = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    score, gradient = scored(critic, batch.images, batch.labels)
    lengths = critic[1].weight.norm(dim=1)[batch.labels]
    assert torch.allclose(gradient_penalty(gradient), (lengths - 1).square().mean(), atol=1e-6)
    assert torch.allclose(score, critic(batch.images).gather(1, batch.labels[:, None]).squeeze(1))


def test_the_critic_learns_to_tell_adversarial_images_from_natural_ones(gray_batch):
    batch = gray_batch(30)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(36, 32), nn.LeakyReLU(0.2), nn.Linear(32, 3))
    critic = Companion(network, torch.optim.Adam(network.parameters(), lr=0.01))
    aims = (batch.labels + 1) % 3
    attacked = (batch.images + 0.3).clamp(max=1)
    for _ in range(150):
        parts = critic_step(critic, batch, attacked, aims, penalty_weight=0.1)
    natural, adversarial = (
        network(images).gather(1, classes[:, None]).squeeze(1).sigmoid()
        for images, classes in ((batch.images, batch.labels), (attacked, aims))
    )
    assert natural.min() > 0.5 > adversarial.max()
    assert parts["critic_loss"] < 1.0, "2 log 2 at first"


def test_the_cycle_is_measured_in_the_length_or_in_its_square(smooth_model, gray_batch):
    parts = [
        gradients(smooth_model, gray_batch(1), cycle_power=power)[2].parts["cycle_loss"] for power in (1, 2)
    ]
    assert torch.isclose(parts[0].square(), parts[1], rtol=1e-4)


def test_running_confidences_start_at_1_and_absent_classes_keep_theirs(smooth_model, gray_batch):
    batch = gray_batch()
    sureness, predicted = smooth_model(batch.images).softmax(1).max(1)
    _, _, first = gradients(smooth_model, batch, state={})
    state = {f"confidence_{number}": torch.tensor(0.25) for number in range(3)}
    _, _, later = gradients(smooth_model, batch, state=state)
    for number in range(3):
        members = sureness[predicted == number]
        for before, loss in ((1.0, first), (0.25, later)):
            expected = (before + members.mean()) / 2 if len(members) else torch.tensor(before)
            assert torch.isclose(loss.state[f"confidence_{number}"], expected)
    assert len(set(predicted.tolist())) < 3, "a class is absent"


def test_pretraining_is_natural_and_moves_the_confidences(smooth_model, gray_batch):
    made = defence(pretraining_epochs=1)
    loss = made.loss(smooth_model, gray_batch(), Progress(0, 2, 0, 4, {}, {}))
    assert torch.equal(loss.value, loss.parts["natural_loss"])
    assert min(loss.state.values()) < 1


def test_a_batch_whose_attack_changes_nothing_has_no_terms_of_the_critic(gray_batch):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    with torch.no_grad():
        flat[1].weight.mul_(1e-4)
        flat[1].bias.copy_(torch.tensor([9.0, 0.0, 0.0]))
    _, _, loss = gradients(
        flat, gray_batch(), steps=1, state={f"confidence_{n}": torch.tensor(1e-5) for n in range(3)}
    )
    assert loss.parts["attacked_share"] == 0
    assert loss.parts["fooling_loss"] == 0
    assert torch.isfinite(loss.value)
