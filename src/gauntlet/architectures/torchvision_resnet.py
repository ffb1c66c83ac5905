"""ResNet-50 for ImageNet, as torchvision plans it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from gauntlet.contracts import ARCHITECTURES, Architecture
from gauntlet.errors import ConfigurationError


@ARCHITECTURES.register
@dataclass(frozen=True, kw_only=True)
class TorchvisionResnet50(Architecture):
    """torchvision's ResNet-50: 7x7 stem of stride 2, max pooling, bottlenecks [3, 4, 6, 3].

    Source: maerz2023, Table 4.1 (the ImageNet networks).
    """

    name: ClassVar[str] = "torchvision_resnet50"

    def build(self, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network; see Architecture. Images have three channels.

        Raises:
            ConfigurationError: the images have another number of channels.
        """
        from torchvision.models import resnet50

        if input_shape[0] != 3:
            raise ConfigurationError(
                "torchvision_resnet50 reads RGB images",
                key="input_shape",
                found=input_shape,
                valid="(3, H, W)",
            )
        return resnet50(weights=None, num_classes=classes)
