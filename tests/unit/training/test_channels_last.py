"""Files of TensorFlow's networks, in MATLAB's and NumPy's formats, compute what their layers compute channels last."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.io import savemat
from torch.nn import functional as F

from gauntlet.errors import DataError
from gauntlet.models import load_model
from gauntlet.runtime.files import file_sha256
from gauntlet.training.importing import import_checkpoint

CLASSES, SIDE = 5, 8


def convolved(images, kernel, stride=1):
    """TensorFlow's convolution with SAME padding: images ``[N, H, W, C]``, kernel height x width x input x output."""
    size = kernel.shape[0]
    needed = max((-(-images.shape[1] // stride) - 1) * stride + size - images.shape[1], 0)
    before, after = needed // 2, needed - needed // 2
    windows = (
        F.pad(images, (0, 0, before, after, before, after)).unfold(1, size, stride).unfold(2, size, stride)
    )
    return torch.einsum("nyxchw,hwco->nyxo", windows, torch.from_numpy(kernel))


def pooled(images, pool, side):
    """Pool over squares of images with their channels last."""
    return pool(images.permute(0, 3, 1, 2), side).permute(0, 2, 3, 1)


def stack(images, layers, strides, pools):
    """Logits of convolutions and dense layers, pairs of kernel and bias (or None), ReLUs between them."""
    values = images
    for number, (kernel, bias) in enumerate(layers):
        if kernel.ndim == 4:
            values = convolved(values, kernel, strides[number])
        else:
            values = values.flatten(1) @ torch.from_numpy(kernel)
        values = values if bias is None else values + torch.from_numpy(bias)
        if number < len(layers) - 1:
            values = values.relu()
        if number in pools:
            values = pooled(values, F.max_pool2d, 2)
    return values


def random_layers(rng, convolutions, dense, channels, *, bias=True):
    """Draw kernels and biases: ``convolutions`` are pairs of output channels and kernel size."""
    layers = []
    for outputs, size in convolutions:
        kernel = (rng.normal(size=(size, size, channels, outputs)) / (size * channels**0.5)).astype(
            np.float32
        )
        layers.append((kernel, rng.normal(size=outputs).astype(np.float32) if bias else None))
        channels = outputs
    for inputs, outputs in dense:
        layers.append(
            (
                rng.normal(size=(inputs, outputs)).astype(np.float32),
                rng.normal(size=outputs).astype(np.float32),
            )
        )
    return layers


def architecture(convolutions, strides, pools, units, *, bias=True):
    layers = []
    for number, (channels, kernel) in enumerate(convolutions):
        layers.append(
            {
                "layer": "conv",
                "channels": channels,
                "kernel": kernel,
                "stride": strides[number],
                "padding": "same",
                "bias": bias,
            }
        )
        if number in pools:
            layers.append({"layer": "max_pool"})
    return {"name": "cnn", "layers": [*layers, {"layer": "linear", "units": units}]}


def imported(folder, name, write, arrays, layout, network, channels):
    """Write arrays as a publisher does, import them, and return the model."""
    file = folder / "checkpoints" / name
    file.parent.mkdir(parents=True)
    write(file, arrays)
    job = {
        "architecture": network,
        "input_shape": [channels, SIDE, SIDE],
        "classes": CLASSES,
        "normalization": None,
        "checkpoint": {"file": name, "page": "p", "sha256": file_sha256(file), "format": layout},
        "seed": 0,
    }
    import_checkpoint(job, folder / "out", folder, folder, folder / "lock.json")
    return load_model(folder / "out")


def alternating(names):
    """Arrays of layers, kernel and bias in turns."""
    return lambda layers: dict(zip(names, [array for layer in layers for array in layer], strict=True))


def mmr(layers):
    names = ("conv1", "conv2", "fc1", "fc2")
    kernels = {f"weights_{name}": kernel for name, (kernel, _) in zip(names, layers, strict=True)}
    return kernels | {f"biases_{name}": bias for name, (_, bias) in zip(names, layers, strict=True)}


def fab_cifar(layers):
    (first, first_bias), (last, last_bias) = layers[8:]
    kernels = [kernel for kernel, _ in layers[:8]]
    return {
        f"A{number}": array for number, array in enumerate([*kernels, first, first_bias, last, last_bias])
    }


def fab_cifar_plain(layers):
    kernels = {f"A{number}": kernel for number, (kernel, _) in enumerate(layers)}
    return kernels | {f"bA{number}": -bias for number, (_, bias) in enumerate(layers)}


def with_optimizer(layers):
    names = ["Variable", *(f"Variable_{number}" for number in range(1, 8))]
    arrays = alternating(names)(layers)
    slots = {
        f"{name}/{slot}": np.zeros_like(array)
        for name, array in arrays.items()
        for slot in ("Adam", "Adam_1")
    }
    return (
        slots
        | arrays
        | {"beta1_power": np.float32(0.9), "beta2_power": np.float32(1), "global_step": np.int64(9)}
    )


def write_npz(file, arrays):
    np.savez(file, **arrays)


def write_mat(file, arrays):
    savemat(file, arrays)


STRIDED = ([(3, 4), (4, 4)], [2, 2], [], [(2 * 2 * 4, 6), (6, CLASSES)])
POOLED = ([(3, 5), (4, 5)], [1, 1], [0, 1], [(2 * 2 * 4, 6), (6, CLASSES)])
DEEP = (
    [(3, 3), (3, 3), (4, 3), (4, 3), (4, 3), (5, 3), (5, 3), (6, 2)],
    [1, 1, 2, 1, 1, 2, 1, 2],
    [],
    [(6, 7), (7, CLASSES)],
)
MNIST_NAMES = [f"A{number}" for number in range(8)]
LAYOUTS = {
    "mmr": (STRIDED, mmr, "kw/p_norm=inf dataset=mnist eps=0.1.mat", write_mat, True),
    "fab_mnist": (POOLED, alternating(MNIST_NAMES), "mnist_weights_l2.mat", write_mat, True),
    "fab_cifar": (DEEP, fab_cifar, "cifar10_weights_linf.mat", write_mat, False),
    "fab_cifar_plain": (DEEP, fab_cifar_plain, "cifar10_weights_plain.mat", write_mat, True),
    "mnist_challenge": (POOLED, with_optimizer, "models/natural.npz", write_npz, True),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_network_computes_what_its_layers_compute_channels_last(layout, tmp_path):
    (convolutions, strides, pools, dense), named, file, write, bias = LAYOUTS[layout]
    layers = random_layers(np.random.default_rng(0), convolutions, dense, 2, bias=bias)
    network = architecture(convolutions, strides, pools, dense[0][1], bias=bias)
    arrays = dict(reversed(named(layers).items()))  # The order in a file means nothing.
    model = imported(tmp_path, file, write, arrays, layout, network, 2)
    images = torch.rand(3, 2, SIDE, SIDE)
    expected = stack(images.permute(0, 2, 3, 1), layers, [*strides, 1, 1], pools)
    torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-4)


def test_layers_that_the_network_has_not_are_named_and_refused(tmp_path):
    convolutions, strides, pools, dense = STRIDED
    layers = random_layers(np.random.default_rng(0), convolutions, dense, 2)
    arrays = mmr(layers) | {"weights_fc3": layers[-1][0], "epoch": np.ones(1)}
    network = architecture(convolutions, strides, pools, dense[0][1])
    with pytest.raises(DataError, match=r"has not: fc3\.weight, epoch"):
        imported(tmp_path, "net.mat", write_mat, arrays, "mmr", network, 2)


UNITS = [("1_0", 2, 4), ("1_1", 4, 4), ("2_0", 4, 8), ("2_1", 8, 8), ("3_0", 8, 10), ("3_1", 10, 10)]


def challenge_arrays(rng):
    """The variables of the CIFAR-10 challenge's network, two units a stage, with the optimizer's."""

    def kernel(size, inputs, outputs):
        return rng.normal(size=(size, size, inputs, outputs)).astype(np.float32) / 3

    def norm(scope, channels):
        draws = rng.uniform(0.01, 1, size=(4, channels)).astype(np.float32)
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        return {f"{scope}/BatchNorm/{name}": values for name, values in zip(names, draws, strict=True)}

    arrays = {"input/init_conv/DW": kernel(3, 3, 2)}
    for unit, inputs, outputs in UNITS:
        activation = "shared_activation" if unit == "1_0" else "residual_only_activation"
        arrays |= norm(f"unit_{unit}/{activation}", inputs)
        arrays[f"unit_{unit}/sub1/conv1/DW"] = kernel(3, inputs, outputs)
        arrays |= norm(f"unit_{unit}/sub2", outputs)
        arrays[f"unit_{unit}/sub2/conv2/DW"] = kernel(3, outputs, outputs)
    arrays |= norm("unit_last", 10)
    arrays |= {
        "logit/DW": kernel(1, 10, CLASSES)[0, 0],
        "logit/biases": rng.normal(size=CLASSES).astype(np.float32),
    }
    slots = {
        f"{name}/Momentum": np.zeros_like(array) for name, array in arrays.items() if "moving" not in name
    }
    return arrays | slots | {"global_step": np.int64(80000)}


def challenge_logits(arrays, images):
    """The network in TensorFlow's terms, on standardized images ``[N, H, W, C]``."""

    def activated(values, scope):
        gamma, beta, mean, variance = (
            torch.from_numpy(arrays[f"{scope}/BatchNorm/{name}"])
            for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return F.leaky_relu((values - mean) / (variance + 0.001).sqrt() * gamma + beta, 0.1)

    values = convolved(images, arrays["input/init_conv/DW"])
    for unit, inputs, outputs in UNITS:
        stride = 2 if unit in ("2_0", "3_0") else 1
        if unit == "1_0":
            values = active = activated(values, f"unit_{unit}/shared_activation")
        else:
            active = activated(values, f"unit_{unit}/residual_only_activation")
        inner = activated(
            convolved(active, arrays[f"unit_{unit}/sub1/conv1/DW"], stride), f"unit_{unit}/sub2"
        )
        shortcut = pooled(values, F.avg_pool2d, stride)
        shortcut = F.pad(shortcut, ((outputs - inputs) // 2,) * 2)
        values = convolved(inner, arrays[f"unit_{unit}/sub2/conv2/DW"]) + shortcut
    features = activated(values, "unit_last").mean((1, 2))
    return features @ torch.from_numpy(arrays["logit/DW"]) + torch.from_numpy(arrays["logit/biases"])


def test_the_network_of_the_cifar10_challenge_computes_what_tensorflow_computes(tmp_path):
    arrays = challenge_arrays(np.random.default_rng(0))
    network = {"name": "challenge_resnet", "widths": [4, 8, 10], "blocks": 2, "stem": 2}
    model = imported(tmp_path, "models/secret.npz", write_npz, arrays, "cifar10_challenge", network, 3)
    images = torch.rand(3, 3, SIDE, SIDE)
    standardized = (images - images.mean((1, 2, 3), keepdim=True)) / 0.21
    expected = challenge_logits(arrays, standardized.permute(0, 2, 3, 1))
    torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-4)
