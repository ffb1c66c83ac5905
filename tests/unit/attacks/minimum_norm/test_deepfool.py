"""DeepFool as matyasko2020 uses it: exact on affine classifiers, short steps, nothing given up."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gauntlet.attacks import DeepFool, InAttackSpace
from gauntlet.contracts import ARCHITECTURES


@pytest.fixture
def problem(affine_model, batch_of):
    """Six images that an affine classifier of four classes gets right, with the distance to its boundary."""
    model = affine_model(48, classes=4)
    images = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    logits = model(images).detach()
    labels = logits.argmax(1)
    weight = model.weight.detach()
    slopes = (weight - weight[labels][:, None]).norm(dim=2)
    gaps = logits.gather(1, labels[:, None]) - logits
    distance = (gaps / slopes).scatter(1, labels[:, None], torch.inf).amin(1)
    return model, batch_of(images, labels), distance


def test_the_perturbation_of_an_affine_classifier_is_the_distance_with_overshoot(problem):
    model, batch, distance = problem
    found = DeepFool(box=False).run(model, batch).columns
    torch.testing.assert_close(found["l2"], 1.02 * distance, rtol=1e-4, atol=1e-6)
    assert found["success"].all()
    assert (found["iterations"] == 1).all()


def test_clipped_steps_are_no_longer_than_the_clip_and_arrive_all_the_same(problem):
    model, batch, distance = problem
    clip = float(distance.max()) / 3.5
    found = DeepFool(box=False, clip=clip).run(model, batch).columns
    steps = (distance / (1.02 * clip)).ceil()
    assert torch.equal(found["iterations"], steps.long())
    assert steps.max() > 2
    expected = 1.02 * torch.minimum(steps * clip, distance)
    torch.testing.assert_close(found["l2"], expected, rtol=1e-4, atol=1e-6)


def test_the_last_perturbation_is_kept_where_the_class_stays(problem):
    model, batch, distance = problem
    clip = float(distance.min()) / 10
    found = DeepFool(box=False, clip=clip, steps=3).run(model, batch).columns
    assert not found["success"].any()
    torch.testing.assert_close(found["l2"], torch.full((6,), 3 * clip * 1.02), rtol=1e-4, atol=0)


def test_the_box_is_kept_or_left_as_told(problem):
    model, batch, _ = problem
    dark = batch.images * 0
    labels = model(dark).argmax(1)
    near_the_edge = type(batch)(dark, labels, batch.indices, batch.generator)
    free, boxed = (DeepFool(box=box, steps=100).run(model, near_the_edge) for box in (False, True))
    assert free.images.min() < 0
    assert boxed.images.min() >= 0 and boxed.images.max() <= 1
    assert boxed.columns["success"].all()
    assert (boxed.columns["l2"] > free.columns["l2"]).all()


def test_a_misclassified_image_is_not_perturbed(problem):
    model, batch, _ = problem
    wrong = type(batch)(batch.images, (batch.labels + 1) % 4, batch.indices, batch.generator)
    found = DeepFool(box=False).run(model, wrong).columns
    assert (found["l2"] == 0).all() and found["success"].all()


def test_the_nearest_class_is_sought_anew_in_every_step(cnn, batch_of):
    images = torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(4))
    labels = cnn(images).argmax(1)
    found = DeepFool(box=False, clip=0.05, steps=300).run(cnn, batch_of(images, labels))
    assert found.columns["success"].all()
    # On the way back inside by twice the last step the class is the true one again.
    inside = images + (1 - 0.1 / found.columns["l2"]).clamp(min=0).view(-1, 1, 1, 1) * (found.images - images)
    assert (cnn(inside).argmax(1) == labels).float().mean() > 0.8


def test_in_the_attack_space_distances_are_those_of_whitened_images(affine_model, batch_of):
    torch.manual_seed(0)
    plan = {"name": "cnn", "layers": []}
    model = ARCHITECTURES.parse({"name": "whitened", "network": plan}).build((1, 6, 6), 3).eval()
    training = torch.randint(0, 256, (200, 1, 6, 6), dtype=torch.uint8)
    model.whitening.fit(training)
    images = training[:10] / 255
    batch = batch_of(images, model(images).argmax(1))
    found = InAttackSpace(procedure=DeepFool(box=False)).run(model, batch)
    points = model.to_attack_space(images)
    moved = (found.images - points).flatten(1).norm(dim=1)
    torch.testing.assert_close(found.columns["l2"], moved, rtol=1e-4, atol=1e-6)
    assert isinstance(model.network, nn.Module)
    assert (model.network(found.images).argmax(1) != batch.labels).all()
