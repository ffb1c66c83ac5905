"""Models are built from, saved to and loaded by their specification."""

from __future__ import annotations

import pytest
import torch

import gauntlet
from gauntlet.errors import ConfigurationError, DataError, ResourceUnavailable
from gauntlet.models import build_model, forward_flops, load_model, parameter_count, save_weights, to_device
from gauntlet.runtime.files import write_json

LINEAR = {"name": "cnn", "layers": []}


def specification(architecture=None, normalization=None, shape=(3, 8, 8), classes=4, seed=0):
    return {
        "architecture": architecture or {"name": "resnet_cifar", "depth": 8, "width": 4},
        "input_shape": list(shape),
        "classes": classes,
        "normalization": normalization,
        "seed": seed,
    }


def test_normalization_is_subtracted_and_divided_per_channel():
    model = build_model(
        specification(LINEAR, {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.25, 1.0]}, (3, 1, 1), 3)
    )
    linear = model.network[-1]
    torch.nn.init.eye_(linear.weight)
    torch.nn.init.zeros_(linear.bias)
    image = torch.tensor([0.6, 0.7, 0.8]).view(1, 3, 1, 1)
    torch.testing.assert_close(model(image), torch.tensor([[1.0, 2.0, 0.5]]))


def test_the_seed_alone_determines_the_weights():
    first, again, other = (build_model(specification(seed=seed)).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build_model(specification())
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("normalization", [None, {"mean": [0.5] * 3, "std": [0.2] * 3}])
def test_a_saved_model_loads_with_the_same_logits(tmp_path, normalization):
    job = specification(normalization=normalization)
    model = build_model(job).train()
    images = torch.rand(5, 3, 8, 8)
    model(images)  # moves the running statistics away from their initial values
    save_weights(model, tmp_path)
    write_json(tmp_path / "manifest.json", {"specification": job})
    loaded = load_model(tmp_path)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    torch.testing.assert_close(loaded(images), model.eval()(images))


def test_parameters_require_gradients_only_when_asked(tmp_path):
    job = specification()
    save_weights(build_model(job), tmp_path)
    write_json(tmp_path / "manifest.json", {"specification": job})
    assert all(p.requires_grad for p in load_model(tmp_path, parameter_gradients=True).parameters())


def test_weights_of_another_architecture_are_refused_by_name(tmp_path):
    save_weights(build_model(specification()), tmp_path)
    job = specification({"name": "resnet_cifar", "depth": 14, "width": 4})
    write_json(tmp_path / "manifest.json", {"specification": job})
    with pytest.raises(DataError, match=r"weights\.safetensors"):
        load_model(tmp_path)


@pytest.mark.parametrize("last", [False, True])
def test_every_flipped_bit_of_the_weights_is_found(tmp_path, last):
    job = specification(LINEAR)
    hashes = save_weights(build_model(job), tmp_path, last=last)
    write_json(tmp_path / "manifest.json", {"specification": job, **hashes})
    (file,) = tmp_path.glob("*.safetensors")
    content = file.read_bytes()
    for place in range(0, len(content), len(content) // 50):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(DataError, match=f"{file.name} is damaged"):
            load_model(tmp_path, last=last)
    file.write_bytes(content)
    load_model(tmp_path, last=last)


def test_flops_of_a_linear_model_are_twice_its_weights():
    """192 inputs times 4 logits are 768 multiply-adds, each a multiplication and an addition."""
    assert forward_flops(specification(LINEAR)) == 2 * 192 * 4
    assert parameter_count(build_model(specification(LINEAR))) == 192 * 4 + 4


@pytest.mark.parametrize(
    ("architecture", "shape", "classes", "giga_macs"),
    [
        ({"name": "resnet", "depth": 50}, (3, 32, 32), 10, 1.30),
        ({"name": "preact_resnet"}, (3, 32, 32), 10, 0.56),
        ({"name": "resnet_cifar", "depth": 110}, (3, 32, 32), 10, 0.25),
        ({"name": "wide_resnet", "depth": 34, "width": 10}, (3, 32, 32), 10, 6.659),
        ({"name": "torchvision_resnet50"}, (3, 224, 224), 1000, 4.1),
    ],
)
def test_flops_agree_with_the_multiply_adds_that_the_works_state(architecture, shape, classes, giga_macs):
    flops = forward_flops(specification(architecture, shape=shape, classes=classes))
    assert flops / 2e9 == pytest.approx(giga_macs, rel=0.02)


def test_a_model_loads_by_its_name_or_folder_and_is_the_same(load_toy, tmp_path):
    origin = load_toy().origins["toy-4"]
    written = specification(LINEAR)
    folder = tmp_path / "results" / "demo" / "models" / origin
    folder.mkdir(parents=True)
    save_weights(build_model(written), folder)
    write_json(folder / "manifest.json", {"specification": written})
    (tmp_path / "config").symlink_to(tmp_path)
    image = torch.rand(2, 3, 8, 8)
    by_name = gauntlet.load_model("toy-4", "demo", config=tmp_path / "config")
    assert torch.equal(by_name(image), gauntlet.load_model(folder)(image))


def test_a_model_that_is_not_made_yet_comes_with_the_command_that_makes_it(load_toy, tmp_path):
    load_toy()
    with pytest.raises(
        ResourceUnavailable, match=r"snakemake .* results/demo/models/toy-8/weights\.safetensors"
    ):
        gauntlet.load_model("toy-8", config=tmp_path)


def test_an_unknown_model_is_refused_with_the_nearest_names(load_toy, tmp_path):
    load_toy()
    with pytest.raises(ConfigurationError, match="did you mean toy-4"):
        gauntlet.load_model("toy-44", config=tmp_path)


@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "guarded"),
    [(1, 1, 2, True), (4, 1, 2, True), (7, 1, 3, True), (8, 1, 2, False), (4, 1, 1, False), (4, 3, 2, False)],
)
def test_only_strided_one_by_one_convolutions_of_few_channels_do_not_compute_channels_last(
    channels, kernel, stride, guarded
):
    layer = torch.nn.Conv2d(channels, 16, kernel, stride)
    images = torch.rand(2, channels, 9, 9)
    expected = layer(images)
    found = to_device(layer, "cpu")(images.to(memory_format=torch.channels_last))
    assert found.is_contiguous(memory_format=torch.channels_last) is not guarded
    torch.testing.assert_close(found, expected)
