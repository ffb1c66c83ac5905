"""The linear decomposition layer against scikit-learn and the algebra of projections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from gauntlet.architectures.pca_prefix import PcaPrefix, PrincipalProjection
from gauntlet.architectures.principal_components import principal_components
from gauntlet.contracts import ARCHITECTURES, Architecture, FitsImages
from gauntlet.errors import ConfigurationError, GauntletError
from gauntlet.models import forward_flops

SHAPE = (3, 4, 4)


@dataclass(frozen=True, kw_only=True)
class Small(Architecture):
    name: ClassVar[str] = "small"

    def build(self, input_shape, classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(48, classes))


@pytest.fixture
def images():
    """300 images with a steeply falling spectrum, as natural ones have."""
    random = np.random.default_rng(0)
    basis = np.linalg.qr(random.normal(size=(48, 48)))[0]
    values = 0.5 + random.normal(size=(300, 48)) * 0.5 * 0.85 ** np.arange(48) @ basis.T
    return torch.from_numpy((values.clip(0, 1) * 255).round().astype(np.uint8)).view(-1, *SHAPE)


@pytest.fixture
def fitted(images):
    layer = PrincipalProjection(48, least_variance=0.2 * 0.25**2)
    layer.fit(images)
    return layer


def test_mean_spectrum_and_directions_equal_scikit_learns(images):
    reference = PCA().fit(images.flatten(1).numpy() / 255)
    mean, variances, directions, total = principal_components(images)
    np.testing.assert_allclose(mean, reference.mean_, rtol=1e-12)
    assert total == pytest.approx(reference.explained_variance_.sum(), rel=1e-9)
    np.testing.assert_allclose(variances, reference.explained_variance_, rtol=1e-6, atol=1e-12)
    # Directions are unique up to their sign.
    np.testing.assert_allclose(np.abs((directions.T.numpy() * reference.components_).sum(1)), 1, rtol=1e-6)


def test_the_spectrum_does_not_depend_on_how_the_images_are_cut(images, monkeypatch):
    whole = principal_components(images, least_variance=0.0125)
    monkeypatch.setattr("gauntlet.architectures.principal_components.IMAGES_AT_ONCE", 37)
    for found, expected in zip(
        principal_components(images, least_variance=0.0125)[:2], whole[:2], strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_projecting_twice_changes_nothing_more(fitted):
    noisy = torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(0))
    once = fitted(noisy)
    assert once.shape == noisy.shape
    assert (once - noisy).norm() > 1
    torch.testing.assert_close(fitted(once), once, rtol=0, atol=2e-6)


def test_the_layer_reconstructs_as_scikit_learns_pca_of_the_same_size_does(fitted, images):
    reference = PCA(n_components=fitted.directions.shape[1]).fit(images.flatten(1).numpy() / 255)
    noisy = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0))
    expected = reference.inverse_transform(reference.transform(noisy.flatten(1).numpy()))
    np.testing.assert_allclose(fitted(noisy).flatten(1), expected, atol=2e-6)


def test_directions_with_variance_above_tau_times_that_of_the_noise_are_kept(images):
    spectrum = PCA().fit(images.flatten(1).numpy() / 255).explained_variance_
    kept = {}
    for sigma in (0.25, 0.5):
        for tau in (0.1, 0.2, 1.0):
            model = PcaPrefix(network=Small(), sigma=sigma, threshold=tau).build(SHAPE, 10)
            model.projection.fit(images)
            kept[sigma, tau] = model.projection.directions.shape[1]
            assert kept[sigma, tau] == (spectrum > tau * sigma**2).sum()
    assert len(set(kept.values())) >= 4


def test_noise_in_the_dropped_directions_is_removed_and_in_the_kept_ones_stays(fitted, images):
    """Isotropic noise keeps the share k / D of its energy."""
    clean = fitted.mean.view(1, *SHAPE)
    noise = torch.randn(4000, *SHAPE, generator=torch.Generator().manual_seed(0))
    left = (fitted(clean + noise) - clean).square().sum() / noise.square().sum()
    assert left.item() == pytest.approx(fitted.directions.shape[1] / 48, rel=0.02)


def test_the_fitted_layer_is_saved_and_loaded_with_the_network(images):
    architecture = PcaPrefix(network=Small(), sigma=0.25, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.2))
    model = architecture.build(SHAPE, 10)
    for module in model.modules():
        if isinstance(module, FitsImages):
            module.fit(images)
    inputs = torch.rand(4, *SHAPE)
    for assign in (False, True):
        with torch.device("meta" if assign else "cpu"):
            other = architecture.build(SHAPE, 10)
        other.load_state_dict(model.state_dict(), assign=assign)
        assert torch.equal(other(inputs), model(inputs))


def test_normalization_follows_the_projection(fitted, images):
    architecture = PcaPrefix(network=Small(), sigma=0.25, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    model = architecture.build(SHAPE, 10)
    model.projection.fit(images)
    inputs = torch.rand(4, *SHAPE)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (architecture.mean, architecture.std))
    torch.testing.assert_close(model(inputs), model.network.network((fitted(inputs) - mean) / std))


def test_half_precision_does_not_reach_the_projection(fitted):
    inputs = torch.rand(4, *SHAPE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = fitted(inputs)
    assert torch.equal(found, fitted(inputs))


def test_a_layer_that_was_never_fitted_refuses_to_work():
    with pytest.raises(GauntletError, match="fit the layer"):
        PrincipalProjection(48, 0.1)(torch.rand(1, *SHAPE))


def test_the_plan_can_count_operations_before_the_layer_is_fitted():
    network = {"name": "resnet_cifar", "depth": 8}
    specification = {"architecture": network, "input_shape": [3, 16, 16], "classes": 10, "seed": 0}
    prefixed = {**specification, "architecture": {"name": "pca_prefix", "network": network, "sigma": 0.25}}
    assert forward_flops(prefixed) == forward_flops(specification) > 0


def test_images_without_variance_are_refused():
    with pytest.raises(ConfigurationError, match="variance"):
        PrincipalProjection(48, 0.1).fit(torch.full((5, *SHAPE), 7, dtype=torch.uint8))


def test_the_prefix_is_described_by_its_network():
    specification = {"name": "pca_prefix", "network": {"name": "resnet_cifar", "depth": 8}, "sigma": "1/4"}
    architecture = ARCHITECTURES.parse(specification)
    assert ARCHITECTURES.parse(ARCHITECTURES.dump(architecture)) == architecture
    with pytest.raises(ConfigurationError, match="mean and std"):
        ARCHITECTURES.parse({**specification, "mean": [0.5, 0.5, 0.5]})
