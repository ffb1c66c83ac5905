from __future__ import annotations

from functools import partial

import pytest
import torch

from gauntlet.attacks.geometry.sizes import perturbation_sizes
from gauntlet.attacks.minimum_norm.primal_dual import PDGD, PDPGD
from gauntlet.contracts import PROCEDURES, Task

TASK = Task((1, 28, 28), 10)

# On affine classifiers with 784 inputs: norm, direction, step size, scale, found size over exact size.
REFERENCE_RATIOS = [
    ("linf", "sign", 0.01, 1, 1.000),
    ("linf", "sign", 0.05, 10, 1.000),
    ("linf", "sign", 0.5, 1, 1.049),
    ("linf", "sign", 1.0, 10, 1.052),
    ("linf", "gradient", 0.05, 1, 1.006),
    ("linf", "gradient", 0.1, 10, 1.002),
    ("linf", "gradient", 0.5, 10, 1.022),
    ("linf", "gradient", 1.0, 1, 1.002),
    ("l2", None, 0.01, 1, 1.000),
    ("l2", None, 0.1, 10, 1.004),
    ("l2", None, 1.0, 1, 1.008),
    ("l1", "gradient", 0.05, 1, 1.163),
    ("l1", "gradient", 0.05, 10, 1.009),
    ("l1", "gradient", 0.1, 1, 1.063),
    ("l1", "gradient", 0.5, 1, 1.006),
    ("l1", "gradient", 0.5, 10, 1.085),
    ("l1", "gradient", 1.0, 10, 1.130),
]


@pytest.mark.parametrize(("norm", "direction", "step_size", "scale", "ratio"), REFERENCE_RATIOS)
def test_affine_classifiers_give_the_reference_ratios_to_the_exact_minimum(
    norm, direction, step_size, scale, ratio, margin_problem, exact_sizes
):
    """The ratios tell the conventions apart: with a sign or the weight inverted they are 1.3 to 260."""
    model, batch = margin_problem(images=10, shape=(1, 28, 28), scale=scale)
    attack = (
        PDGD(step_size=step_size)
        if norm == "l2"
        else PDPGD(norm=norm, direction=direction, step_size=step_size)
    )
    found = attack.run(model, batch)
    assert found.columns["success"].all()
    ratios = found.columns[norm] / exact_sizes(model, batch, norm)
    assert ratios.min() > 1 - 1e-4
    assert ratios.mean() == pytest.approx(ratio, abs=0.03)


def test_the_best_step_size_finds_the_fewest_pixels_within_a_fifth(margin_problem, exact_sizes):
    model, batch = margin_problem(images=10, shape=(1, 28, 28), scale=10)
    ratios = [
        (
            PDPGD(norm="l0", step_size=size).run(model, batch).columns["l0"] / exact_sizes(model, batch, "l0")
        ).mean()
        for size in (0.5, 1.0)
    ]
    assert 1 <= min(ratios) <= 1.2


@pytest.mark.parametrize("updates", ["simultaneous", "alternating"])
def test_both_orders_of_updates_find_the_boundary(updates, margin_problem, exact_sizes):
    model, batch = margin_problem(images=4, shape=(1, 10, 10))
    found = PDGD(step_size=0.05, updates=updates).run(model, batch).columns
    torch.testing.assert_close(
        found["l2"].double(), exact_sizes(model, batch, "l2").double(), rtol=0.02, atol=0
    )


def test_pdpgd_in_l2_finds_the_boundary_too(margin_problem, exact_sizes):
    model, batch = margin_problem(images=4, shape=(1, 10, 10))
    found = PDPGD(norm="l2", step_size=0.5).run(model, batch).columns
    torch.testing.assert_close(
        found["l2"].double(), exact_sizes(model, batch, "l2").double(), rtol=0.02, atol=0
    )


def test_fine_tuning_never_makes_a_perturbation_larger_and_helps_after_a_coarse_run(margin_problem, batch_of):
    model, batch = margin_problem(images=8, shape=(1, 10, 10))
    settings = {"norm": "linf", "step_size": 1.0, "steps": 100}
    coarse = PDPGD(**settings).run(model, batch).columns["linf"]
    tuned = PDPGD(**settings, fine_tune=True).run(model, batch_of(batch.images, batch.labels)).columns["linf"]
    assert (tuned <= coarse).all()
    assert tuned.mean() < 0.95 * coarse.mean()


class Kinked(torch.nn.Module):
    """Class 0 inside a crooked region, so that restarts end in different places."""

    def forward(self, images):
        x = images.flatten(1) - 0.5
        wave = (9 * x).sin().sum(1) + x.sum(1)
        return torch.stack([0.8 - wave, wave], 1)


def test_more_restarts_never_hurt_and_the_checkpoints_are_the_sizes_on_the_way(batch_of):
    images = 0.4 + 0.2 * torch.rand(5, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    labels = Kinked()(images).argmax(1)
    attack = PDGD(step_size=0.05, steps=60, restarts=6, checkpoints=(0, 1, 3, 6))
    columns = attack.run(Kinked(), batch_of(images, labels)).columns
    assert columns["l2_after_0"].isinf().all()
    assert (columns["l2_after_3"] <= columns["l2_after_1"]).all()
    assert (columns["l2_after_6"] <= columns["l2_after_3"]).all()
    torch.testing.assert_close(columns["l2_after_6"], columns["l2"], rtol=1e-4, atol=1e-6)
    assert columns["iterations"].tolist() == [360] * 5


def test_misclassified_images_stay_as_they_are_at_distance_zero(margin_problem, batch_of):
    model, batch = margin_problem(images=3, shape=(1, 4, 4))
    wrong = batch_of(batch.images, torch.ones(3, dtype=torch.long))
    outcome = PDPGD(norm="l1", steps=5, checkpoints=(1,)).run(model, wrong)
    torch.testing.assert_close(outcome.images, batch.images)
    assert outcome.columns["success"].all()
    assert outcome.columns["l1"].tolist() == outcome.columns["l1_after_1"].tolist() == [0.0] * 3


def test_an_image_that_nothing_fools_comes_back_clean_without_success(batch_of):
    constant = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    torch.nn.init.zeros_(constant[1].weight)
    constant[1].bias.data = torch.tensor([1.0, 0.0])
    images = torch.full((2, 1, 2, 2), 0.5)
    outcome = PDPGD(norm="linf", steps=20).run(constant, batch_of(images, torch.zeros(2, dtype=torch.long)))
    assert not outcome.columns["success"].any()
    torch.testing.assert_close(outcome.images, images)


def test_the_candidate_with_the_smallest_mean_is_taken_and_its_run_is_the_first_restart(margin_problem):
    model, batch = margin_problem(images=6, shape=(1, 10, 10))
    candidates = (0.001, 0.5, 1.0)
    attack = PDPGD(norm="l1", steps=150, step_sizes=candidates, restarts=2, checkpoints=(1, 2))
    columns = attack.run(model, batch).columns
    tried = {size: columns[f"l1_at_{size:g}"] for size in candidates}
    fooled = {size: sizes for size, sizes in tried.items() if sizes.isfinite().all()}
    best = min(fooled, key=lambda size: float(fooled[size].mean()))
    assert columns["step_size"].tolist() == pytest.approx([best] * 6)
    torch.testing.assert_close(columns["l1_after_1"], tried[best])
    assert (columns["l1_after_2"] <= columns["l1_after_1"]).all()
    assert columns["iterations"].tolist() == [4 * 150] * 6


def test_candidates_are_recorded_where_nothing_is_attacked(margin_problem, batch_of):
    model, batch = margin_problem(images=2, shape=(1, 4, 4))
    wrong = batch_of(batch.images, torch.ones(2, dtype=torch.long))
    columns = PDGD(steps=5, step_sizes=(0.1, 0.5)).run(model, wrong).columns
    assert columns["l2_at_0.1"].tolist() == columns["l2_at_0.5"].tolist() == [0.0, 0.0]


ALL_NORMS = [PDGD] + [partial(PDPGD, norm=norm) for norm in ("linf", "l2", "l1", "l0")]


@pytest.mark.parametrize("kind", ALL_NORMS)
def test_the_result_is_never_larger_than_an_adversarial_start_and_lies_in_the_box(kind, margin_problem):
    """One step from a start that is adversarial already: the start is what there is to beat."""
    model, batch = margin_problem(images=40, shape=(1, 4, 4))
    state = batch.generator.get_state()
    attack = kind(steps=1, step_size=1.0, start_radius=0.9)
    outcome = attack.run(model, batch)
    batch.generator.set_state(state)
    noise = torch.rand(batch.images.shape, generator=batch.generator)
    start = (batch.images + 0.9 * (2 * noise - 1)).clamp(0, 1)
    adversarial = model(start).argmax(1) != batch.labels
    sizes = perturbation_sizes(start - batch.images, attack.minimized)
    assert 5 < adversarial.sum() < 40
    assert (outcome.columns[attack.minimized] <= sizes + 1e-5)[adversarial].all()
    assert outcome.columns["success"][adversarial].all()
    assert outcome.images.min() >= 0
    assert outcome.images.max() <= 1


def test_perturbed_images_lie_in_the_box_and_pixels_are_counted(margin_problem):
    model, batch = margin_problem(images=4, shape=(3, 5, 5))
    outcome = PDPGD(norm="l0", step_size=0.5, steps=200).run(model, batch)
    assert outcome.images.min() >= 0
    assert outcome.images.max() <= 1
    changed = (outcome.images != batch.images).any(1).flatten(1).sum(1)
    assert outcome.columns["pixels"].tolist() == changed.tolist()
    assert (outcome.columns["pixels"] <= outcome.columns["l0"]).all()


def test_settings_are_read_from_a_mapping():
    attack = PROCEDURES.parse({"name": "pdpgd", "norm": "l1", "step_size": "1/2", "restarts": 10})
    assert attack == PDPGD(norm="l1", step_size=0.5, restarts=10)
    assert attack.cost(TASK).backward == 5000
