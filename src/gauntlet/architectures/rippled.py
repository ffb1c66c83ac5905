"""Networks behind a fixed ripple that hides their gradients: a deliberately gradient-masked defence."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from gauntlet.contracts import ARCHITECTURES, AnyArchitecture, Architecture


class Ripple(nn.Module):
    """Add a fast sine of tiny height to every pixel: x - c sin(2 pi k x) / (2 pi k).

    No pixel moves by more than c / (2 pi k), but its derivative swings between 1 - c and 1 + c, so that for
    a large c nearly half of all gradient signs are wrong, in a pattern that looks random.

    Args:
        waves: k, periods between black and white.
        steepness: c.
    """

    def __init__(self, waves: float, steepness: float) -> None:
        super().__init__()
        self.waves = waves
        self.steepness = steepness

    def forward(self, images: Tensor) -> Tensor:
        """Return the rippled images, same shape."""
        speed = 2 * math.pi * self.waves
        return images - self.steepness / speed * torch.sin(speed * images)


@ARCHITECTURES.register
@dataclass(frozen=True, kw_only=True)
class Rippled(Architecture):
    """A network whose input is rippled.

    Attacks that only ask for scores or labels see nearly the bare network; gradient attacks lose their way.
    It stands where a work examines defences that white-box attacks overrate, and its checkpoints are not at
    hand. The model's own normalization should be null, so that the ripple meets pixels.

    Settings:
        network: the architecture behind the ripple.
        waves: periods of the sine between black and white.
        steepness: largest deviation of its slope from 1.

    Source: our own, after the obfuscated gradients of Athalye et al. 2018.
    """

    name: ClassVar[str] = "rippled"
    network: AnyArchitecture
    waves: Annotated[float, Field(gt=0)] = 1000.0
    steepness: Annotated[float, Field(gt=0)] = 20.0

    def build(self, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network behind the ripple; see Architecture."""
        ripple = Ripple(self.waves, self.steepness)
        return nn.Sequential(OrderedDict(ripple=ripple, network=self.network.build(input_shape, classes)))
