"""Every architecture has as many parameters as its publication says."""

from __future__ import annotations

import pytest
import torch

from gauntlet.contracts import ARCHITECTURES
from gauntlet.models import forward_flops, parameter_count


def conv(channels, **settings):
    return {"layer": "conv", "channels": channels, **settings}


def linear(units):
    return {"layer": "linear", "units": units}


POOL = {"layer": "max_pool"}

CARLINI_WAGNER_MNIST = [conv(32), conv(32), POOL, conv(64), conv(64), POOL, linear(200), linear(200)]
OPT_ATTACK_CIFAR = [
    *(conv(64, batch_norm=True), conv(64, batch_norm=True), POOL),
    *(conv(128, batch_norm=True), conv(128, batch_norm=True), POOL),
    *(linear(256), {"layer": "dropout"}, linear(256), {"layer": "dropout"}),
]
MNIST_CHALLENGE = [
    *(conv(32, kernel=5, padding="same"), POOL, conv(64, kernel=5, padding="same"), POOL, linear(1024)),
]
WONG_KOLTER_SMALL = [
    conv(16, kernel=4, stride=2, padding="same"),
    conv(32, kernel=4, stride=2, padding="same"),
    linear(100),
]
EIGHT_CONVOLUTIONS = [
    *(conv(96, padding="same"), conv(96, padding="same"), conv(192, stride=2, padding="same")),
    *(conv(192, padding="same"), conv(192, padding="same"), conv(192, stride=2, padding="same")),
    *(conv(192, padding="same"), conv(384, kernel=2, stride=2, padding="same"), linear(1200)),
]
LENET = [conv(32, kernel=5), POOL, conv(64, kernel=5), POOL, linear(512)]

MNIST, CIFAR, TINY, IMAGENET = (1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 224, 224)


@pytest.mark.parametrize(
    ("architecture", "shape", "classes", "parameters"),
    [
        ({"name": "torchvision_resnet50"}, IMAGENET, 1000, 25_557_032),
        ({"name": "noisy_mlp"}, MNIST, 10, 2_395_210),
        ({"name": "torchvision_inception_v3"}, IMAGENET, 1000, 23_834_568),
        ({"name": "resnet", "depth": 50}, CIFAR, 10, 23_520_842),
        ({"name": "resnet", "depth": 18}, CIFAR, 10, 11_173_962),
        ({"name": "preact_resnet"}, CIFAR, 10, 11_172_170),
        ({"name": "nin"}, CIFAR, 10, 966_986),
        ({"name": "whitened", "network": {"name": "nin"}}, CIFAR, 10, 966_986),
        ({"name": "resnet_cifar", "depth": 110}, CIFAR, 10, 1_730_714),
        ({"name": "wide_resnet", "depth": 34, "width": 10}, CIFAR, 10, 46_160_474),
        ({"name": "wide_resnet", "depth": 34, "width": 5}, CIFAR, 100, 11_582_964),
        ({"name": "wide_resnet", "depth": 34, "width": 1}, CIFAR, 10, 466_714),
        ({"name": "wide_resnet", "depth": 34, "width": 0.5}, CIFAR, 10, 118_458),
        ({"name": "wide_resnet", "depth": 34, "width": 2}, CIFAR, 10, 1_855_578),
        ({"name": "wide_resnet", "depth": 34, "width": 5}, CIFAR, 10, 11_554_074),
        ({"name": "wide_resnet", "depth": 34, "width": 10}, CIFAR, 100, 46_218_164),
        ({"name": "wide_resnet", "depth": 34, "width": 20}, CIFAR, 10, 184_531_674),
        ({"name": "wide_resnet", "depth": 28, "width": 10}, CIFAR, 10, 36_479_194),
        ({"name": "wide_resnet", "depth": 28, "width": 20}, CIFAR, 10, 145_815_514),
        ({"name": "resnet", "depth": 18}, CIFAR, 100, 11_220_132),
        ({"name": "resnet", "depth": 50, "first_stride": 2}, TINY, 200, 23_910_152),
        ({"name": "densenet", "depth": 40, "growth": 12}, CIFAR, 10, 176_122),
        ({"name": "densenet", "depth": 40, "growth": 64}, CIFAR, 10, 4_846_346),
        ({"name": "cnn", "layers": CARLINI_WAGNER_MNIST}, MNIST, 10, 312_202),
        ({"name": "cnn", "layers": OPT_ATTACK_CIFAR}, CIFAR, 10, 1_148_746),
        ({"name": "cnn", "layers": MNIST_CHALLENGE}, MNIST, 10, 3_274_634),
        ({"name": "cnn", "layers": WONG_KOLTER_SMALL}, MNIST, 10, 166_406),
        ({"name": "cnn", "layers": EIGHT_CONVOLUTIONS}, CIFAR, 10, 9_260_986),
        ({"name": "cnn", "layers": LENET}, MNIST, 10, 582_026),
        ({"name": "cnn", "layers": [linear(1000)] * 3}, MNIST, 10, 2_797_010),
    ],
)
def test_parameter_count_is_the_published_one(architecture, shape, classes, parameters):
    with torch.device("meta"):
        network = ARCHITECTURES.parse(architecture).build(shape, classes)
    assert parameter_count(network) == parameters
    assert network(torch.empty(2, *shape, device="meta")).shape == (2, classes)


@pytest.mark.parametrize(
    ("architecture", "shape", "multiplications"),
    [
        ({"name": "densenet", "growth": 12}, CIFAR, 0.0724e9),
        ({"name": "densenet", "growth": 64}, CIFAR, 2.043e9),
        ({"name": "resnet", "depth": 50, "first_stride": 2}, TINY, 1.316e9),
        ({"name": "resnet", "depth": 50}, TINY, 5.19e9),
        ({"name": "wide_resnet", "depth": 34, "width": 0.5}, CIFAR, 0.0183e9),
    ],
)
def test_a_pass_takes_as_many_multiplications_as_the_specification_derives(
    architecture, shape, multiplications
):
    specification = {"architecture": architecture, "input_shape": shape, "classes": 200, "seed": 0}
    assert forward_flops(specification) / 2 == pytest.approx(multiplications, rel=0.01)


def test_a_deep_stack_tells_images_apart_from_the_start_with_he_initialization_only():
    """Eight convolutions without batch norm: torch's initialization shrinks differences to nothing."""
    torch.manual_seed(0)
    images = torch.rand(4, *CIFAR)
    spread = {
        initialization: ARCHITECTURES.parse(
            {"name": "cnn", "layers": EIGHT_CONVOLUTIONS, "initialization": initialization}
        )
        .build(CIFAR, 10)(images)
        .std(0)
        .mean()
        .item()
        for initialization in ("default", "he")
    }
    assert spread["default"] < 1e-3
    assert spread["he"] > 0.01


def test_an_initialization_that_is_the_default_leaves_the_specification_as_it_was():
    assert "initialization" not in ARCHITECTURES.normalize({"name": "cnn", "layers": []})
    assert (
        ARCHITECTURES.normalize({"name": "cnn", "layers": [], "initialization": "he"})["initialization"]
        == "he"
    )
