"""Linear decomposition: a fixed first layer that keeps the directions in which images outweigh the noise."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from gauntlet.architectures.principal_components import principal_components
from gauntlet.contracts import ARCHITECTURES, AnyArchitecture, Architecture
from gauntlet.errors import ConfigurationError, GauntletError
from gauntlet.models import Normalized
from gauntlet.runtime.job import log
from gauntlet.setting_types import Number, Radius


class PrincipalProjection(nn.Module):
    """Project images onto the principal directions whose variance exceeds a bound, around their mean.

    The buffers are saved with the network: ``mean`` ``[D]``, ``directions`` ``[D, k]`` and their ``variances``
    ``[k]``, largest first.

    Args:
        dimension: D, numbers per image.
        least_variance: a direction is kept if its variance is above this.
    """

    mean: Tensor
    directions: Tensor
    variances: Tensor

    def __init__(self, dimension: int, least_variance: float) -> None:
        """Make room for a projection that is still to be fitted or loaded."""
        super().__init__()
        self.least_variance = least_variance
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("directions", torch.zeros(dimension, 0))
        self.register_buffer("variances", torch.zeros(0))

    def fit(self, images: Tensor) -> None:
        """Take mean and directions from the training images, uint8 ``[N, C, H, W]``.

        Raises:
            ConfigurationError: no direction has enough variance.
        """
        mean, variances, directions, total = principal_components(images, least_variance=self.least_variance)
        if not len(variances):
            raise ConfigurationError(
                "no principal direction of the training images has enough variance",
                key="architecture.threshold",
                found=f"{total:.3g} in all directions together, more than {self.least_variance:.3g} needed in one",
            )
        self.mean, self.variances = mean.to(self.mean), variances.to(self.mean)
        self.directions = directions.contiguous().to(self.mean)
        share = float(variances.sum()) / total
        log(f"kept {len(variances)} of {len(mean)} principal directions, {share:.1%} of the variance")

    def forward(self, images: Tensor) -> Tensor:
        """Return the projected images, of the same shape ``[N, C, H, W]``; not confined to [0, 1].

        Raises:
            GauntletError: the layer has neither been fitted nor loaded.
        """
        if images.is_meta:
            return images  # The plan counts operations before any direction is known.
        if not self.directions.shape[1]:
            raise GauntletError(
                "the principal directions are unknown: fit the layer to the training images first"
            )
        # Half precision would drown the smaller directions in the rounding of sums over thousands of pixels.
        with torch.autocast(images.device.type, enabled=False):
            coefficients = (images.flatten(1) - self.mean) @ self.directions
            return torch.addmm(self.mean, coefficients, self.directions.T).view(images.shape)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Accept any number of directions: how many are kept is known only from the training images."""
        for name in ("directions", "variances"):
            saved = state_dict.get(f"{prefix}{name}")
            if saved is not None:
                setattr(self, name, getattr(self, name).new_empty(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)


@ARCHITECTURES.register
@dataclass(frozen=True, kw_only=True)
class PcaPrefix(Architecture):
    """A network behind the projection onto the principal directions of its training images.

    Noise is added to the images before this layer, which thus removes the noise of the dropped directions
    too; the whole is one base classifier, whose certificate holds in the space of the original images. Input
    normalization belongs after the projection, so it is set here, and the model's own is null.

    Settings:
        network: the architecture behind the projection.
        sigma: standard deviation of the noise, in pixel scale.
        threshold: tau; a direction is kept if its variance exceeds ``threshold * sigma**2``.
        mean: per-channel mean of the input normalization; null for none.
        std: per-channel standard deviation of it.

    Source: song, section 4.2 (tau 1/5) and section 5.4 (tau 1/10).
    """

    name: ClassVar[str] = "pca_prefix"
    network: AnyArchitecture
    sigma: Radius
    threshold: Annotated[Number, Field(gt=0)] = 0.2
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse half a normalization."""
        if (self.mean is None) != (self.std is None):
            raise ValueError("input normalization needs both mean and std")

    def build(self, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the projection, not fitted yet, and the network; see Architecture."""
        network = self.network.build(input_shape, classes)
        if self.mean is not None and self.std is not None:
            network = Normalized(network, self.mean, self.std)
        projection = PrincipalProjection(math.prod(input_shape), self.threshold * self.sigma**2)
        return nn.Sequential(OrderedDict(projection=projection, network=network))
