"""Synthetic checkpoints in each publisher's layout fill our networks completely."""

from __future__ import annotations

import argparse
import os
import re
from functools import partial

import pytest
import torch
from safetensors.torch import load_file, save_file

from gauntlet.errors import DataError
from gauntlet.models import bare_network, build_model, load_model
from gauntlet.runtime.files import file_sha256, read_json
from gauntlet.training.importing import import_checkpoint

CIFAR_MEAN, CIFAR_STD = [0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]


def specification(architecture, file, layout, **more):
    return {
        "architecture": architecture,
        "input_shape": [3, 16, 16],
        "classes": 10,
        "normalization": {"mean": CIFAR_MEAN, "std": CIFAR_STD},
        "checkpoint": {"file": file.name, "page": "p", "sha256": file_sha256(file), "format": layout},
        "seed": 0,
        **more,
    }


def imported(job, folder):
    """Import a checkpoint that lies in the folder, into its subfolder ``out``."""
    import_checkpoint(job, folder / "out", folder, folder, folder / "lock.json")


def random_network(architecture):
    """A network of ours whose every tensor is random, batch statistics included."""
    model = build_model({"architecture": architecture, "input_shape": [3, 16, 16], "classes": 10, "seed": 1})
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 1)
    return model


def renamed(network, *rules, prefix=""):
    """State of a network of ours under a publisher's names."""
    state = {}
    for name, tensor in network.state_dict().items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        state[prefix + name] = tensor.clone()
    return state


RESNET50 = {"name": "resnet", "depth": 50, "width": 4}
PREACT = {"name": "preact_resnet", "blocks": [2, 1], "width": 4}
THIN = {"name": "resnet_cifar", "depth": 14, "width": 4}
WIDE = {"name": "wide_resnet", "depth": 10, "width": 1}

normalizer = {
    "module.normalizer.new_mean": torch.tensor(CIFAR_MEAN).view(3, 1, 1),
    "module.normalizer.new_std": torch.tensor(CIFAR_STD).view(3, 1, 1),
}


def madrylab(network):
    """The network twice, once inside the attacker, and the normalizer; batches are not counted."""
    rules = [(r"downsample\.", "shortcut."), (r"^fc\.", "linear.")]
    state = renamed(network, *rules, prefix="module.model.") | normalizer
    state = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    state |= {
        f"module.attacker.{name.removeprefix('module.')}": torch.zeros_like(t) for name, t in state.items()
    }
    return {"model": state, "epoch": 150, "optimizer": {"lr": 0.1}, "schedule": partial(max, 1)}


def locuslab(network):
    return renamed(network, (r"downsample\.", "shortcut.0."), (r"^fc\.", "linear."))


def locuslab_imagenet(network):
    return {
        "epoch": 15,
        "arch": "resnet50",
        "state_dict": renamed(network, prefix="module."),
        "best_prec1": 60.9,
    }


def hadisalman(network):
    return {"epoch": 150, "arch": "cifar_resnet110", "state_dict": renamed(network, prefix="1.")}


def trades(network):
    """Blocks by another name, the last batch norm as ``bn1``, and a first block once more, never run."""
    rules = [(r"^bn\.", "bn1."), (r"^layer(\d)\.", r"block\1.layer."), (r"downsample\.", "convShortcut.")]
    state = renamed(network, *rules)
    unused = {name.replace("block1", "sub_block1"): t + 1 for name, t in state.items() if "block1" in name}
    return state | unused


def inception(network):
    return renamed(network) | {"AuxLogits.fc.weight": torch.zeros(1000, 768)}


LAYOUTS = {
    "torchvision": (RESNET50, inception),
    "madrylab_cifar": (RESNET50, madrylab),
    "madrylab_imagenet": (RESNET50, lambda network: {"state_dict": renamed(network, prefix="module.model.")}),
    "locuslab_cifar": (PREACT, locuslab),
    "locuslab_imagenet": (RESNET50, locuslab_imagenet),
    "hadisalman_cifar": (THIN, hadisalman),
    "trades_cifar": (WIDE, trades),
}


@pytest.fixture
def publish(tmp_path):
    """Save a content as a checkpoint file in the data root."""

    def save(content, name="net.pt", **how):
        file = tmp_path / "checkpoints" / name
        file.parent.mkdir(exist_ok=True)
        torch.save(content, file, **how)
        return file

    return save


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_tensor_of_a_published_network_arrives(layout, zipped, publish, tmp_path):
    architecture, published = LAYOUTS[layout]
    network = random_network(architecture).eval()
    file = publish(published(network), _use_new_zipfile_serialization=zipped)
    imported(specification(architecture, file, layout), tmp_path)
    model = load_model(tmp_path / "out")
    images = torch.rand(3, 3, 16, 16)
    normal = (images - torch.tensor(CIFAR_MEAN).view(3, 1, 1)) / torch.tensor(CIFAR_STD).view(3, 1, 1)
    torch.testing.assert_close(model(images), network(normal))
    own = bare_network(model).state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(own[name], tensor), name
    assert read_json(tmp_path / "out" / "manifest.json")["checkpoint_sha256"] == file_sha256(file)


@pytest.mark.parametrize(
    ("container", "prefix"),
    [("state_dict", "module."), ("net", "module."), ("net", "module.basic_net."), ("net", "basic_net.")],
)
def test_a_wide_network_is_found_under_every_wrapper_it_was_published_in(
    container, prefix, publish, tmp_path
):
    network = random_network(WIDE)
    state = {prefix + name: tensor for name, tensor in trades(network).items() if "sub_block" not in name}
    file = publish({container: state, "epoch": 200})
    imported(specification(WIDE, file, "trades_cifar"), tmp_path)
    own = bare_network(load_model(tmp_path / "out")).state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(own[name], tensor), name


def test_a_torchvision_network_of_the_library_itself_arrives(publish, tmp_path):
    from torchvision.models import resnet50

    published = resnet50(num_classes=10)
    file = publish(published.state_dict())
    job = specification({"name": "torchvision_resnet50"}, file, "torchvision", normalization=None)
    imported(job, tmp_path)
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(
        load_model(tmp_path / "out")(images), published.eval()(images), rtol=1e-4, atol=1e-4
    )


def test_the_history_of_an_import_is_empty(publish, tmp_path):
    import pandas as pd

    file = publish(renamed(random_network(THIN)))
    imported(specification(THIN, file, "torchvision"), tmp_path)
    history = pd.read_parquet(tmp_path / "out" / "history.parquet")
    assert history.empty
    assert {"epoch", "loss", "test_accuracy"} <= set(history.columns)


def test_safetensors_are_read_too(tmp_path):
    network = random_network(THIN)
    (tmp_path / "checkpoints").mkdir()
    file = tmp_path / "checkpoints" / "net.safetensors"
    save_file(renamed(network), file)
    imported(specification(THIN, file, "torchvision"), tmp_path)
    assert torch.equal(
        load_file(tmp_path / "out" / "weights.safetensors")["network.fc.bias"], network.fc.bias
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("layer2.0.conv1.weight"), r"lacks .*layer2\.0\.conv1\.weight"),
        (lambda state: state.update(extra=torch.zeros(1)), "has not: extra"),
        (lambda state: state.update({"fc.bias": torch.zeros(7)}), r"fc\.bias \(7,\) instead of \(10,\)"),
    ],
    ids=["missing", "unknown", "reshaped"],
)
def test_a_network_that_does_not_fit_is_refused_by_its_tensors_names(change, message, publish, tmp_path):
    state = renamed(random_network(THIN))
    change(state)
    file = publish(state)
    with pytest.raises(DataError, match=message):
        imported(specification(THIN, file, "torchvision"), tmp_path)
    assert not (tmp_path / "out" / "weights.safetensors").exists()


@pytest.mark.parametrize("normalization", [None, {"mean": [0.5] * 3, "std": CIFAR_STD}])
def test_a_normalization_other_than_the_checkpoints_is_refused(normalization, publish, tmp_path):
    file = publish(madrylab(random_network(RESNET50)))
    job = specification(RESNET50, file, "madrylab_cifar", normalization=normalization)
    with pytest.raises(DataError, match=r"normalization\.mean"):
        imported(job, tmp_path)


class Touch:
    """Would create a file while it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_code_inside_a_checkpoint_never_runs(zipped, publish, tmp_path):
    content = {"state_dict": renamed(random_network(THIN), prefix="1."), "trap": Touch(tmp_path / "touched")}
    file = publish(content, _use_new_zipfile_serialization=zipped)
    imported(specification(THIN, file, "hadisalman_cifar"), tmp_path)
    assert not (tmp_path / "touched").exists()


class Shell:
    """Would run a command while it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_what_reaches_for_the_operating_system_is_refused(publish, tmp_path):
    file = publish(hadisalman(random_network(THIN)) | {"trap": Shell(tmp_path / "touched")})
    with pytest.raises(DataError, match="safetensors"):
        imported(specification(THIN, file, "hadisalman_cifar"), tmp_path)
    assert not (tmp_path / "touched").exists()


def test_settings_saved_beside_the_tensors_do_no_harm(publish, tmp_path):
    content = hadisalman(random_network(THIN)) | {"args": argparse.Namespace(lr=0.1), "done": {1, 2}}
    file = publish(content)
    imported(specification(THIN, file, "hadisalman_cifar"), tmp_path)
    assert (tmp_path / "out" / "weights.safetensors").exists()


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {"epoch": 3}}, {"weights": {}, "epoch": 1}])
def test_a_file_without_a_mapping_of_tensors_is_refused(content, publish, tmp_path):
    file = publish(content)
    with pytest.raises(DataError, match="no mapping of tensors"):
        imported(specification(THIN, file, "hadisalman_cifar"), tmp_path)


@pytest.mark.parametrize("name", ["net.pt", "net.safetensors"])
def test_a_file_that_is_no_checkpoint_is_refused(name, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    file = tmp_path / "checkpoints" / name
    file.write_bytes(b"<html>quota exceeded</html>")
    with pytest.raises(DataError, match=name):
        imported(specification(THIN, file, "hadisalman_cifar"), tmp_path)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.99])
def test_a_truncated_checkpoint_is_called_truncated_and_not_dangerous(kept, zipped, publish, tmp_path):
    file = publish(locuslab(random_network(THIN)), _use_new_zipfile_serialization=zipped)
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match=r"net.pt cannot be read: it is truncated"):
        imported(specification(THIN, file, "hadisalman_cifar"), tmp_path)


def test_a_flipped_bit_of_a_zipped_checkpoint_is_found(publish, tmp_path):
    file = publish(locuslab(random_network(THIN)))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"net.pt cannot be read: .* not what its checksum says"):
        imported(specification(THIN, file, "hadisalman_cifar"), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensor: tensor.flatten().fill_(float("nan")).view_as(tensor), "infinite or not a number"),
        (lambda tensor: tensor / 0, "infinite or not a number"),
        (lambda tensor: tensor.to(torch.int64), "holds integers"),
    ],
)
def test_numbers_that_no_network_can_have_are_refused(change, message, publish, tmp_path):
    state = hadisalman(random_network(THIN))
    name = next(name for name in state["state_dict"] if name.endswith("conv1.weight"))
    state["state_dict"][name] = change(state["state_dict"][name] + 1)
    file = publish(state)
    with pytest.raises(DataError, match=message) as caught:
        imported(specification(THIN, file, "hadisalman_cifar"), tmp_path)
    assert "conv1.weight" in str(caught.value)
