from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from gauntlet.attacks.fixed_budget.named_instances import NAMED_INSTANCES
from gauntlet.attacks.fixed_budget.pgd import Pgd
from gauntlet.attacks.geometry.norms import lengths
from gauntlet.attacks.objectives import class_loss, loss_gradient
from gauntlet.contracts import PROCEDURES, Task

TASK = Task((1, 28, 28), 10)

NORMS = ["linf", "l2", "l1"]
ORDER = {"linf": float("inf"), "l2": 2, "l1": 1}


def test_fgsm_moves_every_pixel_of_an_affine_model_by_eps(affine_model, random_batch):
    """The gradient of the loss of class 0 is proportional to w1 - w0, of class 1 to w0 - w1."""
    model, batch = affine_model(), random_batch(shape=(3, 4, 4), classes=2)
    found = Pgd(norm="linf", eps=0.1).run(model, batch)
    toward_one = (model.weight[1] - model.weight[0]).sign().view(3, 4, 4)
    away = torch.where(batch.labels[:, None, None, None] == 0, toward_one, -toward_one)
    torch.testing.assert_close(found.images, (batch.images + 0.1 * away).clamp(0, 1))


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_single_step_follows_the_gradient_of_unit_length(norm, affine_model, random_batch):
    model, batch = affine_model(), random_batch(shape=(3, 4, 4), classes=2, margin=0.4)
    found = Pgd(norm=norm, eps=0.3).run(model, batch)
    w = model.weight[1] - model.weight[0]
    step = 0.3 * (w / w.norm(ORDER[norm])).view(3, 4, 4)
    expected = batch.images + torch.where(batch.labels[:, None, None, None] == 0, step, -step)
    torch.testing.assert_close(found.images, expected)


@pytest.mark.parametrize("norm", NORMS)
def test_many_steps_reach_the_sphere_and_stop_there(norm, affine_model, random_batch):
    """On an affine model the direction never changes, so the result is one step of length eps."""
    model, batch = affine_model(), random_batch(shape=(3, 4, 4), classes=2, margin=0.4)
    many = Pgd(norm=norm, eps=0.2, steps=7, step_size=0.05).run(model, batch)
    once = Pgd(norm=norm, eps=0.2).run(model, batch)
    # A dense step along the boundary of the l1 ball is not undone by the projection, hence l1 apart.
    if norm != "l1":
        torch.testing.assert_close(many.images, once.images)
    torch.testing.assert_close(many.columns[norm], torch.full((6,), 0.2))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("start", ["none", "uniform", "gaussian", "gaussian_sign"])
def test_result_lies_in_the_ball_and_the_box(norm, start, cnn, random_batch):
    eps = {"linf": 0.1, "l2": 0.8, "l1": 8.0}[norm]
    batch = random_batch()
    found = Pgd(norm=norm, eps=eps, steps=5, step_size=eps, random_start=start).run(cnn, batch)
    assert (lengths(found.images - batch.images, norm) <= eps * (1 + 1e-5)).all()
    assert found.images.min() >= 0 and found.images.max() <= 1


@pytest.mark.parametrize("norm", NORMS)
def test_pgd_raises_the_loss_and_more_steps_raise_it_further(norm, cnn, random_batch):
    eps = {"linf": 0.05, "l2": 0.5, "l1": 5.0}[norm]
    batch = random_batch(32)
    loss = [F.cross_entropy(cnn(batch.images), batch.labels, reduction="none")]
    for steps in (1, 20):
        attack = Pgd(norm=norm, eps=eps, steps=steps, step_size=2.5 * eps / steps if steps > 1 else eps)
        loss.append(attack.run(cnn, batch).columns["cross_entropy"].float())
    assert (loss[1] > loss[0]).all()
    assert loss[2].mean() >= loss[1].mean()


@pytest.mark.parametrize("target", ["samples", "least_likely"])
@pytest.mark.parametrize("norm", NORMS)
def test_targeted_attack_lowers_the_loss_of_its_target(target, norm, cnn, random_batch):
    eps = {"linf": 0.05, "l2": 0.5, "l1": 5.0}[norm]
    batch = random_batch(32, targeted=True)
    logits = cnn(batch.images)
    aim = batch.targets if target == "samples" else logits.argmin(1)
    found = Pgd(norm=norm, eps=eps, steps=5, target=target).run(cnn, batch)
    after = F.cross_entropy(cnn(found.images), aim, reduction="none")
    assert (after < F.cross_entropy(logits, aim, reduction="none")).all()
    assert torch.equal(found.columns["success"], found.columns["prediction"] == aim)


def test_an_attack_told_to_ignore_targets_succeeds_by_misclassification(cnn, random_batch):
    attack = Pgd(norm="linf", eps=0.2, target="none")
    found = attack.run(cnn, batch := random_batch(32, targeted=True))
    assert torch.equal(found.columns["success"], found.columns["prediction"] != batch.labels)
    assert torch.equal(found.images, attack.run(cnn, random_batch(32)).images)


@pytest.mark.parametrize("start", ["uniform", "gaussian", "gaussian_sign"])
def test_random_start_repeats_with_the_seed_only(start, cnn, random_batch):
    attack = Pgd(norm="l2", eps=1.0, steps=2, step_size=0.01, random_start=start)
    first, again, other = (attack.run(cnn, random_batch(seed=seed)).images for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_start_of_tramer_is_a_signed_step(affine_model, random_batch):
    """With a negligible gradient step only the start sigma * sign(N(0, I)) is left."""
    batch = random_batch(shape=(3, 4, 4), classes=2, margin=0.2)
    attack = Pgd(norm="linf", eps=0.1, step_size=1e-9, random_start="gaussian_sign", start_scale=0.06)
    moved = attack.run(affine_model(), batch).images - batch.images
    torch.testing.assert_close(moved.abs(), torch.full_like(moved, 0.06))


def test_step_beyond_the_radius_is_clipped_to_it(affine_model, random_batch):
    """The R-FGSM of Wong et al. (2020) steps 1.25 eps from a uniform start and clips to eps."""
    batch = random_batch(shape=(3, 4, 4), classes=2, margin=0.2)
    attack = Pgd(norm="linf", eps=0.1, step_size=0.125, random_start="uniform")
    moved = (attack.run(affine_model(), batch).images - batch.images).abs()
    assert moved.max() == pytest.approx(0.1)
    # A pixel stays short of the bound where its start lies more than 1.25 eps from it: 0.75 eps of 2 eps.
    assert (moved < 0.0999).float().mean().item() == pytest.approx(0.375, abs=0.1)


def test_attack_leaves_parameters_images_and_their_gradients_alone(cnn, random_batch):
    batch = random_batch()
    images = batch.images.clone()
    Pgd(norm="l2", eps=0.5, steps=3).run(cnn, batch)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in cnn.parameters())
    assert torch.equal(batch.images, images)
    assert not batch.images.requires_grad


def test_attack_works_where_gradients_are_switched_off(cnn, random_batch):
    with torch.no_grad():
        off = Pgd(norm="linf", eps=0.1, steps=2).perturb(cnn, random_batch())
    on = Pgd(norm="linf", eps=0.1, steps=2).perturb(cnn, random_batch())
    assert torch.equal(on.images, off.images)


def test_images_do_not_influence_each_other(cnn, random_batch):
    attack, batch = Pgd(norm="l1", eps=5.0, steps=4, step_size=3.0), random_batch()
    together = attack.run(cnn, batch).images
    alone = torch.cat(
        [
            attack.run(
                cnn, replace(batch, images=batch.images[i : i + 1], labels=batch.labels[i : i + 1])
            ).images
            for i in range(len(batch))
        ]
    )
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_queries_count_the_forward_passes(cnn, random_batch):
    calls: list[int] = []
    handle = cnn.register_forward_hook(lambda *_: calls.append(1))
    for target, extra in (("none", 0), ("least_likely", 1)):
        calls.clear()
        attack = Pgd(norm="linf", eps=0.1, steps=3, target=target)
        perturbed = attack.perturb(cnn, random_batch())
        assert perturbed.queries.tolist() == [len(calls)] * 6 == [3 + extra] * 6
        assert attack.cost(TASK).forward == len(calls) + 1
    handle.remove()


def test_loss_gradient_is_that_of_the_cross_entropy(cnn, random_batch):
    batch = random_batch()
    leaf = batch.images.clone().requires_grad_()
    F.cross_entropy(cnn(leaf), batch.labels, reduction="sum").backward()
    for loss in ("cross_entropy", "softmax_log"):
        torch.testing.assert_close(
            loss_gradient(cnn, batch.images, batch.labels, loss), leaf.grad, rtol=1e-4, atol=1e-6
        )


def test_cross_entropy_has_a_gradient_where_a_float32_softmax_is_saturated(affine_model, random_batch):
    """Logits 25 apart: the float32 probability is exactly 1, its gradient 0; the true one is exp(-25)."""
    logits = torch.tensor([[25.0, 0.0]], requires_grad=True)
    class_loss(logits, torch.tensor([0]), "cross_entropy").sum().backward()
    torch.testing.assert_close(logits.grad, torch.tensor([[-1.0, 1.0]]) * torch.exp(torch.tensor(-25.0)))
    logits = torch.tensor([[25.0, 0.0]], requires_grad=True)
    class_loss(logits, torch.tensor([0]), "softmax_log").sum().backward()
    assert logits.grad[0, 0] == 0


def test_softmax_log_of_a_lost_class_is_infinite_and_cross_entropy_is_not():
    logits, label = torch.tensor([[0.0, 200.0]]), torch.tensor([0])
    assert class_loss(logits, label, "softmax_log").isinf().all()
    assert class_loss(logits, label, "cross_entropy").item() == pytest.approx(200.0)


@pytest.mark.parametrize("name", NAMED_INSTANCES)
def test_every_named_instance_is_pgd_with_some_settings(name, cnn, random_batch):
    instance, eps, sigma = NAMED_INSTANCES[name], 8 / 255, 2 / 255
    steps = 4 if instance.several_steps else 1
    sizes = {"eps": eps, "eps - sigma": eps - sigma, "1/255": 1 / 255}
    attack = Pgd(
        norm=instance.norm,
        eps=eps,
        steps=steps,
        step_size=sizes.get(instance.step_rule, 2.5 * eps / steps),
        random_start=instance.random_start,
        start_scale=sigma if instance.random_start == "gaussian" else None,
        target=instance.target,
    )
    found = attack.run(cnn, random_batch(targeted=True))
    assert (found.columns[instance.norm] <= eps * (1 + 1e-4)).all()
    assert (found.columns[instance.norm] > 0).all()


def test_table_2_1_has_its_twelve_rows():
    assert len(NAMED_INSTANCES) == 12
    assert [i.norm for i in NAMED_INSTANCES.values()].count("linf") == 10
    assert sum(i.several_steps for i in NAMED_INSTANCES.values()) == 4


def test_settings_are_read_from_a_configuration():
    attack = PROCEDURES.parse(
        {"name": "pgd", "norm": "linf", "eps": "8/255", "step_size": "2/255", "steps": 10}
    )
    assert attack == Pgd(norm="linf", eps=8 / 255, step_size=2 / 255, steps=10)
    assert PROCEDURES.parse(PROCEDURES.dump(attack)) == attack
