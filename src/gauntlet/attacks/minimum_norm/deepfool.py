"""DeepFool: step to the nearest linearized boundary until the class changes (Moosavi-Dezfooli et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.attacks.geometry.norms import lengths, per_image
from gauntlet.attacks.geometry.sizes import where_images
from gauntlet.contracts import Classifier


def deepfool(
    model: Classifier, images: Tensor, labels: Tensor, steps: int, overshoot: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Run l2 DeepFool inside the image box on a batch.

    Args:
        model: the classifier.
        images: where to start, ``[B, C, H, W]``.
        labels: classes to leave, ``[B]``.
        steps: most steps.
        overshoot: factor beyond 1 by which the perturbation is stretched before each test.

    Returns:
        The points without overshoot, the gradient there of the nearest class's logit less the label's, and
        the forward passes of each image.
    """
    total = torch.zeros_like(images)
    normal = torch.zeros_like(images)
    passes = torch.zeros_like(labels)
    rows = torch.arange(len(images), device=images.device)
    for step in range(steps + 1):
        tried = (images[rows] + (1 + overshoot) * total[rows]).clamp(0, 1).requires_grad_()
        logits = model(tried)
        passes[rows] += 1
        fooled = logits.detach().argmax(1) != labels[rows]
        gradients = class_gradients(logits, tried)
        own = labels[rows, None]
        own_gradient = gradients.gather(1, own.view(-1, 1, 1, 1, 1).expand(-1, 1, *images.shape[1:]))
        slopes = gradients - own_gradient
        gaps = (logits - logits.gather(1, own)).detach()
        distance = gaps.abs() / slopes.flatten(2).norm(dim=2).clamp(min=1e-12)
        # At the end the plane is that of the class that was reached.
        choice = torch.where(fooled, logits.detach().argmax(1), distance.scatter(1, own, torch.inf).argmin(1))
        picked = torch.arange(len(rows), device=rows.device), choice
        slope, nearest = slopes[picked], distance[picked]
        normal[rows] = slope
        if step == steps:
            break
        length = per_image(lengths(slope, "l2").clamp(min=1e-12), slope)
        stride = per_image(nearest + 1e-4, slope) * slope / length
        total[rows] = where_images(fooled, total[rows], total[rows] + stride)
        rows = rows[~fooled]
        if len(rows) == 0:
            break
    return (images + total).clamp(0, 1), normal, passes


def class_gradients(logits: Tensor, images: Tensor) -> Tensor:
    """Return the gradient of every logit in the image, ``[B, K, C, H, W]``."""
    return torch.stack(
        [
            torch.autograd.grad(logits[:, number].sum(), images, retain_graph=True)[0]
            for number in range(logits.shape[1])
        ],
        1,
    )
