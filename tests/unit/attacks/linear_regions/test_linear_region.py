from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gauntlet.attacks.linear_regions.linear_region import LinearRegion
from gauntlet.attacks.linear_regions.other_class_starts import other_class_starts
from gauntlet.contracts import Batch, LabelledImages
from gauntlet.errors import GauntletError


@pytest.fixture(scope="module")
def plane():
    """A network on two pixels, images of it, and each image's exact distance from a fine grid of the box."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 3)).eval()
    generator = torch.Generator().manual_seed(0)
    references = torch.rand(400, 1, 1, 2, generator=generator)
    with torch.no_grad():
        model[3].bias -= model(references).mean(0)
        labels = model(references).argmax(1)
        images = references[:12]
        axis = torch.linspace(0, 1, 1001)
        grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).view(-1, 1, 1, 2)
        classes = model(grid).argmax(1)
    distances = [
        (grid[classes != label] - image).flatten(1).norm(dim=1).min()
        for image, label in zip(images, labels[:12], strict=True)
    ]
    return model, images, LabelledImages(references, labels), torch.stack(distances)


def attack_batch(images, references):
    count = len(images)
    generator = torch.Generator().manual_seed(1)
    return Batch(images, references.labels[:count], torch.arange(count), generator, references=references)


def test_it_finds_the_exact_distances_of_a_network_on_two_pixels(plane):
    model, images, references, distances = plane
    attack = LinearRegion(starts=2, regions=25, locality=2.0, solver_steps=200, checkpoints=(0, 1, 25))
    outcome = attack.run(model, attack_batch(images, references))
    columns = outcome.columns
    assert columns["success"].all()
    # The grid overestimates a distance by at most half its diagonal, and the search may pass by a region.
    assert (columns["l2"] > distances - 1e-3).all()
    assert ((columns["l2"] - distances).abs() < 1e-3).sum() >= 11
    assert (columns["l2_after_1"] <= columns["l2_after_0"]).all()
    assert (columns["l2_after_25"] <= columns["l2_after_1"]).all()
    torch.testing.assert_close(columns["l2_after_25"], columns["l2"], rtol=1e-3, atol=1e-5)
    assert (columns["l2_after_0"] > distances + 2e-3).sum() >= 6
    assert outcome.images.min() >= 0
    assert outcome.images.max() <= 1


@pytest.mark.parametrize("target_classes", ["start", "ranked"])
@pytest.mark.parametrize("sampling", ["biased", "uniform"])
def test_what_it_finds_is_adversarial_and_never_larger_than_the_start(plane, target_classes, sampling):
    model, images, references, distances = plane
    attack = LinearRegion(
        starts=1,
        regions=6,
        solver_steps=60,
        target_classes=target_classes,
        sampling=sampling,
        checkpoints=(0,),
    )
    outcome = attack.run(model, attack_batch(images, references))
    assert outcome.columns["success"].all()
    assert (model(outcome.images).argmax(1) != references.labels[:12]).all()
    assert outcome.images.min() >= 0
    assert outcome.images.max() <= 1
    assert (outcome.columns["l2"] <= outcome.columns["l2_after_0"] * 1.0002).all()
    assert (outcome.columns["l2"] > distances - 1e-3).all()
    assert (outcome.columns["regions"] <= 12).all()


def test_regions_seen_before_are_skipped():
    """With one unit there are two regions, whatever number of samples is drawn."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 2)).eval()
    model[1].weight.data, model[1].bias.data = torch.tensor([[1.0, 1.0]]), torch.tensor([-0.5])
    model[3].weight.data, model[3].bias.data = torch.tensor([[0.0], [1.0]]), torch.tensor([0.5, 0.0])
    generator = torch.Generator().manual_seed(0)
    pool = torch.rand(50, 1, 1, 2, generator=generator)
    references = LabelledImages(pool, model(pool).argmax(1))
    image = torch.tensor([0.4, 0.4]).view(1, 1, 1, 2)
    batch = Batch(image, torch.zeros(1, dtype=torch.long), torch.zeros(1), generator, references=references)
    outcome = LinearRegion(starts=1, regions=30, locality=1.0).run(model, batch)
    assert outcome.columns["regions"].item() <= 2
    # The boundary is where the two pixels sum to 1.
    assert outcome.columns["l2"].item() == pytest.approx(0.2 / math.sqrt(2), rel=1e-3)


def test_starts_are_boundary_points_towards_the_nearest_correct_images_of_the_likeliest_classes(plane):
    model, images, references, _ = plane
    # Reference 0 of each class is mislabelled: it must not be used, however near it is.
    labels = references.labels.clone()
    labels[:12] = (labels[:12] + 1) % 3
    starts = other_class_starts(
        model, images, references.labels[:12], LabelledImages(references.images, labels), 2
    )
    assert starts.image.tolist() == [i for i in range(12) for _ in range(2)]
    ranking = model(images).argsort(1, descending=True)[:, 1:]
    assert torch.equal(starts.target.view(12, 2), ranking)
    assert (model(starts.points).argmax(1) != references.labels[starts.image]).all()
    inside = images[starts.image] + 0.99 * (starts.points - images[starts.image])
    assert (model(inside).argmax(1) == references.labels[starts.image]).sum() >= 20


def test_bytes_serve_as_references(plane):
    model, images, references, _ = plane
    stored = LabelledImages((references.images * 255).round().byte(), references.labels)
    exact = other_class_starts(model, images, references.labels[:12], references, 1)
    coarse = other_class_starts(model, images, references.labels[:12], stored, 1)
    torch.testing.assert_close(coarse.points, exact.points, atol=0.02, rtol=0)


def test_without_references_other_images_of_the_batch_serve(plane):
    model, images, references, distances = plane
    batch = Batch(images, references.labels[:12], torch.arange(12), torch.Generator().manual_seed(0))
    columns = LinearRegion(starts=1, regions=3, solver_steps=60).run(model, batch).columns
    assert columns["success"].all()
    assert (columns["l2"] > distances - 1e-3).all()


def test_an_image_without_a_start_comes_back_clean():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 2)).eval()
    model[3].weight.data, model[3].bias.data = torch.zeros(2, 1), torch.tensor([1.0, 0.0])
    images = torch.rand(3, 1, 1, 2)
    labels = torch.tensor([0, 0, 1])
    batch = Batch(images, labels, torch.arange(3), torch.Generator().manual_seed(0))
    outcome = LinearRegion(starts=1, regions=2, checkpoints=(0,)).run(model, batch)
    # Only the third image, misclassified from the start, counts as fooled, at distance 0.
    assert outcome.columns["success"].tolist() == [False, False, True]
    torch.testing.assert_close(outcome.images, images)
    assert outcome.columns["l2_after_0"].tolist() == [math.inf, math.inf, 0.0]


def test_a_network_that_is_not_piecewise_affine_is_refused():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).eval()
    images = torch.rand(40, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    model[3].bias.data -= model(images).mean(0).detach()
    labels = model(images).argmax(1)
    batch = Batch(images, labels, torch.arange(40), torch.Generator().manual_seed(0))
    with pytest.raises(GauntletError, match=r"'2' \(Tanh\)"):
        LinearRegion(starts=1, regions=1).run(model, batch)
