"""Networks of ReLU type as what they are inside one linear region: an affine map with affine constraints.

The activation pattern at a reference point fixes the side of every ReLU and the winner of every max-pool.
With the pattern frozen the network is affine; the region is where the frozen pattern is the true one, that
is, where every signed pre-activation, and every pool member minus its winner, is at most 0.

The pattern is found by watching the functions that the network calls, so that any module made of supported
layers works: convolution, linear, batch norm at inference, padding, average pooling, sums, concatenations,
ReLU, leaky ReLU, max-pooling. Source: croce2019, section 3, eqs. 3-8.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from gauntlet.errors import GauntletError


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Affine in all arguments that depend on the images together.
_SUMS = _names(
    """flatten unflatten view reshape permute transpose movedim contiguous cat concat concatenate stack chunk
    split narrow squeeze unsqueeze expand repeat clone to float type_as mean sum neg __neg__ __getitem__
    __get__ avg_pool2d adaptive_avg_pool2d pad add add_ __add__ __radd__ sub sub_ __sub__ __rsub__ rsub"""
)
# Affine if just one argument depends on the images; for the second set the first one.
_PRODUCTS = _names("mul mul_ multiply __mul__ __rmul__ matmul __matmul__ __rmatmul__ mm bmm")
_QUOTIENTS = _names("div div_ true_divide __truediv__ linear conv1d conv2d batch_norm")
# What turns values of the images into decisions of the program.
_DECISIONS = _names("item tolist __bool__ __float__ __int__ __index__ numpy equal allclose")


class Layer(Protocol):
    """A piecewise affine layer frozen at the pattern of B reference points."""

    def __call__(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frozen output for inputs ``[B, ...]``, and the constraint values ``[B, r]``."""

    def select(self, index: Tensor) -> Layer:
        """Return the layer for the reference points at these positions."""

    def code(self) -> Tensor:
        """Return the pattern as integers ``[B, n]``."""


@dataclass(frozen=True)
class FrozenActivation:
    """A ReLU or leaky ReLU (croce2019, eq. 7).

    Attributes:
        slope: derivative of each unit, ``[B, ...]``.
        sign: -1 for units at or above 0, 1 for the others, ``[B, ...]``.
    """

    slope: Tensor
    sign: Tensor

    @staticmethod
    def at(values: Tensor, negative_slope: float) -> FrozenActivation:
        """Freeze at these pre-activations; a unit at exactly 0 counts as active."""
        active = values >= 0
        slope = torch.where(active, 1.0, negative_slope).to(values.dtype)
        return FrozenActivation(slope, torch.where(active, -1.0, 1.0).to(values.dtype))

    def __call__(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """See Layer."""
        return self.slope * values, (self.sign * values).flatten(1)

    def select(self, index: Tensor) -> FrozenActivation:
        """See Layer."""
        return FrozenActivation(self.slope[index], self.sign[index])

    def code(self) -> Tensor:
        """See Layer."""
        return (self.sign < 0).flatten(1).long()


@dataclass(frozen=True)
class FrozenMaxPool:
    """A max-pooling layer (croce2019, eq. 8).

    Attributes:
        winners: position of each pool's largest member in its flattened channel, ``[B, C, H', W']``.
        window: kernel size, dilation, padding and stride, as ``unfold`` takes them.
    """

    winners: Tensor
    window: tuple[Any, Any, Any, Any]

    def __call__(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """See Layer; a winner's own constraint, and those of padding, are 0 everywhere."""
        batch, channels = values.shape[:2]
        largest = values.flatten(2).gather(2, self.winners.flatten(2))
        members = F.unfold(values, *self.window).view(batch, channels, -1, largest.shape[2])
        inside = F.unfold(torch.ones_like(values[:1, :1]), *self.window)[:, None]
        rows = ((members - largest[:, :, None]) * inside).flatten(1)
        return largest.view(self.winners.shape), rows

    def select(self, index: Tensor) -> FrozenMaxPool:
        """See Layer."""
        return FrozenMaxPool(self.winners[index], self.window)

    def code(self) -> Tensor:
        """See Layer."""
        return self.winners.flatten(1) + 1


@dataclass(frozen=True)
class Regions:
    """The linear regions of B reference points of one network.

    Attributes:
        model: the network, in eval mode.
        layers: its frozen piecewise affine layers in the order of their calls.
    """

    model: nn.Module
    layers: tuple[Layer, ...]

    @staticmethod
    def at(model: nn.Module, points: Tensor) -> Regions:
        """Freeze the network at each of the points ``[B, C, H, W]``.

        Raises:
            GauntletError: a layer of the network is not piecewise affine, or not one of those known here; the
                message names it.
        """
        with torch.no_grad(), _Watch(model, points) as watch:
            model(watch.tracked(points))
        return Regions(model, tuple(watch.layers))

    def evaluate(self, points: Tensor) -> tuple[list[Tensor], Tensor]:
        """Evaluate the frozen network; differentiable.

        Args:
            points: ``[B, C, H, W]``, one for each region.

        Returns:
            Constraint values of each layer, ``[B, r_l]`` (all at most 0 exactly in the region), and the
            logits ``[B, K]`` of the frozen network.
        """
        with _Watch(self.model, points, self.layers) as watch:
            logits = self.model(watch.tracked(points))
        return watch.rows, logits

    def select(self, index: Tensor) -> Regions:
        """Return the regions at these positions; a position may repeat."""
        return Regions(self.model, tuple(layer.select(index) for layer in self.layers))

    def keys(self) -> Tensor:
        """Hash each region's pattern to an int64, ``[B]``."""
        total: Tensor | int = 0
        for number, layer in enumerate(self.layers):
            code = layer.code()
            total = total + (code * _mixed(code.shape[1], number, code.device)).sum(1)
        if isinstance(total, int):
            raise GauntletError(
                "the network has no piecewise affine layer: it is affine, and needs no search"
            )
        return total


def _mixed(count: int, seed: int, device: torch.device) -> Tensor:
    """Return ``count`` well-mixed odd integers; products and sums with them wrap around."""
    numbers = torch.arange(1, count + 1, device=device) + (seed << 40)
    for multiplier in (-0x61C8864680B583EB, -0x40A7B892E31B1A47):
        numbers = numbers * multiplier
        numbers = numbers ^ (numbers >> 31)
    return numbers | 1


class _Watch(TorchFunctionMode):
    """See every function that the network applies to the images: freeze it, let it pass or refuse it."""

    def __init__(self, model: nn.Module, points: Tensor, layers: Iterable[Layer] | None = None) -> None:
        super().__init__()
        self._model = model
        self._frozen = None if layers is None else iter(layers)
        self.layers: list[Layer] = []
        self.rows: list[Tensor] = []

    @staticmethod
    def tracked(points: Tensor) -> Tensor:
        """Return an alias of the points that carries the mark of what depends on the images."""
        alias = points.view_as(points)
        alias._depends_on_images = True  # type: ignore[attr-defined]
        return alias

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        dependent = _dependent(args) + _dependent(kwargs.values())
        if dependent == 0:
            return func(*args, **kwargs)
        return _mark(self._apply(func, args, kwargs, dependent))

    def _apply(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], dependent: int
    ) -> Any:
        name = getattr(func, "__name__", str(func))
        if name in ("relu", "relu_"):
            return self._layer(args[0], lambda values: FrozenActivation.at(values, 0.0))
        if name in ("leaky_relu", "leaky_relu_"):
            slope = kwargs.get("negative_slope", args[1] if len(args) > 1 else 0.01)
            return self._layer(args[0], lambda values: FrozenActivation.at(values, slope))
        if name in ("max_pool2d", "_max_pool2d"):
            return self._layer(args[0], lambda values: self._max_pool(*args, **kwargs))
        if name == "batch_norm" and _argument(args, kwargs, 5, "training", False):
            self._refuse("batch norm in training mode")
        if name == "dropout" and not _argument(args, kwargs, 2, "training", True):
            return args[0]
        single = dependent == 1 and (name in _PRODUCTS or (name in _QUOTIENTS and _dependent(args[:1]) == 1))
        if single or name in _SUMS:
            return func(*args, **kwargs)
        result = func(*args, **kwargs)
        if _tensors(result) or name in _DECISIONS:
            self._refuse(name)
        return result

    def _layer(self, values: Tensor, freeze: Callable[[Tensor], Layer]) -> Tensor:
        if self._frozen is None:
            layer = freeze(values)
            self.layers.append(layer)
        else:
            layer = next(self._frozen)
        output, rows = layer(values)
        self.rows.append(rows)
        return output

    def _max_pool(
        self,
        values: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> FrozenMaxPool:
        if ceil_mode or return_indices:
            self._refuse("max-pooling with ceil_mode or return_indices")
        _, winners = F.max_pool2d(values, kernel_size, stride, padding, dilation, return_indices=True)
        return FrozenMaxPool(winners, (kernel_size, dilation, padding, stride or kernel_size))

    def _refuse(self, function: str) -> None:
        """Name the innermost layer whose code is running."""
        names = {id(module): name for name, module in self._model.named_modules()}
        frame = sys._getframe()
        layer = "the network itself"
        while frame is not None:
            owner = frame.f_locals.get("self")
            if isinstance(owner, nn.Module) and names.get(id(owner)):
                layer = f"layer {names[id(owner)]!r} ({type(owner).__name__})"
                break
            frame = frame.f_back  # type: ignore[assignment]
        raise GauntletError(f"{layer} is not piecewise affine as known here: it calls {function}")


def _argument(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], position: int, name: str, default: Any
) -> Any:
    return args[position] if len(args) > position else kwargs.get(name, default)


def _tensors(values: Any) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    return (
        [tensor for value in values for tensor in _tensors(value)] if isinstance(values, list | tuple) else []
    )


def _dependent(values: Iterable[Any]) -> int:
    """Count the tensors among the arguments that depend on the images."""
    return sum(hasattr(tensor, "_depends_on_images") for tensor in _tensors(list(values)))


def _mark(result: Any) -> Any:
    for tensor in _tensors(result):
        tensor._depends_on_images = True  # type: ignore[attr-defined]
    return result
