from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gauntlet.attacks.fixed_budget.conventions import Conventions
from gauntlet.attacks.fixed_budget.scheduled_ascent import ScheduledAscent, step_lengths
from gauntlet.attacks.geometry.norms import lengths
from gauntlet.contracts import PROCEDURES
from gauntlet.errors import ConfigurationError

NORMS = ["linf", "l2", "l1"]
ORDER = {"linf": float("inf"), "l2": 2, "l1": 1}
STD = (0.229, 0.224, 0.225)
RELEASED = Conventions(
    eps_space="released", noise_scale="released", noise_order="released", sphere_inf="released", std=STD
)


@pytest.mark.parametrize(
    ("decay", "steps", "expected"),
    [
        ("constant", 4, [0.3, 0.3, 0.3, 0.3]),
        # 1 + 1/2 + 1/3 = 11/6
        ("harmonic", 3, [1.2 * 6 / 11, 1.2 * 3 / 11, 1.2 * 2 / 11]),
        # 1 + 1/2 + 1/4 + 1/8 = 15/8
        ("geometric", 4, [1.2 * 8 / 15, 1.2 * 4 / 15, 1.2 * 2 / 15, 1.2 * 1 / 15]),
        ("constant", 1, [1.2]),
        ("harmonic", 1, [1.2]),
        ("geometric", 1, [1.2]),
    ],
)
def test_step_lengths_equal_hand_computed_values(decay, steps, expected):
    assert step_lengths(decay, steps, 1.2) == pytest.approx(expected)


@pytest.mark.parametrize("decay", ["constant", "harmonic", "geometric"])
@pytest.mark.parametrize("steps", [1, 2, 4, 8, 16])
def test_step_lengths_sum_to_the_radius(decay, steps):
    assert sum(step_lengths(decay, steps, 3 / 255)) == pytest.approx(3 / 255)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("decay", ["constant", "harmonic", "geometric"])
def test_on_an_affine_model_all_steps_together_are_one_step_of_length_eps(
    decay, norm, affine_model, random_batch
):
    model, batch = affine_model(), random_batch(shape=(3, 4, 4), classes=2, margin=0.4)
    found = ScheduledAscent(norm=norm, eps=0.2, steps=8, decay=decay).run(model, batch)
    w = model.weight[1] - model.weight[0]
    step = 0.2 * (w.sign() if norm == "linf" else w / w.norm(ORDER[norm])).view(3, 4, 4)
    expected = batch.images + torch.where(batch.labels[:, None, None, None] == 0, step, -step)
    torch.testing.assert_close(found.images, expected)
    assert not found.columns["nan_loss"].any()


def test_iterates_are_neither_projected_nor_clipped_before_the_end(affine_model, random_batch):
    """White pixels that the attack brightens leave the box on the way and are clipped once, at the end."""
    model = affine_model()
    seen: list[torch.Tensor] = []
    model.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone()))
    batch = random_batch(shape=(3, 4, 4), classes=2)
    batch = replace(batch, images=torch.ones_like(batch.images))
    found = ScheduledAscent(norm="linf", eps=0.2, steps=2, decay="constant").run(model, batch)
    assert seen[1].max() == pytest.approx(1.1)
    assert found.images.max() <= 1


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("randomized", [False, True])
@pytest.mark.parametrize("decay", ["harmonic", "geometric"])
def test_result_lies_in_the_ball_and_the_box(decay, randomized, norm, cnn, random_batch):
    eps = {"linf": 0.1, "l2": 0.8, "l1": 8.0}[norm]
    batch = random_batch()
    attack = ScheduledAscent(norm=norm, eps=eps, steps=8, decay=decay, randomized=randomized)
    found = attack.run(cnn, batch)
    assert (lengths(found.images - batch.images, norm) <= eps * (1 + 1e-5)).all()
    assert found.images.min() >= 0 and found.images.max() <= 1


def test_more_steps_start_again_from_the_clean_image(cnn, random_batch):
    """Each run looks at the clean image first, and at a point its own omega_1 away second."""
    seen: list[torch.Tensor] = []
    handle = cnn.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone()))
    batch = random_batch()
    for steps in (8, 16):
        seen.clear()
        ScheduledAscent(norm="linf", eps=0.1, steps=steps, decay="harmonic").perturb(cnn, batch)
        assert len(seen) == steps
        assert torch.equal(seen[0], batch.images)
        first = step_lengths("harmonic", steps, 0.1)[0]
        assert (seen[1] - batch.images).abs().max().item() == pytest.approx(first, rel=1e-5)
    handle.remove()


@pytest.mark.parametrize("target", ["samples", "least_likely"])
def test_targeted_ascent_lowers_the_loss_of_its_target(target, cnn, random_batch):
    batch = random_batch(32, targeted=True)
    logits = cnn(batch.images)
    aim = batch.targets if target == "samples" else logits.argmin(1)
    attack = ScheduledAscent(norm="l2", eps=0.5, steps=16, decay="harmonic", target=target)
    found = attack.run(cnn, batch)
    after = F.cross_entropy(cnn(found.images), aim, reduction="none")
    assert (after < F.cross_entropy(logits, aim, reduction="none")).all()
    assert torch.equal(found.columns["success"], found.columns["prediction"] == aim)


@pytest.mark.parametrize("norm", NORMS)
def test_randomized_step_is_a_tenth_noise(norm, affine_model, random_batch):
    """What is left after nine tenths of the deterministic step has a norm of eps / 10."""
    model, batch = affine_model(), random_batch(shape=(3, 4, 4), classes=2, margin=0.4)
    settings = {"norm": norm, "eps": 0.3, "steps": 1, "decay": "harmonic"}
    plain = ScheduledAscent(**settings).run(model, batch).images - batch.images
    mixed = ScheduledAscent(**settings, randomized=True).run(model, batch).images - batch.images
    torch.testing.assert_close(lengths(mixed - 0.9 * plain, norm), torch.full((6,), 0.03), rtol=1e-3, atol=0)


def test_randomized_ascent_repeats_with_the_seed_only(cnn, random_batch):
    attack = ScheduledAscent(norm="l2", eps=0.5, steps=4, decay="harmonic", randomized=True)
    first, again, other = (attack.run(cnn, random_batch(seed=seed)).images for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


@pytest.mark.parametrize("order", ["doc", "released"])
def test_gradient_is_taken_before_or_after_the_noise(order, cnn, random_batch):
    seen: list[torch.Tensor] = []
    handle = cnn.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone()))
    batch = random_batch()
    attack = ScheduledAscent(
        norm="linf",
        eps=0.1,
        steps=1,
        decay="constant",
        randomized=True,
        conventions=Conventions(noise_order=order),
    )
    attack.perturb(cnn, batch)
    handle.remove()
    expected = 0.0 if order == "doc" else 0.01
    torch.testing.assert_close((seen[0] - batch.images).abs(), torch.full_like(batch.images, expected))


def test_released_randomized_linf_scheme_is_deterministic_darkening(affine_model, random_batch):
    """Each step adds -0.1 omega_s to every pixel, so that all steps together add -0.1 eps."""
    model, batch = affine_model(), random_batch(shape=(3, 4, 4), classes=2, margin=0.4)
    settings = {"norm": "linf", "eps": 0.2, "steps": 4, "decay": "harmonic"}
    plain = ScheduledAscent(**settings).run(model, batch).images - batch.images
    conventions = Conventions(sphere_inf="released")
    dark = ScheduledAscent(**settings, randomized=True, conventions=conventions).run(model, batch).images
    torch.testing.assert_close(dark - batch.images, 0.9 * plain - 0.02)


def test_released_radius_of_a_channel_goes_with_its_standard_deviation(affine_model, random_batch):
    model, batch = affine_model(), random_batch(shape=(3, 4, 4), classes=2, margin=0.4)
    conventions = Conventions(eps_space="released", std=STD)
    attack = ScheduledAscent(norm="linf", eps=0.1, steps=2, decay="harmonic", conventions=conventions)
    moved = (attack.run(model, batch).images - batch.images).abs().amax((0, 2, 3))
    torch.testing.assert_close(moved, 0.1 * torch.tensor(STD) / 0.226)


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_released_attack_equals_the_attack_on_normalized_images(norm, cnn, random_batch):
    """Done literally: x' = (x - mean) / std, ascent with radius eps / mean(std) there, and back."""
    batch, eps, mean, std = random_batch(margin=0.3), 0.3, 0.45, torch.tensor(STD)[:, None, None]
    normalized = (batch.images - mean) / std
    for length in step_lengths("geometric", 4, eps / 0.226):
        leaf = normalized.clone().requires_grad_()
        loss = F.cross_entropy(cnn(leaf * std + mean), batch.labels, reduction="sum")
        gradient = torch.autograd.grad(loss, leaf)[0].flatten(1)
        unit = gradient / gradient.norm(ORDER[norm], dim=1, keepdim=True)
        normalized = normalized + length * unit.view_as(normalized)
    conventions = Conventions(eps_space="released", std=STD)
    attack = ScheduledAscent(norm=norm, eps=eps, steps=4, decay="geometric", conventions=conventions)
    torch.testing.assert_close(attack.run(cnn, batch).images, normalized * std + mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_released_noise_of_a_randomized_step_ignores_the_step_length(norm, affine_model, random_batch):
    model, batch = affine_model(), random_batch(shape=(3, 4, 4), classes=2, margin=0.4)
    settings = {"norm": norm, "eps": 0.01, "steps": 1, "decay": "harmonic"}
    released = Conventions(noise_scale="released", std=STD)
    plain = ScheduledAscent(**settings).run(model, batch).images - batch.images
    mixed = (
        ScheduledAscent(**settings, randomized=True, conventions=released).run(model, batch).images
        - batch.images
    )
    noise = (mixed - 0.9 * plain) / torch.tensor(STD)[:, None, None]
    torch.testing.assert_close(lengths(noise, norm), torch.ones(6), rtol=1e-3, atol=0)
    if norm == "l1":
        assert noise.min() > -1e-6


class Steep(nn.Module):
    """Two logits 0 and slope * mean pixel: the first class dies in float32 once the second exceeds 104."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rising = self.slope * images.flatten(1).mean(1)
        return torch.stack([torch.zeros_like(rising), rising], 1)


def test_an_image_whose_gradient_is_lost_keeps_its_iterate_and_says_so(batch_of):
    """Of two images only the brighter one reaches a probability of 0 before its last step."""
    images = torch.stack([torch.full((1, 2, 2), 0.1), torch.full((1, 2, 2), 0.4)])
    batch = batch_of(images, torch.tensor([0, 0]))
    attack = ScheduledAscent(norm="linf", eps=0.2, steps=2, decay="constant", loss="softmax_log")
    found = attack.run(Steep(220.0), batch)
    assert found.columns["nan_loss"].tolist() == [False, True]
    # The darker image made both steps; the brighter one stopped after the first, at logit 110.
    torch.testing.assert_close(found.images.flatten(1)[:, 0], torch.tensor([0.3, 0.5]))
    assert found.columns["confidence"][1] == 0
    assert found.columns["cross_entropy"][1].item() == pytest.approx(110.0, rel=1e-5)
    safe = replace(attack, loss="cross_entropy").run(Steep(220.0), batch)
    assert not safe.columns["nan_loss"].any()
    torch.testing.assert_close(safe.images.flatten(1)[:, 0], torch.tensor([0.3, 0.6]))


def test_zero_confidence_at_the_last_step_is_no_lost_gradient(batch_of):
    batch = batch_of(torch.full((1, 1, 2, 2), 0.4), torch.tensor([0]))
    attack = ScheduledAscent(norm="linf", eps=0.2, steps=1, decay="constant", loss="softmax_log")
    found = attack.run(Steep(220.0), batch)
    assert found.columns["confidence"].item() == 0
    assert not found.columns["nan_loss"].item()


def test_released_conventions_need_the_standard_deviation():
    with pytest.raises(ConfigurationError, match="std"):
        Conventions(eps_space="released")
    with pytest.raises(ConfigurationError) as caught:
        PROCEDURES.parse(
            {
                "name": "scheduled_ascent",
                "norm": "linf",
                "eps": "3/255",
                "steps": 16,
                "decay": "harmonic",
                "conventions": {"eps_space": "released"},
            }
        )
    assert caught.value.key == "conventions.std"


def test_standard_deviation_must_fit_the_channels(cnn, random_batch):
    conventions = Conventions(eps_space="released", std=(0.3,))
    attack = ScheduledAscent(norm="linf", eps=0.1, steps=1, decay="constant", conventions=conventions)
    with pytest.raises(ConfigurationError, match="channels"):
        attack.run(cnn, random_batch())


def test_settings_survive_the_way_through_a_configuration():
    attack = ScheduledAscent(
        norm="l1", eps=651.5, steps=16, decay="geometric", randomized=True, conventions=RELEASED
    )
    assert PROCEDURES.parse(PROCEDURES.dump(attack)) == attack
    with pytest.raises(ConfigurationError, match="sphere"):
        PROCEDURES.parse({**PROCEDURES.dump(attack), "conventions": {"sphere": "released"}})
