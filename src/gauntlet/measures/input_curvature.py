"""The curvature of the loss in the image: the largest eigenvalue of its Hessian (chen2021, Figure 6.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Outcome, Procedure, Task
from gauntlet.defences.starts import CleanStart, Start
from gauntlet.setting_types import Radius


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class InputCurvature(Procedure):
    """Measure the largest eigenvalue of the Hessian of the cross-entropy in the image.

    The logits f of a network of ReLUs are linear around nearly every image, so that the Hessian is J' S J with the
    Jacobian J of the logits and S = diag(p) - p p' of the softmax p: the same for every label, and for a
    divergence from any fixed answer. Its eigenvalues are those of the small matrix S^1/2 J J' S^1/2. Of another
    network this is the Gauss-Newton part.

    Column ``curvature``.

    Settings:
        start: where it is measured, as the attacks inside training start.
        eps: radius of the ball that the start stays in, in pixel scale.
        step_size: of the starts that take a step.

    Source: chen2021, section 6.4 and Figure 6.3.
    """

    name: ClassVar[str] = "input_curvature"
    start: Start = field(default_factory=CleanStart)
    eps: Radius = 0.031
    step_size: Radius = 8 / 255

    def cost(self, task: Task) -> Cost:
        """The start, a pass forward, and one back for each class."""
        return Cost(forward=self.start.passes + 1, backward=self.start.passes + task.classes)

    def run(self, model: Classifier, batch: Batch) -> Outcome:
        """Return the eigenvalue of each image, in nats over pixel scale squared."""
        points = self.start.points(model, batch, self.eps, self.step_size)
        logits, jacobian = _jacobian(model, points)
        p = logits.double().softmax(1)
        curvature = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
        values, vectors = torch.linalg.eigh(curvature)
        # S has rank K - 1: what rounding leaves of its last eigenvalue may be negative.
        root = (vectors * values.clamp(min=0).sqrt()[:, None, :]) @ vectors.mT
        jacobian = jacobian.double()
        largest = torch.linalg.eigvalsh(root @ (jacobian @ jacobian.mT) @ root)[:, -1]
        return Outcome({"curvature": largest.clamp(min=0)})


def _jacobian(model: Classifier, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits ``[N, K]`` and each image's Jacobian ``[N, K, D]``."""
    with torch.enable_grad():
        leaf = images.detach().requires_grad_()
        logits = model(leaf)
        rows = [
            torch.autograd.grad(column.sum(), leaf, retain_graph=True)[0].flatten(1)
            for column in logits.unbind(1)
        ]
    return logits.detach(), torch.stack(rows, 1)
