"""Jacobian saliency map attack: change the two most telling entries, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.base import Perturbed, WhiteBoxAttack
from gauntlet.attacks.minimum_norm.perturbations import (
    changed_pixels,
    correctly_classified,
    recheck_adversarial,
)
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, ThreatModel
from gauntlet.setting_types import Radius, Share


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class Jsma(WhiteBoxAttack):
    """Aim at every wrong class, brightening and darkening; the run that changes the fewest pixels counts.

    A step changes the two entries, of those not saturated, in which the logit of the target rises the most
    (brightening) or falls the most (darkening). This saliency looks at the target's logit alone; it is that
    of the implementation behind the numbers of matyasko2020. Runs that cannot become the best any more stop.

    Settings:
        step_size: theta, by how much an entry changes; at 1 it saturates.
        largest_share: gamma, share of the entries that may change.

    Columns: ``pixels``, changed pixels (``l0`` counts changed entries).

    Source: Papernot et al. 2016; matyasko2020, section 5.4.
    """

    name: ClassVar[str] = "jsma"
    step_size: Radius = 1.0
    largest_share: Share = 1.0

    @property
    def threat_model(self) -> ThreatModel:
        """White-box, as few pixels as possible."""
        return ThreatModel("minimum_norm", "white-box", "l0", None, "pixels")

    @property
    def cost(self) -> Cost:
        """About thirty steps of nine targets and two signs."""
        return Cost(18 * 30 + 2, 18 * 30)

    def perturb(self, model: Classifier, batch: Batch) -> Perturbed:
        """Run all targets and both signs of all images in lock-step."""
        attacked = correctly_classified(model, batch.images, batch.labels)
        clean, labels = batch.images[attacked], batch.labels[attacked]
        with torch.no_grad():
            classes = model(batch.images[:1]).shape[1]
        image = torch.arange(len(clean), device=clean.device).repeat_interleave(2 * (classes - 1))
        target = torch.arange(classes - 1, device=clean.device).repeat_interleave(2).repeat(len(clean))
        target = target + (target >= labels[image])
        sign = torch.tensor([1.0, -1.0], device=clean.device).repeat(len(image) // 2)
        images = clean[image]
        best = clean.clone()
        fewest = torch.full((len(clean),), torch.iinfo(torch.long).max, device=clean.device)
        steps = torch.zeros_like(labels)
        limit = int(self.largest_share * clean[0].numel()) if len(clean) else 0
        while len(image):
            images = images.requires_grad_()
            logits = model(images)
            (gradient,) = torch.autograd.grad(logits.gather(1, target[:, None]).sum(), images)
            images = images.detach()
            reached = logits.detach().argmax(1) == target
            pixels = changed_pixels(images - clean[image])
            count = torch.where(reached, pixels, torch.iinfo(torch.long).max)
            least = fewest.scatter_reduce(0, image, count, "amin")
            winners = reached & (count == least[image]) & (count < fewest[image])
            best[image[winners]], fewest = images[winners], least
            free = torch.where(sign.view(-1, 1, 1, 1) > 0, images < 1, images > 0)
            going = ~reached & (pixels < fewest[image]) & (free.flatten(1).sum(1) >= 2)
            going &= (images != clean[image]).flatten(1).sum(1) + 2 <= limit
            rows = going.nonzero().squeeze(1)
            image, target, sign, images = image[rows], target[rows], sign[rows], images[rows]
            steps.index_add_(0, image, torch.ones_like(image))
            images = self._step(images, gradient[rows], free[rows], sign)
        points = batch.images.index_copy(0, attacked, best)
        points = recheck_adversarial(model, batch.images, batch.labels, points)
        taken = torch.zeros_like(batch.labels).index_copy(0, attacked, steps)
        runs = torch.zeros_like(batch.labels).index_fill(0, attacked, 2 * (classes - 1))
        return Perturbed(points, taken, taken + runs + 1, {"pixels": changed_pixels(points - batch.images)})

    def _step(self, images: Tensor, gradient: Tensor, free: Tensor, sign: Tensor) -> Tensor:
        """Change two entries of each image ``[B, C, H, W]`` by theta, upwards or downwards."""
        if len(images) == 0:
            return images
        saliency = (gradient * sign.view(-1, 1, 1, 1)).masked_fill(~free, -torch.inf).flatten(1)
        chosen = saliency.topk(2, dim=1).indices
        change = self.step_size * sign[:, None].expand(-1, 2)
        return images.flatten(1).scatter_add(1, chosen, change).clamp_(0, 1).view_as(images)
