"""Inception V3 for ImageNet, as torchvision plans it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from gauntlet.contracts import ARCHITECTURES, Architecture
from gauntlet.errors import ConfigurationError

SMALLEST_SIDE = 75


@ARCHITECTURES.register
@dataclass(frozen=True, kw_only=True)
class TorchvisionInceptionV3(Architecture):
    """torchvision's Inception V3 without its auxiliary head, which only training uses.

    Inputs are expected in [-1, 1]: normalize by mean and std 0.5. Made for 299 pixels, it also takes 224.

    Source: chen2021, sections 2.5 and 3.4.
    """

    name: ClassVar[str] = "torchvision_inception_v3"

    def build(self, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network; see Architecture.

        Raises:
            ConfigurationError: the images are not RGB, or shrink to nothing.
        """
        from torchvision.models import inception_v3

        if input_shape[0] != 3 or min(input_shape[1:]) < SMALLEST_SIDE:
            raise ConfigurationError(
                "torchvision_inception_v3 reads RGB images that are not too small",
                key="input_shape",
                found=input_shape,
                valid=f"(3, H, W), sides from {SMALLEST_SIDE} pixels",
            )
        return inception_v3(
            weights=None, num_classes=classes, aux_logits=False, transform_input=False, init_weights=False
        )
