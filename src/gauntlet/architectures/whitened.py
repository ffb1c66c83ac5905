"""Fitted input layers: global contrast normalization and ZCA whitening, and a network behind them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gauntlet.architectures.principal_components import principal_components, unit_range
from gauntlet.contracts import ARCHITECTURES, AnyArchitecture, Architecture
from gauntlet.errors import GauntletError
from gauntlet.setting_types import NonNegativeInt, Number

SMALLEST_DEVIATION = 1e-8
"""Divisor of an image of one color."""


def contrast_normalized(images: Tensor) -> Tensor:
    """Subtract each image's mean and divide by its standard deviation, over all channels, ``[N, C, H, W]``."""
    centred = images - images.mean((1, 2, 3), keepdim=True)
    deviation = centred.square().mean((1, 2, 3), keepdim=True).sqrt()
    return centred / deviation.clamp(min=SMALLEST_DEVIATION)


class Whitening(nn.Module):
    """Global contrast normalization of each image, then ZCA whitening fitted to the training images.

    Along a principal direction of variance L whitened training images have the variance L / (L + bias). The buffers
    ``mean`` ``[D]`` and ``matrix`` ``[D, D]`` are saved with the network.

    Args:
        dimension: D, numbers per image.
        bias: added to every variance.
    """

    mean: Tensor
    matrix: Tensor

    def __init__(self, dimension: int, bias: float) -> None:
        """Make room for a whitening that is still to be fitted or loaded."""
        super().__init__()
        self.bias = bias
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("matrix", torch.zeros(dimension, dimension))

    def fit(self, images: Tensor) -> None:
        """Take mean and directions from the training images, uint8 ``[N, C, H, W]``."""
        mean, variances, directions, _ = principal_components(
            images, lambda part: contrast_normalized(unit_range(part))
        )
        self.mean = mean.to(self.mean)
        self.matrix = ((directions / (variances + self.bias).sqrt()) @ directions.T).to(self.matrix)

    def forward(self, images: Tensor) -> Tensor:
        """Return the whitened images ``[N, C, H, W]``, of about unit variance in every entry.

        Raises:
            GauntletError: the layer has neither been fitted nor loaded.
        """
        if images.is_meta:
            return images  # The plan counts operations before any direction is known.
        if not self.matrix[0, 0]:  # A fitted matrix is positive definite.
            raise GauntletError("the whitening is unknown: fit the layer to the training images first")
        with torch.autocast(images.device.type, enabled=False):
            centred = contrast_normalized(images).flatten(1) - self.mean
            return (centred @ self.matrix).view(images.shape)


class WhitenedNetwork(nn.Module):
    """A network that reads whitened images, in whose space it is attacked, penalized and augmented.

    Args:
        whitening: the input layer.
        network: reads what it returns.
        shift: in train mode images are moved by up to so many pixels each way; zeros come in.
        flip: whether in train mode each image is mirrored with probability 1/2.
    """

    def __init__(self, whitening: Whitening, network: nn.Module, shift: int, flip: bool) -> None:
        super().__init__()
        self.whitening, self.network = whitening, network
        self.shift, self.flip = shift, flip

    def to_attack_space(self, images: Tensor) -> Tensor:
        """Return the whitened images, in train mode augmented by draws of torch's global generator."""
        points = self.whitening(images)
        if not self.training:
            return points
        count, _, height, width = points.shape
        if self.shift:
            padded = F.pad(points, (self.shift,) * 4)
            # Every crop is a view: windows[n, :, i, j] is image n cut at row i and column j.
            windows = padded.unfold(2, height, 1).unfold(3, width, 1)
            row, column = torch.randint(2 * self.shift + 1, (2, count), device=points.device)
            points = windows[torch.arange(count, device=points.device), :, row, column]
        if self.flip:
            mirrored = torch.rand(count, 1, 1, 1, device=points.device) < 0.5
            points = torch.where(mirrored, points.flip(3), points)
        return points

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits ``[N, K]`` of images ``[N, C, H, W]`` in [0, 1]."""
        return self.network(self.to_attack_space(images))


@ARCHITECTURES.register
@dataclass(frozen=True, kw_only=True)
class Whitened(Architecture):
    """A network behind global contrast normalization and ZCA whitening, which are fitted to its training images.

    Attacks, penalties and augmentation act on the whitened images (`in_attack_space`), whose scale is about one
    standard deviation of a pixel. The model's own input normalization is null.

    Settings:
        network: the architecture that reads whitened images.
        bias: added to each variance before its root is taken.
        shift: augmentation, in pixels.
        flip: augmentation by mirror images.

    Source: matyasko2020, section 3.5.2; constants of Goodfellow et al. 2013 and Lin et al. 2014.
    """

    name: ClassVar[str] = "whitened"
    network: AnyArchitecture
    bias: Annotated[Number, Field(gt=0)] = 0.1
    shift: NonNegativeInt = 0
    flip: bool = False

    def build(self, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the input layer, not fitted yet, and the network; see Architecture."""
        network = self.network.build(input_shape, classes)
        return WhitenedNetwork(Whitening(math.prod(input_shape), self.bias), network, self.shift, self.flip)
