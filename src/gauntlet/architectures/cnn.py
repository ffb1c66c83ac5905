"""Plain convolutional networks, layer by layer: the MNIST and CIFAR-10 networks of the works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field
from torch import nn

from gauntlet.architectures.layers import same_padding
from gauntlet.contracts import ARCHITECTURES, Architecture
from gauntlet.errors import ConfigurationError
from gauntlet.setting_types import NonNegativeInt, PositiveInt


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A convolution with ReLU.

    Settings:
        channels: output channels.
        kernel: side of the kernel.
        stride: step of the kernel.
        padding: zeros on each side, or ``same``: the output side is ceil(input side / stride), and where
            the zeros needed are odd in number, the right and lower edges get one more than the others (so
            TensorFlow pads).
        bias: whether each channel has an offset.
        batch_norm: batch norm between convolution and ReLU.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    layer: Literal["conv"]
    channels: PositiveInt
    kernel: PositiveInt = 3
    stride: PositiveInt = 1
    padding: NonNegativeInt | Literal["same"] = 0
    bias: bool = True
    batch_norm: bool = False


@dataclass(frozen=True, kw_only=True)
class MaxPool:
    """Max pooling over squares that do not overlap."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    layer: Literal["max_pool"]
    size: PositiveInt = 2


@dataclass(frozen=True, kw_only=True)
class Linear:
    """A fully connected layer with ReLU; the first one flattens its input."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    layer: Literal["linear"]
    units: PositiveInt


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """Set activations to zero with probability ``rate`` in training."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    layer: Literal["dropout"]
    rate: Annotated[float, Field(gt=0, lt=1)] = 0.5


Layer = Annotated[Convolution | MaxPool | Linear | Dropout, Field(discriminator="layer")]


@ARCHITECTURES.register
@dataclass(frozen=True, kw_only=True)
class Cnn(Architecture):
    """Convolutions, then fully connected layers; the last linear layer, to the logits, is added by itself.

    Settings:
        layers: the hidden layers in order, each a mapping with ``layer: conv | max_pool | linear | dropout``.
        initialization: ``default`` is torch's, with a variance of 1 / (3 inputs), under which activations shrink
            from layer to layer: a deep stack without batch norm says the same of all images and stays at chance.
            ``he`` keeps their size: hidden layers N(0, 2 / inputs), offsets 0 (He et al. 2015). ``glorot``: all
            layers uniform with a variance of 2 / (inputs + outputs), offsets 0 (Glorot and Bengio 2010).

    Source: the small networks of chen2021 (chapters 2 to 4), matyasko2020 (chapters 3 to 5) and croce2019
    (Tables 2 to 6).
    """

    name: ClassVar[str] = "cnn"
    layers: tuple[Layer, ...]
    # Left out of the specification where it is torch's: it changes nothing about such a network.
    initialization: Annotated[
        Literal["default", "he", "glorot"],
        Field(exclude_if=lambda initialization: initialization == "default"),
    ] = "default"

    def build(self, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network; see Architecture.

        Raises:
            ConfigurationError: a convolution follows a linear layer, or an image shrinks to nothing.
        """
        channels, height, width = input_shape
        features: int | None = None
        modules: list[nn.Module] = []
        for number, layer in enumerate(self.layers):
            if isinstance(layer, Dropout):
                modules.append(nn.Dropout(layer.rate))
                continue
            if isinstance(layer, Linear):
                if features is None:
                    modules.append(nn.Flatten())
                    features = channels * height * width
                modules += [nn.Linear(features, layer.units), nn.ReLU()]
                features = layer.units
                continue
            if features is not None:
                raise ConfigurationError(
                    "an image layer follows a linear layer",
                    key=f"layers.{number}",
                    found=layer.layer,
                    valid="linear",
                )
            if isinstance(layer, MaxPool):
                modules.append(nn.MaxPool2d(layer.size))
                height, width = height // layer.size, width // layer.size
            else:
                made, height, width = _convolution(layer, channels, height, width)
                modules += made
                channels = layer.channels
            if min(height, width) < 1:
                raise ConfigurationError(
                    "the image shrinks to nothing",
                    key=f"layers.{number}",
                    found=f"{height}x{width}",
                    valid="1x1 or larger",
                )
        if features is None:
            modules.append(nn.Flatten())
            features = channels * height * width
        if self.initialization == "he":
            for module in modules:
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)
        network = nn.Sequential(*modules, nn.Linear(features, classes))
        if self.initialization == "glorot":
            for module in network:
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.xavier_uniform_(module.weight)
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)
        return network


def _convolution(
    layer: Convolution, channels: int, height: int, width: int
) -> tuple[list[nn.Module], int, int]:
    """Return the modules of a convolution and the size of its output."""
    modules: list[nn.Module] = []
    padding = 0
    if layer.padding == "same":
        (top, bottom), (left, right) = (
            same_padding(side, layer.kernel, layer.stride) for side in (height, width)
        )
        if top == bottom == left == right:
            padding = top
        else:
            modules.append(nn.ZeroPad2d((left, right, top, bottom)))
        height, width = (-(-side // layer.stride) for side in (height, width))
    else:
        padding = layer.padding
        height, width = ((side + 2 * padding - layer.kernel) // layer.stride + 1 for side in (height, width))
    modules.append(nn.Conv2d(channels, layer.channels, layer.kernel, layer.stride, padding, bias=layer.bias))
    if layer.batch_norm:
        modules.append(nn.BatchNorm2d(layer.channels))
    modules.append(nn.ReLU())
    return modules, height, width
