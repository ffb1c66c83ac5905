"""Jacobian saliency map attack: change the two most telling entries, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.base import MinimumNormAttack, Smallest
from gauntlet.attacks.geometry.sizes import PerturbationNorm, changed_pixels
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Criterion, Task
from gauntlet.setting_types import Radius, Share


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class Jsma(MinimumNormAttack):
    """Aim at the target or every wrong class, by brightening and by darkening; the run with the fewest pixels counts.

    A step changes the two entries, of those not saturated, in which the logit of the target rises the most
    (brightening) or falls the most (darkening). This saliency looks at the target's logit alone; it is that
    of the implementation behind the numbers of matyasko2020. Runs that cannot become the best any more stop.

    Settings:
        step_size: theta, by how much an entry changes; at 1 it saturates.
        largest_share: gamma, share of the entries that may change.

    Source: Papernot et al. 2016; matyasko2020, section 5.4.
    """

    name: ClassVar[str] = "jsma"
    step_size: Radius = 1.0
    largest_share: Share = 1.0

    @property
    def minimized(self) -> PerturbationNorm:
        """Always l0."""
        return "l0"

    def cost(self, task: Task) -> Cost:
        """About thirty steps for every wrong class and both signs; each step needs the gradient of two logits."""
        runs = 2 * (task.classes - 1)
        return Cost(forward=runs * 30 + 2, backward=runs * 30)

    def minimize(self, model: Classifier, batch: Batch) -> Smallest:
        """Run all targets and both signs of all images in lock-step."""
        clean, labels = batch.images, batch.labels
        steps = torch.zeros_like(labels)
        if len(batch) == 0:
            return Smallest(clean, steps, steps)
        image, target = self._targets(model, batch)
        runs = len(image) // len(batch)
        sign = torch.tensor([1.0, -1.0], device=clean.device).repeat(len(image) // 2)
        images = clean[image]
        best = clean.clone()
        fewest = torch.full((len(clean),), torch.iinfo(torch.long).max, device=clean.device)
        limit = int(self.largest_share * clean[0].numel())
        while len(image):
            images = images.requires_grad_()
            logits = model(images)
            (gradient,) = torch.autograd.grad(logits.gather(1, target[:, None]).sum(), images)
            images = images.detach()
            reached = Criterion(target, targeted=True, confidence=batch.confidence).met_by(logits.detach())
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
        return Smallest(best, steps, steps + runs)

    @staticmethod
    def _targets(model: Classifier, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the image and the class aimed at of every run: the image's target, or each wrong class."""
        every = torch.arange(len(batch), device=batch.labels.device)
        if batch.targets is not None:
            return every.repeat_interleave(2), batch.targets.repeat_interleave(2)
        with torch.no_grad():
            classes = model(batch.images[:1]).shape[1]
        image = every.repeat_interleave(2 * (classes - 1))
        target = torch.arange(classes - 1, device=image.device).repeat_interleave(2).repeat(len(batch))
        return image, target + (target >= batch.labels[image])

    def _step(self, images: Tensor, gradient: Tensor, free: Tensor, sign: Tensor) -> Tensor:
        """Change two entries of each image ``[B, C, H, W]`` by theta, upwards or downwards."""
        if len(images) == 0:
            return images
        saliency = (gradient * sign.view(-1, 1, 1, 1)).masked_fill(~free, -torch.inf).flatten(1)
        chosen = saliency.topk(2, dim=1).indices
        change = self.step_size * sign[:, None].expand(-1, 2)
        return images.flatten(1).scatter_add(1, chosen, change).clamp_(0, 1).view_as(images)
