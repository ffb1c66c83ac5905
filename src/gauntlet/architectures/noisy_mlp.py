"""Fully connected network with noise on the input of every layer: the critic of matyasko2020, chapter 4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from gauntlet.contracts import ARCHITECTURES, Architecture
from gauntlet.setting_types import Number, PositiveInt

Deviation = Annotated[Number, Field(ge=0, allow_inf_nan=False)]


class GaussianNoise(nn.Module):
    """Add Gaussian noise, drawn from torch's global generator, in train and in eval mode alike."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, values: Tensor) -> Tensor:
        """Return ``values`` with noise on every entry."""
        return values + self.deviation * torch.randn_like(values)


@ARCHITECTURES.register
@dataclass(frozen=True, kw_only=True)
class NoisyMlp(Architecture):
    """Fully connected layers with leaky ReLU and Gaussian noise on the input of each; He initialization.

    Settings:
        units: of the hidden layers.
        leak: slope of the activation for negative values.
        image_noise: standard deviation on the image.
        hidden_noise: standard deviation on each hidden layer's activations.

    Source: matyasko2020, section 4.4 (the adversary critic).
    """

    name: ClassVar[str] = "noisy_mlp"
    units: tuple[PositiveInt, ...] = (1200, 1200)
    leak: Deviation = 0.2
    image_noise: Deviation = 0.1
    hidden_noise: Deviation = 0.5

    def build(self, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network; see Architecture."""
        channels, height, width = input_shape
        inputs, noise = channels * height * width, self.image_noise
        modules: list[nn.Module] = [nn.Flatten()]
        for outputs in (*self.units, classes):
            linear = nn.Linear(inputs, outputs)
            nn.init.kaiming_normal_(linear.weight, a=self.leak, nonlinearity="leaky_relu")
            nn.init.zeros_(linear.bias)
            modules += [GaussianNoise(noise), linear, nn.LeakyReLU(self.leak)]
            inputs, noise = outputs, self.hidden_noise
        return nn.Sequential(*modules[:-1])
