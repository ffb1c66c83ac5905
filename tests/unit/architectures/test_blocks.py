"""What the layer plans compute."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from gauntlet.architectures.preact_resnet import PreactBlock
from gauntlet.architectures.resnet import BasicBlock
from gauntlet.contracts import ARCHITECTURES
from gauntlet.errors import ConfigurationError


def build(shape=(3, 8, 8), classes=5, **architecture):
    torch.manual_seed(0)
    return ARCHITECTURES.parse(architecture).build(shape, classes)


def without_residual(block):
    """Silence the convolutions of a block, so that its shortcut alone is left."""
    for name, parameter in block.named_parameters():
        if name.startswith("conv"):
            torch.nn.init.zeros_(parameter)
    return block.eval()


def test_shortcut_of_a_preactivation_block_reads_the_raw_or_the_activated_input():
    """Negative inputs reach the 1x1 convolution only if it reads the raw input."""
    x = -torch.rand(2, 4, 6, 6)
    raw = without_residual(PreactBlock(4, 8, 2, raw_shortcut=True))
    active = without_residual(PreactBlock(4, 8, 2, raw_shortcut=False))
    torch.testing.assert_close(raw(x), F.conv2d(x, raw.downsample.weight, stride=2))
    assert active(x).count_nonzero() == 0


def test_a_preactivation_block_of_constant_shape_adds_its_input_unchanged():
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(without_residual(PreactBlock(4, 4, 1, raw_shortcut=True))(x), x)


def test_a_basic_block_activates_after_the_addition():
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(without_residual(BasicBlock(4, 4, 1))(x), x.relu())


@pytest.mark.parametrize(
    "architecture",
    [
        {"name": "resnet", "depth": 18, "width": 4},
        {"name": "resnet", "depth": 50, "width": 4},
        {"name": "preact_resnet", "blocks": [1, 1], "width": 4},
        {"name": "resnet_cifar", "depth": 8, "width": 4},
        {"name": "wide_resnet", "depth": 10, "width": 0.25},
    ],
)
def test_images_do_not_influence_each_other_in_eval_mode(architecture):
    network = build(**architecture).eval()
    images = torch.rand(4, 3, 8, 8)
    torch.testing.assert_close(network(images)[1:2], network(images[1:2]), rtol=1e-4, atol=1e-5)


def test_resnet50_has_torchvisions_bottlenecks():
    """The stages agree tensor by tensor with torchvision's; only the stem differs, and the classes."""
    from torchvision.models import resnet50

    with torch.device("meta"):
        ours = build((3, 32, 32), 10, name="resnet", depth=50).state_dict()
        theirs = resnet50(num_classes=10).state_dict()
    assert ours.keys() == theirs.keys()
    assert {name for name in ours if ours[name].shape != theirs[name].shape} == {"conv1.weight"}


def test_resnet50_computes_what_torchvision_computes_behind_the_stem():
    from torchvision.models import resnet50

    ours = build((3, 32, 32), 10, name="resnet", depth=50).eval()
    theirs = resnet50(num_classes=10).eval()
    theirs.conv1, theirs.maxpool = ours.conv1, torch.nn.Identity()
    theirs.load_state_dict(ours.state_dict())
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-5)


def test_convolutions_of_the_thin_resnet_start_with_the_he_variance():
    weight = build((3, 32, 32), 10, name="resnet_cifar", depth=8).layer3[0].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)


@pytest.mark.parametrize(
    ("side", "kernel", "stride"), [(8, 3, 2), (7, 3, 2), (8, 4, 2), (9, 2, 2), (8, 5, 1), (8, 4, 1)]
)
def test_same_padding_keeps_ceil_of_side_over_stride_with_the_odd_zero_at_the_end(side, kernel, stride):
    """Compared with a convolution of all ones over an explicitly padded image of ones."""
    layer = {
        "layer": "conv",
        "channels": 1,
        "kernel": kernel,
        "stride": stride,
        "padding": "same",
        "bias": False,
    }
    network = build((1, side, side), 2, name="cnn", layers=[layer])
    for module in network:
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.ones_(module.weight)
    out = network[:-2](torch.ones(1, 1, side, side))
    wanted = -(-side // stride)
    zeros = max((wanted - 1) * stride + kernel - side, 0)
    padded = F.pad(torch.ones(1, 1, side, side), (zeros // 2, -(-zeros // 2)) * 2)
    torch.testing.assert_close(out, F.conv2d(padded, torch.ones(1, 1, kernel, kernel), stride=stride))
    assert out.shape[-2:] == (wanted, wanted)


@pytest.mark.parametrize(
    ("architecture", "problem"),
    [
        ({"name": "resnet_cifar", "depth": 9}, "6n"),
        ({"name": "wide_resnet", "depth": 12}, "6n"),
        (
            {"name": "cnn", "layers": [{"layer": "linear", "units": 3}, {"layer": "conv", "channels": 2}]},
            "follows",
        ),
        ({"name": "cnn", "layers": [{"layer": "conv", "channels": 2, "kernel": 9}]}, "nothing"),
        ({"name": "cnn", "layers": [{"layer": "conv", "channel": 2}]}, "channel"),
    ],
)
def test_impossible_plans_are_refused(architecture, problem):
    with pytest.raises(ConfigurationError, match=problem):
        build(**architecture)
