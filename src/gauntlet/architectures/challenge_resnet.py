"""The wide residual network of the CIFAR-10 adversarial-example challenge, in its piecewise affine form."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from gauntlet.architectures.layers import conv3x3, initialise_he, pooled_classifier, same_padding
from gauntlet.contracts import ARCHITECTURES, Architecture
from gauntlet.setting_types import PositiveInt, Radius

NEGATIVE_SLOPE = 0.1


class CenteredImages(nn.Module):
    """Subtract each image's mean and divide by a constant, where standardization would not be affine."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to the same shape."""
        return (x - x.mean((1, 2, 3), keepdim=True)) / self.deviation


class ChallengeBlock(nn.Module):
    """BN, leaky ReLU and conv3x3, twice; the shortcut has no weights.

    Convolutions with a stride are padded as TensorFlow does it: with one row of zeros, below, where the side is even.

    Args:
        inputs: input channels.
        width: output channels, not fewer than the inputs.
        stride: of the first convolution; the shortcut averages over as many pixels.
        first: whether the shortcut reads the activated input, as in the network's first block.
    """

    def __init__(self, inputs: int, width: int, stride: int, *, first: bool) -> None:
        super().__init__()
        self.first, self.stride, self.missing = first, stride, width - inputs
        self.bn1 = nn.BatchNorm2d(inputs)
        # Where it has a stride it is padded in ``forward``, which knows the side.
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=0 if stride > 1 else 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, inputs, H, W]`` to ``[N, width, H / stride, W / stride]``."""
        active = F.leaky_relu(self.bn1(x), NEGATIVE_SLOPE)
        shortcut = active if self.first else x
        if self.stride > 1:
            (top, bottom), (left, right) = (same_padding(side, 3, self.stride) for side in x.shape[2:])
            active = F.pad(active, (left, right, top, bottom))
            shortcut = F.avg_pool2d(shortcut, self.stride)
        if self.missing:
            before = self.missing // 2
            shortcut = F.pad(shortcut, (0, 0, 0, 0, before, self.missing - before))
        return self.conv2(F.leaky_relu(self.bn2(self.conv1(active)), NEGATIVE_SLOPE)) + shortcut


@ARCHITECTURES.register
@dataclass(frozen=True, kw_only=True)
class ChallengeResnet(Architecture):
    """A residual network of leaky ReLUs with activation before the convolutions.

    Settings:
        widths: channels of the stages; every stage but the first halves the image.
        blocks: residual blocks in each stage.
        stem: channels of the convolution that comes first.
        deviation: what a centred image is divided by.

    Source: croce2019, sections 4.4 and 5.3; the defaults make its network of 2,883,593 units.
    """

    name: ClassVar[str] = "challenge_resnet"
    widths: tuple[PositiveInt, ...] = (160, 320, 640)
    blocks: PositiveInt = 5
    stem: PositiveInt = 16
    deviation: Radius = 0.21

    def build(self, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network; see Architecture."""
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            center=CenteredImages(self.deviation), conv1=conv3x3(input_shape[0], self.stem)
        )
        inputs = self.stem
        for number, width in enumerate(self.widths, start=1):
            members = []
            for position in range(self.blocks):
                stride = 2 if position == 0 and number > 1 else 1
                members.append(ChallengeBlock(inputs, width, stride, first=number == 1 and position == 0))
                inputs = width
            layers[f"layer{number}"] = nn.Sequential(*members)
        layers["bn"] = nn.BatchNorm2d(inputs)
        layers["active"] = nn.LeakyReLU(NEGATIVE_SLOPE)
        layers.update(pooled_classifier(inputs, classes))
        network = nn.Sequential(layers)
        initialise_he(network)
        return network
