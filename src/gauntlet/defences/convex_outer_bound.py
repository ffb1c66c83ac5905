"""Training on a provable bound: the dual of the convex outer polytope (Wong and Kolter 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from gauntlet.attacks.linear_regions.piecewise_affine import FrozenActivation, Regions
from gauntlet.contracts import DEFENCES, Batch, Cost, Defence, Loss, Progress, Task
from gauntlet.errors import GauntletError
from gauntlet.setting_types import NonNegativeInt, PositiveInt, Radius

DUAL_ORDER = {"linf": 1.0, "l2": 2.0}


@dataclass(frozen=True)
class Relaxation:
    """A ReLU layer between the bounds of its inputs.

    Attributes:
        slope: of both lines that enclose the unit, ``[B, ...]``: 1 if it is always active, 0 if never.
        offset: height of the upper line at 0, -slope * lower for undecided units, else 0, ``[B, ...]``.
    """

    slope: Tensor
    offset: Tensor

    @staticmethod
    def between(lower: Tensor, upper: Tensor) -> Relaxation:
        """Enclose units: the upper line joins the ends, the lower one is parallel to it through 0."""
        undecided = (lower < 0) & (upper > 0)
        spread = torch.where(undecided, upper - lower, 1.0)
        slope = torch.where(undecided, upper / spread, (lower >= 0).to(lower.dtype))
        return Relaxation(slope, torch.where(undecided, -slope * lower, 0.0))


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class ConvexOuterBound(Defence):
    """Minimize the cross-entropy of the worst logits that a convex relaxation allows in the ball.

    Settings:
        norm: ball, linf or l2.
        eps: its final radius in pixel scale.
        start_eps: radius in the first epoch.
        ramp_epochs: epochs over which the radius grows linearly.
        rows_at_once: rows of a layer that are bounded together; bounds the memory of one pass.

    Source: Wong and Kolter 2018, with exact dual norms; croce2019, section 5.2.
    """

    name: ClassVar[str] = "convex_outer_bound"
    norm: Literal["linf", "l2"]
    eps: Radius
    start_eps: Radius = 0.01
    ramp_epochs: NonNegativeInt = 20
    rows_at_once: PositiveInt = 4096

    def radius(self, progress: Progress) -> float:
        """Return the radius of this update."""
        share = 1.0
        if self.ramp_epochs:
            share = min(1.0, progress.epoch / self.ramp_epochs)
        return self.start_eps + share * (self.eps - self.start_eps)

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return the robust cross-entropy; the parts say how much of the batch is certified."""
        eps = self.radius(progress)
        bound = margin_bounds(model, batch.images, batch.labels, self.norm, eps, self.rows_at_once)
        # The true class stands at 0, and every other one as high above it as the relaxation allows.
        value = F.cross_entropy(-bound, batch.labels)
        certified = (bound.scatter(1, batch.labels[:, None], torch.inf) > 0).all(1).float().mean()
        logits = model(batch.images)
        parts = {"certified": certified, "clean_loss": F.cross_entropy(logits, batch.labels).detach()}
        return Loss(value, logits, parts)

    def cost(self, task: Task) -> Cost:
        """About one pass per hidden unit: some thousands for the small networks that this is made for."""
        return Cost(forward=5000, backward=5000, weight_gradients=5000)


def margin_bounds(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    norm: Literal["linf", "l2"],
    eps: float,
    rows_at_once: int = 4096,
) -> Tensor:
    """Bound how far the true logit stays above each other one, for all perturbations up to ``eps``.

    Differentiable in the network's weights.

    Args:
        model: a network of affine layers and ReLUs, in the order in which they run.
        images: centres of the balls, ``[B, C, H, W]``. The image box is not used.
        labels: true classes ``[B]``.
        norm: of the ball.
        eps: its radius.
        rows_at_once: rows that are bounded together.

    Returns:
        Lower bounds of f_y - f_k, ``[B, K]``; 0 for k = y.

    Raises:
        GauntletError: the network has layers of another kind.
    """
    relaxations: list[Relaxation] = []
    depth = _count_activations(model, images[:1])
    for layer in range(depth):
        bounded = _Bounds(model, images, relaxations, norm, eps, rows_at_once, stop=layer)
        shape = bounded.center.shape
        identity = torch.eye(shape[1:].numel(), device=images.device, dtype=images.dtype)
        lower, upper = bounded.both(identity)
        relaxations.append(Relaxation.between(lower.view(shape), upper.view(shape)))
    bounded = _Bounds(model, images, relaxations, norm, eps, rows_at_once, stop=None)
    classes = bounded.center.shape[1]
    one_hot = torch.eye(classes, device=images.device, dtype=images.dtype)
    # One row per class: the true one less this one.
    return bounded.lower((one_hot[labels][:, None] - one_hot[None]).expand(-1, classes, -1))


def _count_activations(model: nn.Module, image: Tensor) -> int:
    """Count the ReLUs; raises GauntletError for a network with other nonlinear layers."""
    layers = Regions.at(model, image).layers
    for layer in layers:
        if not isinstance(layer, FrozenActivation) or not ((layer.slope == 0) | (layer.slope == 1)).all():
            raise GauntletError(
                "the convex outer bound is for networks whose only nonlinear layers are ReLUs"
            )
    return len(layers)


class _Bounds:
    """Linear bounds of one layer's values over the ball, given the relaxations of the layers before it."""

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        relaxations: list[Relaxation],
        norm: Literal["linf", "l2"],
        eps: float,
        rows_at_once: int,
        stop: int | None,
    ) -> None:
        self._model, self._images, self._relaxations = model, images, relaxations
        self._norm, self._eps, self._stop = norm, eps, stop
        self._block = max(1, rows_at_once // max(1, len(images)))
        self.center = self._evaluate(images, relaxations)[0]

    def _evaluate(self, images: Tensor, relaxations: list[Relaxation]) -> tuple[Tensor, list[Tensor]]:
        with _Relaxed(relaxations, self._stop) as relaxed:
            try:
                output = self._model(images)
            except _Reached as reached:
                output = reached.values
        return output, relaxed.outputs

    def both(self, identity: Tensor) -> tuple[Tensor, Tensor]:
        """Bound every unit from below and above, ``[B, units]`` each."""
        if not self._relaxations:
            # The first layer is affine: its rows are the same for all images.
            slopes = self._products(identity[None], self._images[:1], [])[0].flatten(2)
            reach = self._eps * torch.linalg.vector_norm(slopes, DUAL_ORDER[self._norm], 2)
            center = self.center.flatten(1)
            return center - reach, center + reach
        rows = identity[None].expand(len(self._images), -1, -1)
        low, high = [], []
        for block in rows.split(self._block, 1):
            slopes, terms = self._products(block, self._images, self._relaxations)
            value = (block @ self.center.flatten(1)[:, :, None]).squeeze(2)
            reach = self._eps * torch.linalg.vector_norm(slopes.flatten(2), DUAL_ORDER[self._norm], 2)
            low.append(value - reach + self._slack(terms, -1))
            high.append(value + reach + self._slack(terms, 1))
        return torch.cat(low, 1), torch.cat(high, 1)

    def lower(self, rows: Tensor) -> Tensor:
        """Bound the combinations ``rows`` ``[B, R, units]`` of the layer's values from below, ``[B, R]``."""
        slopes, terms = self._products(rows, self._images, self._relaxations)
        value = (rows @ self.center.flatten(1)[:, :, None]).squeeze(2)
        reach = self._eps * torch.linalg.vector_norm(slopes.flatten(2), DUAL_ORDER[self._norm], 2)
        return value - reach + self._slack(terms, -1)

    def _slack(self, terms: list[Tensor], side: int) -> Tensor:
        """Add up what undecided units may add to (1) or take from (-1) each combination.

        A unit between its lines is worth its slope times its input, plus at most its offset. Its weight in a
        combination says on which side that counts.
        """
        total: Tensor | float = 0.0
        for weights, relaxation in zip(terms, self._relaxations, strict=True):
            counted = weights.clamp(min=0) if side > 0 else weights.clamp(max=0)
            total = total + (counted * relaxation.offset[:, None]).flatten(2).sum(2)
        return torch.as_tensor(total)

    def _products(
        self, rows: Tensor, images: Tensor, relaxations: list[Relaxation]
    ) -> tuple[Tensor, list[Tensor]]:
        """Carry combinations ``[B, R, units]`` back through the relaxed network.

        Returns:
            Their weights on the pixels ``[B, R, C, H, W]`` and on the outputs of each ReLU ``[B, R, ...]``.
        """
        batch, count = rows.shape[:2]
        leaf = images.repeat_interleave(count, 0).detach().requires_grad_()
        repeated = [
            Relaxation(
                relaxation.slope.repeat_interleave(count, 0), relaxation.offset.repeat_interleave(count, 0)
            )
            for relaxation in relaxations
        ]
        training = torch.is_grad_enabled()
        with torch.enable_grad():
            output, outputs = self._evaluate(leaf, repeated)
            gradients = torch.autograd.grad(
                output.flatten(1), [leaf, *outputs], rows.reshape(batch * count, -1), create_graph=training
            )
        pixels, *terms = (gradient.unflatten(0, (batch, count)) for gradient in gradients)
        return pixels, terms


class _Reached(Exception):
    """Leave the network's code with the values that were to be bounded."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = values


class _Relaxed(TorchFunctionMode):
    """Run a network with each ReLU replaced by its line; stop before the ReLU that is bounded next."""

    def __init__(self, relaxations: list[Relaxation], stop: int | None) -> None:
        super().__init__()
        self._relaxations, self._stop = relaxations, stop
        self.outputs: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") not in ("relu", "relu_"):
            return func(*args, **(kwargs or {}))
        number = len(self.outputs)
        if number == self._stop:
            raise _Reached(args[0])
        self.outputs.append(self._relaxations[number].slope * args[0])
        return self.outputs[-1]
