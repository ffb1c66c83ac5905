"""Network in Network: convolutions, each followed by two layers per pixel (Lin et al. 2014)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field
from torch import nn

from gauntlet.architectures.layers import GlobalAverage
from gauntlet.contracts import ARCHITECTURES, Architecture
from gauntlet.setting_types import PositiveInt


@ARCHITECTURES.register
@dataclass(frozen=True, kw_only=True)
class Nin(Architecture):
    """Three blocks of a convolution and two 1x1 convolutions; the last one's maps are averaged to the logits.

    At the default width it has 966,986 parameters for CIFAR-10. There is no batch norm: gradients of a sum of
    logits in the images are those of each image. Weights are drawn as by He et al. 2015, offsets are 0.

    Settings:
        width: channels of the convolutions; the 1x1 layers of the first block have five sixths and half of it.
        dropout: rate after the first two blocks.

    Source: matyasko2020, section 3.5.2; Lin et al. 2014, the configuration for CIFAR-10.
    """

    name: ClassVar[str] = "nin"
    width: Annotated[PositiveInt, Field(multiple_of=6)] = 192
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5

    def build(self, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network; see Architecture."""
        width = self.width
        network = nn.Sequential(
            *_block(input_shape[0], 5, (width, width * 5 // 6, width // 2)),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Dropout(self.dropout),
            *_block(width // 2, 5, (width, width, width)),
            nn.AvgPool2d(3, 2, ceil_mode=True),
            nn.Dropout(self.dropout),
            *_block(width, 3, (width, width, classes))[:-1],
            GlobalAverage(),
        )
        for module in network:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        return network


def _block(inputs: int, kernel: int, channels: tuple[int, int, int]) -> list[nn.Module]:
    """Return a convolution that keeps the image size and two 1x1 convolutions, each with ReLU."""
    modules: list[nn.Module] = []
    for outputs, side in zip(channels, (kernel, 1, 1), strict=True):
        modules += [nn.Conv2d(inputs, outputs, side, padding=side // 2), nn.ReLU()]
        inputs = outputs
    return modules
