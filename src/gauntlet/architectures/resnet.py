"""Residual networks for small images, activated after the addition (He et al. 2016)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field
from torch import Tensor, nn
from torch.nn import functional as F

from gauntlet.architectures.layers import (
    conv1x1,
    conv3x3,
    doubling,
    initialise_he,
    pooled_classifier,
    residual_stages,
)
from gauntlet.contracts import ARCHITECTURES, Architecture
from gauntlet.setting_types import PositiveInt


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; a 1x1 convolution with batch norm on the shortcut where the shape changes."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _projection(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, inputs, H, W]`` to ``[N, width, H / stride, W / stride]``."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, the last to four times the width; the 3x3 one has the stride."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = conv1x1(inputs, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv1x1(width, outputs)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _projection(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, inputs, H, W]`` to ``[N, 4 width, H / stride, W / stride]``."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return F.relu(out + self.downsample(x))


def _projection(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(conv1x1(inputs, outputs, stride), nn.BatchNorm2d(outputs))


def _residual_network(
    block: type[BasicBlock] | type[Bottleneck],
    channels: int,
    width: int,
    blocks: list[int],
    classes: int,
    first_stride: int = 1,
) -> nn.Module:
    """A 3x3 stem at full resolution, stages whose widths double, average pooling, a linear layer."""
    widths = doubling(width, blocks)
    return nn.Sequential(
        OrderedDict(
            conv1=conv3x3(channels, width),
            bn1=nn.BatchNorm2d(width),
            relu=nn.ReLU(),
            **residual_stages(block, width, widths, blocks, block.expansion, first_stride),
            **pooled_classifier(widths[-1] * block.expansion, classes),
        )
    )


@ARCHITECTURES.register
@dataclass(frozen=True, kw_only=True)
class Resnet(Architecture):
    """ResNet-18, -34 or -50 with a 3x3 stem and no max pooling, for images of 32x32.

    Settings:
        depth: 18 and 34 have basic blocks, 50 has bottlenecks.
        width: channels of the first stage; 64 as published.
        first_stride: of the first stage; 2 brings images of 64x64 to 4x4 at the end, as 1 does those of 32x32.

    Source: maerz2023, Table 4.7 (ResNet-50 as in the robustness library); chen2021, chapter 6 (ResNet-18, and
    ResNet-50 of stride 2).
    """

    name: ClassVar[str] = "resnet"
    depth: Literal[18, 34, 50]
    width: PositiveInt = 64
    # Left out of the specification where it is 1: it changes nothing about such a network.
    first_stride: Annotated[Literal[1, 2], Field(exclude_if=lambda stride: stride == 1)] = 1

    def build(self, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network; see Architecture."""
        block = Bottleneck if self.depth == 50 else BasicBlock
        blocks = [2, 2, 2, 2] if self.depth == 18 else [3, 4, 6, 3]
        return _residual_network(block, input_shape[0], self.width, blocks, classes, self.first_stride)


def _six_n_plus_two(depth: int) -> int:
    if depth < 8 or (depth - 2) % 6:
        raise ValueError("the depth is 6n + 2: 8, 14, 20, 56, 110, ...")
    return depth


@ARCHITECTURES.register
@dataclass(frozen=True, kw_only=True)
class ResnetCifar(Architecture):
    """The thin residual network of three stages that He et al. designed for CIFAR-10.

    Settings:
        depth: 6n + 2 for n basic blocks per stage.
        width: channels of the first stage; 16 as published.

    Source: maerz2023, Table 4.7, and song (ResNet-110, with 1x1 shortcuts where the shape changes).
    """

    name: ClassVar[str] = "resnet_cifar"
    depth: Annotated[int, AfterValidator(_six_n_plus_two)]
    width: PositiveInt = 16

    def build(self, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network; see Architecture."""
        blocks = [(self.depth - 2) // 6] * 3
        network = _residual_network(BasicBlock, input_shape[0], self.width, blocks, classes)
        initialise_he(network)
        return network
