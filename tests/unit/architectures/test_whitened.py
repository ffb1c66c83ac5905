"""Whitening is fitted to the training images, and attacks, penalties and augmentation act behind it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gauntlet.architectures.whitened import Whitening, contrast_normalized
from gauntlet.contracts import ARCHITECTURES, Batch, Progress
from gauntlet.datasets import ImageSet
from gauntlet.defences.margin import Margin
from gauntlet.errors import GauntletError
from gauntlet.models import attack_space, load_model
from gauntlet.training.loop import train

PLAN = {"name": "whitened", "network": {"name": "cnn", "layers": [{"layer": "linear", "units": 8}]}}


@pytest.fixture
def pictures():
    """Smooth color images of 6x6, whose pixels are correlated."""
    noise = torch.rand(400, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    smooth = noise.cumsum(2).cumsum(3)
    return (255 * smooth / smooth.amax((1, 2, 3), keepdim=True)).to(torch.uint8)


def covariance(rows):
    return torch.cov(rows.flatten(1).double().T)


@pytest.mark.parametrize("bias", [0.1, 2.0])
def test_whitened_training_images_have_the_variances_lambda_over_lambda_plus_bias(bias, pictures):
    whitening = Whitening(108, bias)
    whitening.fit(pictures)
    normalized = contrast_normalized(pictures.double() / 255)
    before, directions = torch.linalg.eigh(covariance(normalized))
    after = directions.T @ covariance(whitening(pictures.float() / 255)) @ directions
    torch.testing.assert_close(after, torch.diag(before / (before + bias)), rtol=1e-3, atol=1e-4)


def test_contrast_normalized_images_have_mean_0_and_variance_1(pictures):
    rows = contrast_normalized(pictures.double() / 255).flatten(1)
    torch.testing.assert_close(rows.mean(1), torch.zeros(400, dtype=torch.float64))
    torch.testing.assert_close(rows.std(1, unbiased=False), torch.ones(400, dtype=torch.float64))
    assert contrast_normalized(torch.full((1, 3, 6, 6), 0.5)).abs().max() == 0


def test_the_layer_is_fitted_to_the_images_that_are_learned_from_and_saved_with_the_network(
    pictures, tmp_path
):
    labels = np.arange(400) % 2
    sets = [ImageSet(pictures.numpy(), labels, ["a", "b"], {})] * 2
    specification = {
        "model": "whitened", "input_shape": [3, 6, 6], "classes": 2, "architecture": ARCHITECTURES.normalize(PLAN),
        "normalization": None, "defence": {"name": "natural"}, "checkpoint": None, "seed": 0,
        "training": {
            "epochs": 1, "optimizer": {"name": "sgd", "lr": 0.01}, "validation": {"count": 100, "choose": "last"},
        },
    }  # fmt: skip
    train(specification, *sets, tmp_path, "cpu")
    loaded = load_model(tmp_path)
    expected = Whitening(108, 0.1)
    expected.fit(pictures[:300])
    torch.testing.assert_close(loaded.whitening.matrix, expected.matrix)
    everything = Whitening(108, 0.1)
    everything.fit(pictures)
    assert (loaded.whitening.matrix - everything.matrix).abs().max() > 1e-3


def test_a_layer_that_was_not_fitted_is_an_error(pictures):
    with pytest.raises(GauntletError, match="fit"):
        ARCHITECTURES.parse(PLAN).build((3, 6, 6), 2)(pictures / 255)


def test_augmentation_moves_whitened_images_in_train_mode_alone(pictures):
    model = ARCHITECTURES.parse({**PLAN, "shift": 2, "flip": True}).build((3, 6, 6), 2)
    model.whitening.fit(pictures)
    images = pictures[:50] / 255
    plain = model.whitening(images)
    assert torch.equal(model.eval().to_attack_space(images), plain)
    torch.manual_seed(0)
    moved = model.train().to_attack_space(images)
    for before, after in zip(plain, moved, strict=True):
        ways = [
            torch.nn.functional.pad(mirrored, (2, 2, 2, 2))[:, i : i + 6, j : j + 6]
            for mirrored in (before, before.flip(2)) for i in range(5) for j in range(5)
        ]  # fmt: skip
        assert any(torch.equal(after, way) for way in ways)
    assert not torch.equal(moved, plain)


def test_the_margin_penalty_is_that_of_gradients_in_whitened_images(pictures):
    torch.manual_seed(0)
    model = (
        ARCHITECTURES.parse({**PLAN, "network": {"name": "cnn", "layers": []}}).build((3, 6, 6), 2).train()
    )
    model.whitening.fit(pictures)
    batch = Batch(pictures[:20] / 255, torch.arange(20) % 2, torch.arange(20), torch.Generator())
    loss = Margin(strength=1.0, power=1).loss(model, batch, Progress(0, 1, 0, 1))
    weight = model.network[-1].weight
    torch.testing.assert_close(loss.parts["sensitivity"], (weight[1] - weight[0]).norm())
    network, points = attack_space(model, batch.images)
    assert network is model.network
    assert torch.equal(points, model.whitening(batch.images))
