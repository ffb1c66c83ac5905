"""High-confidence attack: linearize the log of a class's probability until it is as likely as wanted.

Boundary attacks end where the network hesitates; this one goes on until the network is as sure of the wrong class as
it was of the right one (matyasko2020, section 4.4, Algorithm 1 and eqs. 4.6 to 4.8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.base import Attack, Perturbed
from gauntlet.attacks.criterion import refuse_confidence
from gauntlet.attacks.geometry.norms import lengths, per_image
from gauntlet.attacks.minimum_norm.deepfool import class_gradients
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Task, ThreatModel
from gauntlet.setting_types import Number, PositiveInt, Radius

SUREST = 1 - 1e-6
"""Largest probability that is aimed at: a softmax never reaches 1."""

FLOOR = 1e-8
"""Added to the squared length of a gradient, which vanishes where the softmax has saturated."""


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class HighConfidence(Attack):
    """Make the network as sure of the nearest wrong class as it is of the clean image.

    The class is that of the nearest linearized boundary seen from the true class, or the sample's target; it
    stays the same. Images that are misclassified as they are take part. The last point counts, reached or not.

    Columns: ``aim`` (the class), ``wanted_confidence``, ``reached`` (the class is predicted, at least as surely).

    Settings:
        steps: most steps.
        largest_step: most that a step may add to the perturbation, in l2; null for no bound.
        overshoot: factor beyond 1 by which the perturbation is stretched before each test. Without it a network
            whose log-probability is concave never quite gets there.

    Source: matyasko2020, Algorithm 1.
    """

    name: ClassVar[str] = "high_confidence"
    steps: PositiveInt = 500
    largest_step: Radius | None = 0.1
    overshoot: Number = 0.02

    @property
    def threat_model(self) -> ThreatModel:
        """White-box, as short as possible in l2."""
        return ThreatModel("minimum_norm", "white-box", "l2", None, "l2")

    def cost(self, task: Task) -> Cost:
        """The search for the class, every step forward and back, and a look at the end."""
        return Cost(forward=self.steps + 3, backward=self.steps + task.classes)

    def find(self, model: Classifier, batch: Batch) -> Perturbed:
        """Step until every image is there or has had all its steps."""
        refuse_confidence(batch, self.name)
        clean = batch.images
        with torch.no_grad():
            wanted = model(clean).softmax(1).amax(1).clamp(max=SUREST)
        aims = nearest_boundary_class(model, clean, batch.labels) if batch.targets is None else batch.targets
        images = clean.clone()
        rows = torch.arange(len(batch), device=clean.device)
        steps = torch.zeros_like(batch.labels)
        reached = torch.zeros_like(batch.labels, dtype=torch.bool)
        for step in range(self.steps + 1):
            log_p, move, predicted = _step(model, images[rows], aims[rows], wanted[rows].log())
            arrived = (log_p >= wanted[rows].log()) & (predicted == aims[rows])
            reached[rows[arrived]] = True
            rows, move = rows[~arrived], move[~arrived]
            if step == self.steps or not len(rows):
                break
            if self.largest_step is not None:
                length = per_image(lengths(move, "l2"), move)
                move = move * (self.largest_step / length.clamp(min=self.largest_step))
            stretch = 1 + self.overshoot
            moved = (images[rows] - clean[rows]) / stretch + move
            images[rows] = (clean[rows] + stretch * moved).clamp(0, 1)
            steps[rows] += 1
        columns = {"aim": aims, "wanted_confidence": wanted, "reached": reached}
        return Perturbed(images, steps, steps + 3, columns)


def nearest_boundary_class(model: Classifier, images: Tensor, reference: Tensor) -> Tensor:
    """Return the class whose linearized boundary with the reference class is nearest, int64 ``[N]``.

    That is argmin over j of |f_j - f_y| / ||grad f_j - grad f_y||_2 (matyasko2020, section 4.4).
    """
    with torch.enable_grad():
        points = images.detach().requires_grad_()
        logits = model(points)
        gradients = class_gradients(logits, points).flatten(2)
    own = reference[:, None]
    slopes = gradients - gradients.gather(1, own[:, :, None].expand(-1, 1, gradients.shape[2]))
    gaps = (logits - logits.gather(1, own)).detach().abs()
    return (gaps / slopes.norm(dim=2).clamp(min=1e-12)).scatter(1, own, torch.inf).argmin(1)


def unrolled_high_confidence(
    model: Classifier,
    images: Tensor,
    aims: Tensor,
    wanted: Tensor,
    *,
    steps: int,
    overshoot: float,
    through_positions: bool = False,
) -> Tensor:
    """Return adversarial images that can be differentiated in the parameters of the network.

    A step is added while the class has never been as likely as wanted. That indicator is hard on the way
    forward, and a sigmoid on the way back (straight-through, Bengio et al. 2013). Steps are those of Algorithm 1,
    with no bound on their length and no image box.

    Args:
        model: its parameters ask for gradients.
        images: where to start, ``[N, C, H, W]``.
        aims: classes to reach, ``[N]``.
        wanted: their probabilities, constants in (0, 1), ``[N]``.
        steps: how many are unrolled.
        overshoot: by how much the perturbation is stretched.
        through_positions: whether the point at which a step is computed depends on the parameters as well; else
            only the step does.
    """
    wanted = wanted.detach().clamp(max=SUREST)
    total, going = torch.zeros_like(images), torch.ones_like(wanted)
    for _ in range(steps):
        points = images + (1 + overshoot) * (total if through_positions else total.detach())
        log_p, move, _ = _step(model, points, aims, wanted.log(), differentiable=True)
        gap = wanted - log_p.exp()
        soft = gap.sigmoid()
        going = going * ((gap >= 0).to(soft.dtype) + soft - soft.detach())
        total = total + per_image(going, move) * move
    return images + (1 + overshoot) * total


def _step(
    model: Classifier, points: Tensor, aims: Tensor, log_wanted: Tensor, *, differentiable: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Return log p of each aim, the shortest step to the wanted one to first order (eq. 4.8), and the prediction."""
    with torch.enable_grad():
        if not points.requires_grad:
            points = points.detach().requires_grad_()
        logits = model(points)
        log_p = logits.log_softmax(1).gather(1, aims[:, None]).squeeze(1)
        (gradient,) = torch.autograd.grad(log_p.sum(), points, create_graph=differentiable)
        squared = gradient.flatten(1).square().sum(1) + FLOOR
        move = per_image((log_wanted - log_p).abs() / squared, gradient) * gradient
    if not differentiable:
        log_p, move = log_p.detach(), move.detach()
    return log_p, move, logits.detach().argmax(1)
