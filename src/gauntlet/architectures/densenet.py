"""Densely connected networks with bottlenecks and compression for small images (Huang et al. 2017)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import AfterValidator
from torch import Tensor, nn
from torch.nn import functional as F

from gauntlet.architectures.layers import conv1x1, conv3x3, initialise_he, pooled_classifier
from gauntlet.contracts import ARCHITECTURES, Architecture
from gauntlet.setting_types import PositiveInt

BLOCKS = 3
BOTTLENECK = 4
"""Channels between the two convolutions of a layer, in units of the growth rate."""


class DenseLayer(nn.Module):
    """BN-ReLU-conv1x1-BN-ReLU-conv3x3, whose output joins its input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv1x1(inputs, BOTTLENECK * growth)
        self.bn2 = nn.BatchNorm2d(BOTTLENECK * growth)
        self.conv2 = conv3x3(BOTTLENECK * growth, growth)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, inputs, H, W]`` to ``[N, inputs + growth, H, W]``."""
        added = self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))
        return torch.cat([x, added], 1)


def _transition(inputs: int, outputs: int) -> nn.Module:
    """BN-ReLU-conv1x1 to fewer channels, and average pooling to half the side."""
    return nn.Sequential(
        OrderedDict(
            bn=nn.BatchNorm2d(inputs), relu=nn.ReLU(), conv=conv1x1(inputs, outputs), pool=nn.AvgPool2d(2)
        )
    )


def _six_n_plus_four(depth: int) -> int:
    if depth < 10 or (depth - 4) % (2 * BLOCKS):
        raise ValueError("the depth is 6n + 4: 10, 16, 40, 100, ...")
    return depth


@ARCHITECTURES.register
@dataclass(frozen=True, kw_only=True)
class Densenet(Architecture):
    """DenseNet-BC: three dense blocks, each transition halves channels and side, a stem of twice the growth.

    Settings:
        depth: 6n + 4 for n layers of two convolutions in each block.
        growth: channels that a layer adds.

    Source: chen2021, Table 5.2 (DenseNet-BC-40 with growth rates of 12 and 64).
    """

    name: ClassVar[str] = "densenet"
    depth: Annotated[int, AfterValidator(_six_n_plus_four)] = 40
    growth: PositiveInt = 12

    def build(self, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network; see Architecture."""
        channels = 2 * self.growth
        layers: OrderedDict[str, nn.Module] = OrderedDict(conv1=conv3x3(input_shape[0], channels))
        for number in range(1, BLOCKS + 1):
            members = []
            for _ in range((self.depth - 4) // (2 * BLOCKS)):
                members.append(DenseLayer(channels, self.growth))
                channels += self.growth
            layers[f"block{number}"] = nn.Sequential(*members)
            if number < BLOCKS:
                layers[f"transition{number}"] = _transition(channels, channels // 2)
                channels //= 2
        layers |= {"bn": nn.BatchNorm2d(channels), "relu": nn.ReLU(), **pooled_classifier(channels, classes)}
        network = nn.Sequential(layers)
        initialise_he(network)
        return network
