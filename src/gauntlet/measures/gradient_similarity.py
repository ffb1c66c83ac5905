"""Similarity of the parameter gradients of an image and of its perturbed copies (maerz2023, Algorithm 5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, ClassVar, Literal, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.func import functional_call, grad, vmap

from gauntlet.attacks.base import Attack
from gauntlet.attacks.objectives import LossName, class_loss
from gauntlet.contracts import PROCEDURES, AnyProcedure, Batch, Classifier, Cost, Outcome, Procedure, Task
from gauntlet.errors import ConfigurationError

Scope = Literal["all", "first_tensor"]

CLEAN = "clean"
"""Name of the unperturbed image among the variants; it comes first."""

GRADIENT_BYTES = 2**30
"""Memory that the gradients of the images handled at once may take."""

PASSES = 128
"""Most variants that go through the network at once, whose activations take memory as well."""


def cosine_column(scope: str, first: str, second: str) -> str:
    """Name the column with the cosine of the gradients of two variants, in their configured order."""
    return f"cosine_{scope}_{first}_{second}"


def angle_degrees(cosines: np.ndarray) -> np.ndarray:
    """Turn cosines into angles in degrees; NaN stays NaN.

    Cosines are clipped to +-0.999999 first, as in the work's released code, so that no angle is below
    0.081 degrees.
    """
    return np.degrees(np.arccos(np.clip(cosines, -0.999999, 0.999999)))


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class GradientSimilarity(Procedure):
    """Compare the gradients of the loss in the parameters at an image and at variants of it.

    The columns ``cosine_<scope>_<i>_<j>`` hold the cosine for every pair i before j of the variants; NaN
    where a gradient is zero or NaN. All variants of an image keep its label. Running statistics of batch
    normalization are no parameters and stay as they are.

    Settings:
        variants: attacks that make the variants, by name; the image itself is the first, ``clean``.
        scopes: over which parameters the gradient goes: all, or the first tensor only, as in the work's
            released code.
        loss: how the loss is computed.

    Source: maerz2023, Algorithm 5.
    """

    name: ClassVar[str] = "gradient_similarity"
    variants: Annotated[dict[str, AnyProcedure], Field(min_length=1)]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)] = ("all", "first_tensor")
    loss: LossName = "cross_entropy"

    def __post_init__(self) -> None:
        """Refuse variants that are no attacks or take the clean image's name."""
        for name, variant in self.variants.items():
            if name == CLEAN or not isinstance(variant, Attack):
                raise ConfigurationError(
                    "a variant is an attack with a name of its own",
                    key=f"variants.{name}",
                    found=variant.name,
                    valid=f"an attack under another name than {CLEAN}",
                )

    def cost(self, task: Task) -> Cost:
        """Of the attacks, and one pass either way per variant, whose backward goes to all parameters."""
        own = Cost(forward=1, backward=1, weight_gradients=1) * (len(self.variants) + 1)
        return sum((variant.cost(task) for variant in self.variants.values()), own)

    def run(self, model: Classifier, batch: Batch) -> Outcome:
        """Return the cosines of all pairs of variants."""
        images = [batch.images]
        images += [cast(Attack, variant).perturb(model, batch).images for variant in self.variants.values()]
        names = [CLEAN, *self.variants]
        gram = self._gram(model, torch.stack(images, 1), batch.labels)
        columns = {}
        for scope, products in gram.items():
            length = products.diagonal(dim1=1, dim2=2).sqrt()
            cosines = products / (length[:, :, None] * length[:, None, :])
            for (i, first), (j, second) in combinations(enumerate(names), 2):
                columns[cosine_column(scope, first, second)] = cosines[:, i, j]
        return Outcome(columns)

    def _gram(self, model: Classifier, images: Tensor, labels: Tensor) -> dict[Scope, Tensor]:
        """Return the inner products of the gradients at each image's variants, float64 ``[N, V, V]``, by scope.

        Args:
            model: the network.
            images: ``[N, V, C, H, W]``.
            labels: ``[N]``.
        """
        parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
        first = next(iter(parameters))
        if "all" not in self.scopes:
            parameters = {first: parameters[first]}

        def loss(chosen: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
            logits = functional_call(model, chosen, (image[None],))
            return class_loss(logits, label[None], self.loss).squeeze(0)

        gradients = vmap(grad(loss), in_dims=(None, 0, 0))
        variants = images.shape[1]
        results: dict[Scope, list[Tensor]] = {scope: [] for scope in self.scopes}
        for part in self._parts(len(images), variants, parameters):
            found = gradients(
                parameters, images[part].flatten(0, 1), labels[part].repeat_interleave(variants)
            )
            total = torch.zeros((), dtype=torch.float64, device=images.device)
            # One tensor after the other, since float64 doubles its size; in float32 the squares of the
            # gradients at images that the network is sure of would underflow.
            for name in list(found):
                rows = found.pop(name).unflatten(0, (-1, variants)).flatten(2).double()
                products = torch.bmm(rows, rows.transpose(1, 2))
                total = total + products
                if name == first and "first_tensor" in results:
                    results["first_tensor"].append(products)
            if "all" in results:
                results["all"].append(total)
        return {scope: torch.cat(parts) for scope, parts in results.items()}

    @staticmethod
    def _parts(count: int, variants: int, parameters: dict[str, Tensor]) -> Iterator[slice]:
        """Cut the images into parts that keep to ``GRADIENT_BYTES`` and ``PASSES``, one image at least."""
        per_image = variants * sum(p.numel() * p.element_size() for p in parameters.values())
        size = max(1, min(GRADIENT_BYTES // per_image, PASSES // variants))
        for start in range(0, count, size):
            yield slice(start, start + size)
