"""White-box attacks that step until they succeed: images leave the batch one by one."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet.attacks.base import FixedBudgetAttack, Perturbed
from gauntlet.attacks.objectives import ObjectiveLoss, objective
from gauntlet.contracts import Batch, Classifier, Cost, Criterion, Task
from gauntlet.setting_types import PositiveInt


@dataclass(frozen=True, kw_only=True)
class UntilSuccess(FixedBudgetAttack):
    """Descend a loss by steps that remember earlier gradients; by default stop at the first success.

    The pass that gives a step its gradient also tells whether the iterate already succeeds, so that the
    test costs one pass more per image in all. An image that succeeds unperturbed takes no step.

    Settings:
        steps: most steps per image.
        loss: what is descended, towards the batch's targets if it has them, else away from the labels:
            cross_entropy, or margin (the C&W loss without a confidence term).
        early_stop: leave an image at its first success; otherwise take all steps and return the last iterate.

    Columns: ``iterations``, steps until the image first succeeded (without early stop: all steps);
    ``queries``, the forward passes that they and the tests took.
    """

    steps: PositiveInt
    loss: ObjectiveLoss = "cross_entropy"
    early_stop: bool = True

    def cost(self, task: Task) -> Cost:
        """One pass either way per step, one pass for the last test and one to measure."""
        return Cost(forward=self.steps + 1 + self.early_stop, backward=self.steps)

    def find(self, model: Classifier, batch: Batch) -> Perturbed:
        """Step in lock-step over the images that have not succeeded."""
        clean, criterion = batch.images, batch.criterion
        final = clean.clone()
        iterations = torch.zeros_like(batch.labels)
        queries = torch.zeros_like(batch.labels)
        rows = torch.arange(len(batch), device=clean.device)
        images = self.start(batch)
        memory: Tensor | None = None
        for step in range(self.steps + self.early_stop):
            logits, gradient = _gradient(
                model, images, criterion.rows(rows), self.loss, last=step == self.steps
            )
            queries[rows] += 1
            if self.early_stop:
                going = ~criterion.rows(rows).met_by(logits)
                if not going.all():
                    final[rows[~going]] = images[~going]
                    rows, images, gradient = rows[going], images[going], gradient[going]
                    memory = None if memory is None else memory[going]
            if step == self.steps or len(rows) == 0:
                break
            images, memory = self.step(images, clean[rows], gradient, memory)
            iterations[rows] += 1
        final[rows] = images
        return Perturbed(final, iterations, queries)

    def start(self, batch: Batch) -> Tensor:
        """Return the first iterates; by default the clean images."""
        return batch.images

    @abstractmethod
    def step(
        self, images: Tensor, clean: Tensor, gradient: Tensor, memory: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the next iterates and what the following step is to remember (None before the first)."""


def _gradient(
    model: Classifier, images: Tensor, criterion: Criterion, loss: ObjectiveLoss, *, last: bool
) -> tuple[Tensor, Tensor]:
    """Return the logits and the gradient of each image's loss; for the ``last`` test, only logits."""
    if last:
        with torch.no_grad():
            return model(images), images
    with torch.enable_grad():
        leaf = images.detach().requires_grad_()
        logits = model(leaf)
        return logits.detach(), torch.autograd.grad(objective(criterion, logits, loss).sum(), leaf)[0]
