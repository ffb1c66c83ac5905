"""DeepFool: step to the nearest linearized boundary until the class changes (Moosavi-Dezfooli et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gauntlet.attacks.base import Attack, Perturbed
from gauntlet.attacks.criterion import refuse_targets
from gauntlet.attacks.geometry.norms import lengths, per_image
from gauntlet.attacks.geometry.sizes import where_images
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Task, ThreatModel
from gauntlet.setting_types import PositiveInt, Radius

Box = Literal["none", "tried", "projected"]
"""Part of the image box: none; only points that are tried are brought into it; after each step the perturbation is."""


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class DeepFool(Attack):
    """Step to the nearest linearized boundary of all classes until the class is no longer the true one.

    The perturbation of an image that stays in its class after the last step is kept as it is then, and not given
    up: ``success`` tells such images. A misclassified image is not perturbed.

    Settings:
        steps: most steps.
        clip: longest step in l2, before overshoot; null for none. DeepFool overestimates the distance on
            regularized networks without it.
        overshoot: eta, by how much the perturbation is stretched before each test and in the end.
        box: whether the perturbation is brought back into the image box after each step.

    Source: matyasko2020, eq. 2.18 and sections 3.5 (50 steps, clip 0.5, no box) and 4.5 (500 steps, clip 0.1, box);
    Moosavi-Dezfooli et al. 2016.
    """

    name: ClassVar[str] = "deepfool"
    steps: PositiveInt = 50
    clip: Radius | None = None
    overshoot: Radius = 0.02
    box: bool = True

    @property
    def threat_model(self) -> ThreatModel:
        """White-box, as small as possible in l2."""
        return ThreatModel("minimum_norm", "white-box", "l2", None, "l2")

    def cost(self, task: Task) -> Cost:
        """At most a pass forward and one back for each class in every step."""
        return Cost(forward=self.steps + 2, backward=(self.steps + 1) * task.classes)

    def find(self, model: Classifier, batch: Batch) -> Perturbed:
        """Return the stretched perturbation after each image's last step."""
        refuse_targets(batch, "DeepFool")
        walk = walk_to_boundary(
            model,
            batch.images,
            batch.labels,
            self.steps,
            self.overshoot,
            clip=self.clip,
            nudge=0.0,
            linearized="reached",
            box="projected" if self.box else "none",
        )
        images = batch.images + (1 + self.overshoot) * walk.perturbation
        if self.box:
            images = images.clamp(0, 1)
        return Perturbed(images, walk.steps, walk.passes)


@dataclass(frozen=True)
class Walk:
    """Course of DeepFool, image by image.

    Attributes:
        perturbation: without overshoot, ``[B, C, H, W]``.
        normal: gradient at the last point of the nearest class's logit less the label's, ``[B, C, H, W]``.
        steps: of each image, ``[B]``.
        passes: forward passes of each image, ``[B]``.
    """

    perturbation: Tensor
    normal: Tensor
    steps: Tensor
    passes: Tensor


def deepfool(
    model: Classifier, images: Tensor, labels: Tensor, steps: int, overshoot: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Run l2 DeepFool as SparseFool does; see `walk_to_boundary`.

    Returns:
        The points without overshoot inside the image box, the normals there, and the passes.
    """
    walk = walk_to_boundary(model, images, labels, steps, overshoot)
    return (images + walk.perturbation).clamp(0, 1), walk.normal, walk.passes


def walk_to_boundary(
    model: Classifier,
    images: Tensor,
    labels: Tensor,
    steps: int,
    overshoot: float,
    *,
    clip: float | None = None,
    nudge: float = 1e-4,
    linearized: Literal["tried", "reached"] = "tried",
    box: Box = "tried",
) -> Walk:
    """Run l2 DeepFool on a batch.

    Args:
        model: the classifier.
        images: where to start, ``[B, C, H, W]``.
        labels: classes to leave, ``[B]``.
        steps: most steps.
        overshoot: factor beyond 1 by which the perturbation is stretched before each test.
        clip: longest step.
        nudge: added to the distance of each step.
        linearized: where gradients are taken: at the stretched point, or at the one that is stretched, for another
            pass per step.
        box: see `Box`.
    """
    total = torch.zeros_like(images)
    normal = torch.zeros_like(images)
    taken, passes = torch.zeros_like(labels), torch.zeros_like(labels)
    rows = torch.arange(len(images), device=images.device)
    for step in range(steps + 1):
        tried = images[rows] + (1 + overshoot) * total[rows]
        tried = tried if box == "none" else tried.clamp(0, 1)
        point = (tried if linearized == "tried" else images[rows] + total[rows]).requires_grad_()
        logits = model(point)
        passes[rows] += 1
        predicted = logits.detach().argmax(1)
        if linearized == "reached" and step:
            with torch.no_grad():
                predicted = model(tried).argmax(1)
            passes[rows] += 1
        fooled = predicted != labels[rows]
        gradients = class_gradients(logits, point)
        own = labels[rows, None]
        own_gradient = gradients.gather(1, own.view(-1, 1, 1, 1, 1).expand(-1, 1, *images.shape[1:]))
        slopes = gradients - own_gradient
        gaps = (logits - logits.gather(1, own)).detach()
        distance = gaps.abs() / slopes.flatten(2).norm(dim=2).clamp(min=1e-12)
        # At the end the plane is that of the class that was reached.
        choice = torch.where(fooled, predicted, distance.scatter(1, own, torch.inf).argmin(1))
        picked = torch.arange(len(rows), device=rows.device), choice
        slope, nearest = slopes[picked], distance[picked]
        normal[rows] = slope
        if step == steps:
            break
        length = per_image(lengths(slope, "l2").clamp(min=1e-12), slope)
        stride = (
            per_image((nearest + nudge).clamp(max=torch.inf if clip is None else clip), slope)
            * slope
            / length
        )
        total[rows] = where_images(fooled, total[rows], total[rows] + stride)
        if box == "projected":
            stretched = (images[rows] + (1 + overshoot) * total[rows]).clamp(0, 1)
            total[rows] = (stretched - images[rows]) / (1 + overshoot)
        taken[rows] += ~fooled
        rows = rows[~fooled]
        if len(rows) == 0:
            break
    return Walk(total, normal, taken, passes)


def class_gradients(logits: Tensor, images: Tensor) -> Tensor:
    """Return the gradient of every logit in the image, ``[B, K, C, H, W]``."""
    return torch.stack(
        [
            torch.autograd.grad(logits[:, number].sum(), images, retain_graph=True)[0]
            for number in range(logits.shape[1])
        ],
        1,
    )
