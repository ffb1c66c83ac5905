"""The two published MNIST networks of chen2021: made-up files of their layouts, and the files themselves."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from gauntlet.configuration import load_catalogue
from gauntlet.datasets.reading import parse_idx
from gauntlet.errors import DataError
from gauntlet.models import build_model, load_model
from gauntlet.runtime.files import file_sha256
from gauntlet.training.importing import import_checkpoint

CONFIG = Path(__file__).parents[3] / "config"


def published(architecture, file, layout):
    return {
        "architecture": {"name": "cnn", "layers": architecture},
        "input_shape": [1, 12, 10],
        "classes": 10,
        "normalization": {"mean": [0.5], "std": [1.0]},
        "checkpoint": {"file": file.name, "page": "p", "sha256": file_sha256(file), "format": layout},
        "seed": 0,
    }


@pytest.fixture
def file(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints" / "net"


SMALL = [
    {"layer": "conv", "channels": 3},
    {"layer": "max_pool"},
    {"layer": "linear", "units": 6},
    {"layer": "dropout"},
]


def write_keras(file, layers):
    """Write layers as Keras does: names in order, kernels channels last, empty layers between."""
    import h5py

    with h5py.File(file, "w") as content:
        group = content.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in layers]
        for name, weights in layers.items():
            group.create_group(name)
            group[name].attrs["weight_names"] = [f"{name}/{part}:0".encode() for part in weights]
            for part, values in weights.items():
                group[name].create_dataset(f"{name}/{part}:0", data=values.numpy())


def keras_layers():
    torch.manual_seed(0)
    return {
        "conv2d_2": {"kernel": torch.randn(3, 3, 1, 3), "bias": torch.randn(3)},
        "max_pooling2d_1": {},
        "flatten_1": {},
        "dense_10": {"kernel": torch.randn(5 * 4 * 3, 6), "bias": torch.randn(6)},
        "dense_2": {"kernel": torch.randn(6, 10), "bias": torch.randn(10)},
    }


def test_a_keras_network_computes_what_its_layers_compute_channels_last(file, tmp_path):
    layers = keras_layers()
    write_keras(file, layers)
    import_checkpoint(
        published(SMALL, file, "keras"), tmp_path / "out", tmp_path, tmp_path, tmp_path / "lock.json"
    )
    images = torch.rand(4, 1, 12, 10)
    kernel, bias = layers["conv2d_2"].values()
    windows = (images[:, 0] - 0.5).unfold(1, 3, 1).unfold(2, 3, 1)
    maps = torch.einsum("nyxhw,hwio->nyxo", windows, kernel) + bias
    pooled = functional.max_pool2d(maps.relu().permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    hidden = (pooled.flatten(1) @ layers["dense_10"]["kernel"] + layers["dense_10"]["bias"]).relu()
    logits = hidden @ layers["dense_2"]["kernel"] + layers["dense_2"]["bias"]
    torch.testing.assert_close(load_model(tmp_path / "out")(images), logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers: layers.pop("dense_2"), "lacks tensors"),
        (lambda layers: layers.update(extra=layers["dense_2"]), "the network has not: extra"),
        (lambda layers: layers.update(norm={"gamma": torch.ones(3)}), "the layer norm is neither"),
    ],
    ids=["missing", "unknown", "batch norm"],
)
def test_a_keras_network_that_does_not_fit_is_refused(change, message, file, tmp_path):
    layers = keras_layers()
    change(layers)
    write_keras(file, layers)
    with pytest.raises(DataError, match=message):
        import_checkpoint(
            published(SMALL, file, "keras"), tmp_path / "out", tmp_path, tmp_path, tmp_path / "lock.json"
        )


def test_an_hdf5_file_without_layers_is_refused(file, tmp_path):
    import h5py

    with h5py.File(file, "w") as content:
        content.create_group("something")
    with pytest.raises(DataError, match="cannot be read"):
        import_checkpoint(
            published(SMALL, file, "keras"), tmp_path / "out", tmp_path, tmp_path, tmp_path / "lock.json"
        )


def at_small_scale(name):
    return load_catalogue(CONFIG, {"scale": "small"}).model_specification(name)


def test_the_normed_network_is_read_from_features_and_dense_layers_behind_module(file, tmp_path):
    job = at_small_scale("chen-mnist-cnn7")
    network = build_model(job | {"seed": 7})
    dense = {"15": "fc1", "18": "fc2", "21": "fc3"}
    state = {}
    for name, tensor in network.state_dict().items():
        layer, _, part = name.partition(".")
        if part != "num_batches_tracked":
            state[f"module.{dense.get(layer, f'features.{layer}')}.{part}"] = tensor
    torch.save(state, file)
    job["checkpoint"] = {"file": file.name, "page": "p", "sha256": file_sha256(file), "format": "rays_mnist"}
    import_checkpoint(job, tmp_path / "out", tmp_path, tmp_path, tmp_path / "lock.json")
    images = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(load_model(tmp_path / "out")(images), network.eval()(images))


@pytest.mark.shared
@pytest.mark.parametrize("name", ["chen-mnist-cnn7", "chen-mnist-cnn6"])
def test_a_published_network_is_right_on_99_of_100_real_digits(name, shared_data, tmp_path):
    import_checkpoint(at_small_scale(name), tmp_path / "out", shared_data, tmp_path, tmp_path / "lock.json")
    images, labels = (
        torch.from_numpy(
            parse_idx(
                gzip.decompress((shared_data / "mnist" / f"t10k-{part}-ubyte.gz").read_bytes()),
                part,
                dimensions=dimensions,
            )[:1000].copy()
        )
        for part, dimensions in (("images-idx3", 3), ("labels-idx1", 1))
    )
    with torch.no_grad():
        logits = load_model(tmp_path / "out")(images[:, None].float() / 255)
    assert (logits.argmax(1) == labels).float().mean() > 0.98
