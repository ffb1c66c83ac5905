"""Conventions of maerz2023 for radii and noise: as the document describes it, or as its released code does it.

The released code attacks normalized images ``(x - mean) / std`` with one radius eps / mean(std) for all
channels, and its noise deviates from the text. Results depend on both, hence the switches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import ConfigDict
from torch import Tensor

from gauntlet.attacks.geometry.norms import uniform_in_ball, uniform_on_sphere
from gauntlet.errors import ConfigurationError
from gauntlet.setting_types import Norm, Radius

Variant = Literal["doc", "released"]


@dataclass(frozen=True, kw_only=True)
class Conventions:
    """The switches between the document and its released code.

    Settings:
        eps_space: doc holds radii in pixel scale; released in normalized space, so that channel c is off by
            std_c / mean(std).
        noise_scale: doc gives noise the radius it should have; released forgets it for l1 and l2: noise has a
            norm of (at most) 1 in normalized space, and for l1 no negative entries.
        noise_order: of a randomized step: doc takes the gradient before the noise, released after it.
        sphere_inf: points of the linf sphere: corners (every entry +-eps), surface (uniform on the faces) or
            released, where every entry is -eps.
        std: the normalization's standard deviation of each channel, needed by the released eps_space and
            noise_scale.

    Raises:
        ConfigurationError: a released variant needs ``std`` and there is none.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    eps_space: Variant = "doc"
    noise_scale: Variant = "doc"
    noise_order: Variant = "doc"
    sphere_inf: Literal["corners", "surface", "released"] = "corners"
    std: tuple[Radius, ...] = ()

    def __post_init__(self) -> None:
        """Refuse switches that lack the standard deviation they need."""
        if not self.std and "released" in (self.eps_space, self.noise_scale):
            raise ConfigurationError(
                "the released conventions live in normalized space",
                key="std",
                valid="the standard deviation of each channel that the model divides by",
            )

    def channel_scale(self, images: Tensor) -> Tensor | float:
        """Return what turns a displacement of the attack's space into pixels, per channel ``[C, 1, 1]``.

        The attack's space is pixel space (1), or normalized space times mean(std), in which radii are as
        large as in pixel space.
        """
        if self.eps_space == "doc":
            return 1.0
        std = self._std(images)
        return std / std.mean()

    def sphere(self, like: Tensor, norm: Norm, radius: float, generator: torch.Generator) -> Tensor:
        """Draw a displacement in pixels of length ``radius`` for each image, uniform on the sphere."""
        if norm == "linf":
            if self.sphere_inf == "released":
                points = torch.full_like(like, -radius)
            else:
                corners = self.sphere_inf == "corners"
                points = uniform_on_sphere(like, norm, radius, generator, corners=corners)
            return points * self.channel_scale(like)
        if self.noise_scale == "released":
            return self._unscaled(uniform_on_sphere(like, norm, 1.0, generator), norm)
        return uniform_on_sphere(like, norm, radius, generator) * self.channel_scale(like)

    def ball(self, like: Tensor, norm: Norm, radius: float, generator: torch.Generator) -> Tensor:
        """Draw a displacement in pixels of length at most ``radius`` for each image, uniform in the ball."""
        if self.noise_scale == "released" and norm != "linf":
            return self._unscaled(uniform_in_ball(like, norm, 1.0, generator), norm)
        return uniform_in_ball(like, norm, radius, generator) * self.channel_scale(like)

    def _unscaled(self, points: Tensor, norm: Norm) -> Tensor:
        """Turn points of normalized space into pixels, as the released code draws them for l1 and l2."""
        return (points.abs() if norm == "l1" else points) * self._std(points)

    def _std(self, images: Tensor) -> Tensor:
        if len(self.std) != images.shape[1]:
            raise ConfigurationError(
                "the images have another number of channels",
                key="conventions.std",
                found=len(self.std),
                valid=f"{images.shape[1]} values",
            )
        return torch.tensor(self.std, device=images.device, dtype=images.dtype)[:, None, None]
