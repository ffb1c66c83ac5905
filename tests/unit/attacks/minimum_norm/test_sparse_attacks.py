"""Attacks on few pixels: SparseFool, JSMA, the pixel attack."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gauntlet.attacks.minimum_norm.deepfool import deepfool
from gauntlet.attacks.minimum_norm.jsma import Jsma
from gauntlet.attacks.minimum_norm.sparsefool import SparseFool, sparse_crossing
from gauntlet.attacks.score_based.one_pixel import OnePixel


def linear(weights, bias, channels=1):
    model = nn.Sequential(nn.Flatten(), nn.Linear(weights.shape[1], len(weights)))
    model[1].weight.data, model[1].bias.data = weights, bias
    return model.eval()


def test_deepfool_reaches_the_exact_l2_distance_of_an_affine_classifier(margin_problem):
    model, batch = margin_problem(images=5, shape=(1, 6, 6))
    boundary, normal, _ = deepfool(model, batch.images, batch.labels, 50, 0.02)
    exact = model(batch.images)[:, 0] / model.weights.norm(dim=1)
    distance = (boundary - batch.images).flatten(1).norm(dim=1)
    torch.testing.assert_close(distance, exact, rtol=1e-2, atol=2e-4)
    torch.testing.assert_close(normal.flatten(1), -model.weights)


def test_a_sparse_crossing_moves_the_largest_weights_first_and_stops_at_the_plane():
    points = torch.tensor([0.5, 0.5, 0.5, 0.5]).view(1, 1, 2, 2)
    normal = torch.tensor([1.0, -4.0, 2.0, 0.5]).view(1, 1, 2, 2)
    # The plane <normal, z> = <normal, x> + 2.6: the second entry gives 2, the third the rest.
    boundary = points + 2.6 * normal / normal.square().sum()
    crossed = sparse_crossing(points, boundary, normal)
    torch.testing.assert_close(crossed.flatten(), torch.tensor([0.5, 0.0, 0.8, 0.5]))
    # One that lies behind is reached backwards.
    behind = sparse_crossing(points, points - 0.4 * normal / normal.square().sum(), normal)
    torch.testing.assert_close(behind.flatten(), torch.tensor([0.5, 0.6, 0.5, 0.5]))


def test_sparsefool_needs_hardly_more_pixels_than_the_exact_minimum(margin_problem, exact_sizes):
    model, batch = margin_problem(images=8, shape=(1, 8, 8))
    columns = SparseFool().run(model, batch).columns
    assert columns["success"].all()
    assert (columns["pixels"] >= exact_sizes(model, batch, "l0")).all()
    assert (columns["pixels"] - exact_sizes(model, batch, "l0")).float().mean() <= 1.5
    ratio = columns["l1"] / exact_sizes(model, batch, "l1")
    assert (ratio > 0.999).all()
    assert ratio.mean() < 1.1


@pytest.mark.parametrize("attack", [SparseFool(), Jsma(), OnePixel(population=40, generations=3)])
def test_what_is_found_is_adversarial_in_the_box_and_misclassified_images_stay(attack, cnn, batch_of):
    images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = cnn(images).argmax(1)
    labels[0] = (labels[0] + 1) % 4
    outcome = attack.run(cnn, batch_of(images, labels))
    moved = (outcome.images != images).flatten(1).any(1)
    assert (outcome.columns["success"] == (cnn(outcome.images).argmax(1) != labels)).all()
    assert moved.tolist() == [False, *outcome.columns["success"][1:].tolist()]
    assert outcome.columns["pixels"].tolist() == (outcome.images != images).any(1).flatten(1).sum(1).tolist()
    assert outcome.images.min() >= 0
    assert outcome.images.max() <= 1
    assert all(weight.grad is None for weight in cnn.parameters())


def test_jsma_changes_the_most_telling_entries_of_a_linear_classifier_two_at_a_time(batch_of):
    """Brightening entries 0 and 1 lifts class 1 by 1.7; darkening 4 and 5 lifts class 2 by 1.2."""
    weights = torch.zeros(3, 9)
    weights[1, :4] = torch.tensor([2.0, 1.4, 0.2, 0.1])
    weights[2, 4:8] = torch.tensor([-1.5, -0.9, -0.2, -0.1])
    images = torch.full((1, 1, 3, 3), 0.5)
    logits = torch.tensor([1.5, 0.0, 0.0])
    model = linear(weights, logits - weights @ images.flatten())
    outcome = Jsma().run(model, batch_of(images, torch.zeros(1, dtype=torch.long)))
    assert outcome.columns["success"].item()
    expected = torch.full((9,), 0.5)
    expected[:2] = 1
    torch.testing.assert_close(outcome.images.flatten(), expected)
    assert outcome.columns["pixels"].item() == 2


def test_jsma_counts_a_pixel_once_whatever_number_of_its_channels_changed(batch_of):
    weights = torch.zeros(2, 3 * 4)
    # The two strongest entries are channels 0 and 2 of the same pixel.
    weights[1, 1], weights[1, 2 * 4 + 1] = 3.0, 2.0
    images = torch.full((1, 3, 2, 2), 0.5)
    model = linear(weights, torch.tensor([1.0, 0.0]) - weights @ images.flatten())
    columns = Jsma().run(model, batch_of(images, torch.zeros(1, dtype=torch.long))).columns
    assert columns["pixels"].item() == 1
    assert columns["l0"].item() == 2


def test_jsma_respects_its_share_of_entries(batch_of):
    weights = torch.stack([torch.zeros(16), torch.ones(16)])
    images = torch.full((1, 1, 4, 4), 0.5)
    # It takes ten entries: each brings 0.5.
    model = linear(weights, torch.tensor([4.9, 0.0]) - weights @ images.flatten())
    batch = batch_of(images, torch.zeros(1, dtype=torch.long))
    assert Jsma().run(model, batch).columns["l0"].item() == 10
    assert not Jsma(largest_share=0.5).run(model, batch).columns["success"].item()


def test_the_pixel_attack_finds_the_one_pixel_that_matters(batch_of):
    weights = torch.zeros(2, 3 * 36)
    weights[0, 2 * 36 + 14] = 4.0
    images = torch.full((5, 3, 6, 6), 0.9)
    model = linear(weights, torch.tensor([-1.6, 0.0]))
    outcome = OnePixel(pixels=1, population=60, generations=30).run(
        model, batch_of(images, torch.zeros(5, dtype=torch.long))
    )
    columns = outcome.columns
    assert columns["success"].all()
    assert columns["pixels"].tolist() == [1] * 5
    assert (outcome.images[:, 2].flatten(1)[:, 14] < 0.4).all()
    assert (columns["iterations"] <= 30).all()
    torch.testing.assert_close(columns["queries"], 1 + 60 * (columns["iterations"] + 1))


def test_the_pixel_attack_paints_whole_bytes_on_the_image(batch_of):
    images = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    genes = torch.tensor([0.5, 0.9, 0.0, 0.5, 0.999]).view(1, 1, 5)
    painted = OnePixel()._paint(images, genes)[0, 0]
    changed = (painted != images[0]).any(0).nonzero().tolist()
    assert changed == [[2, 4]]
    remainder = images[0, :, 2, 4] - (images[0, :, 2, 4] * 255).floor() / 255
    expected = torch.tensor([0, 128, 255]) / 255 + remainder
    torch.testing.assert_close(painted[:, 2, 4], expected.clamp(max=1))
