"""Layers that several architectures share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from torch import Tensor, nn

Block = Callable[[int, int, int], nn.Module]
"""Builds a residual block from input channels, width and stride."""


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution without bias that keeps the image size, but for its stride."""
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


def conv1x1(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """A 1x1 convolution without bias."""
    return nn.Conv2d(inputs, outputs, 1, stride, bias=False)


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after a side so that ceil(side / stride) outputs fit; TensorFlow puts an odd one after it."""
    needed = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return needed // 2, needed - needed // 2


def residual_stages(
    block: Block,
    inputs: int,
    widths: Iterable[int],
    blocks: Iterable[int],
    expansion: int = 1,
    first_stride: int = 1,
) -> dict[str, nn.Module]:
    """Chain blocks into stages ``layer1``, ``layer2``, ...; each stage but the first halves the image.

    Args:
        block: builds one block.
        inputs: channels that enter the first stage.
        widths: width of each stage.
        blocks: number of blocks in each stage.
        expansion: how many times its width a block puts out.
        first_stride: of the first stage; with 2 it halves the image as well.
    """
    stages: dict[str, nn.Module] = {}
    for number, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        members = []
        for position in range(count):
            stride = 1 if position else first_stride if number == 1 else 2
            members.append(block(inputs, width, stride))
            inputs = width * expansion
        stages[f"layer{number}"] = nn.Sequential(*members)
    return stages


class GlobalAverage(nn.Module):
    """Average over the image. Unlike torch's adaptive pooling it has a deterministic gradient on GPUs."""

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, C]``."""
        return x.mean((2, 3))


def pooled_classifier(inputs: int, classes: int) -> dict[str, nn.Module]:
    """The end of a residual network: global average pooling and a linear layer."""
    return {"pool": GlobalAverage(), "fc": nn.Linear(inputs, classes)}


def doubling(width: int, stages: Sequence[int]) -> list[int]:
    """The widths of stages that double from one to the next."""
    return [width * 2**number for number in range(len(stages))]


def initialise_he(network: nn.Module) -> None:
    """Draw convolutions from N(0, 2 / (k^2 * output channels)): He et al. 2015, by fan-out."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
