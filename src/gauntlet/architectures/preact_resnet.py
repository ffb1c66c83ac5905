"""Residual networks with batch norm and activation before each convolution (He et al. 2016b)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

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


class PreactBlock(nn.Module):
    """BN-ReLU-conv3x3 twice; a bare 1x1 convolution on the shortcut where the shape changes.

    Args:
        inputs: input channels.
        width: output channels.
        stride: of the first convolution and of the shortcut.
        raw_shortcut: the 1x1 convolution reads the block's input; else its activated input.
    """

    def __init__(self, inputs: int, width: int, stride: int, *, raw_shortcut: bool) -> None:
        super().__init__()
        self.raw_shortcut = raw_shortcut
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv3x3(inputs, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width)
        changes = stride != 1 or inputs != width
        self.downsample = conv1x1(inputs, width, stride) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """``[N, inputs, H, W]`` to ``[N, width, H / stride, W / stride]``."""
        active = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(active))))
        if self.downsample is None:
            return out + x
        return out + self.downsample(x if self.raw_shortcut else active)


@ARCHITECTURES.register
@dataclass(frozen=True, kw_only=True)
class PreactResnet(Architecture):
    """Pre-activation ResNet with a 3x3 stem; the defaults make PreAct ResNet-18.

    Settings:
        blocks: number of blocks in each stage.
        width: channels of the first stage, doubled from stage to stage.

    The shortcut's convolution reads the raw input of its block, as in the networks of Wong et al. 2020.
    Source: maerz2023, Table 4.7.
    """

    name: ClassVar[str] = "preact_resnet"
    blocks: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (2, 2, 2, 2)
    width: PositiveInt = 64

    def build(self, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network; see Architecture."""
        widths = doubling(self.width, self.blocks)
        block = partial(PreactBlock, raw_shortcut=True)
        return _preactivated(
            input_shape[0], self.width, residual_stages(block, self.width, widths, self.blocks), classes
        )


def _six_n_plus_four(depth: int) -> int:
    if depth < 10 or (depth - 4) % 6:
        raise ValueError("the depth is 6n + 4: 10, 16, 28, 34, ...")
    return depth


@ARCHITECTURES.register
@dataclass(frozen=True, kw_only=True)
class WideResnet(Architecture):
    """WRN-depth-width (Zagoruyko & Komodakis 2016) without dropout.

    Settings:
        depth: 6n + 4 for n blocks per stage.
        width: the stages have 16, 32 and 64 times as many channels; the stem keeps 16.

    The shortcut's convolution reads the activated input of its block.
    Source: chen2021, chapters 3 and 5.
    """

    name: ClassVar[str] = "wide_resnet"
    depth: Annotated[int, AfterValidator(_six_n_plus_four)]
    width: Annotated[float, Field(ge=0.0625)] = 1

    def build(self, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network; see Architecture."""
        blocks = [(self.depth - 4) // 6] * 3
        widths = [round(channels * self.width) for channels in (16, 32, 64)]
        block = partial(PreactBlock, raw_shortcut=False)
        network = _preactivated(input_shape[0], 16, residual_stages(block, 16, widths, blocks), classes)
        initialise_he(network)
        return network


def _preactivated(channels: int, stem: int, stages: dict[str, nn.Module], classes: int) -> nn.Module:
    """A 3x3 stem, the stages, a last batch norm with activation, average pooling, a linear layer."""
    *_, last = stages.values()
    width = last[-1].conv2.out_channels  # type: ignore[index]
    return nn.Sequential(
        OrderedDict(
            conv1=conv3x3(channels, stem),
            **stages,
            bn=nn.BatchNorm2d(width),
            relu=nn.ReLU(),
            **pooled_classifier(width, classes),
        )
    )
