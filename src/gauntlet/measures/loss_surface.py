"""The loss around an image, over the plane of its gradient's sign and a random direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Outcome, Procedure, Task
from gauntlet.setting_types import PositiveInt, Radius


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class LossSurface(Procedure):
    """Evaluate the cross-entropy on a square grid spanned by two sign vectors, clipped to the image box.

    Columns ``loss_<i>_<j>``: the loss at step i along the sign of the input gradient and step j along random
    signs, both counted from -reach to reach in an odd number of points, so that the middle is the image.

    Settings:
        eps: linf length of either direction at the edge of the grid, in pixel scale.
        reach: number of points on either side of the image.

    Source: the views of loss surfaces that maerz2023 shows in Figures 2.1 to 2.3.
    """

    name: ClassVar[str] = "loss_surface"
    eps: Radius
    reach: PositiveInt = 8

    def cost(self, task: Task) -> Cost:
        """One pass per grid point, and one either way for the gradient."""
        return Cost(forward=(2 * self.reach + 1) ** 2 + 1, backward=1)

    def run(self, model: Classifier, batch: Batch) -> Outcome:
        """Return the grid's losses, one column per point."""
        images = batch.images
        with torch.enable_grad():
            leaf = images.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(
                F.cross_entropy(model(leaf), batch.labels, reduction="sum"), leaf
            )
        uphill = gradient.sign()
        bits = torch.randint(
            2, images.shape, generator=batch.generator, device=images.device, dtype=images.dtype
        )
        sideways = 2 * bits - 1
        steps = range(-self.reach, self.reach + 1)
        columns = {}
        with torch.no_grad():
            for i in steps:
                for j in steps:
                    columns[f"loss_{i + self.reach}_{j + self.reach}"] = self._loss(
                        model, images + (i * uphill + j * sideways) * (self.eps / self.reach), batch.labels
                    )
        return Outcome(columns)

    @staticmethod
    def _loss(model: Classifier, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(model(images.clamp(0, 1)).double(), labels, reduction="none")
