"""Fast adversarial training: learn from images that one long step has attacked (Wong et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import nn
from torch.nn import functional as F

from gauntlet.attacks.objectives import class_loss
from gauntlet.contracts import DEFENCES, Batch, Cost, Loss, Progress, Task
from gauntlet.defences.ascent import AscentDefence
from gauntlet.defences.starts import Start, UniformStart
from gauntlet.setting_types import NonNegativeInt, Radius


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class FastAdversarialTraining(AscentDefence):
    """Minimize CE(F(x'), y), where x' is the end of one sign step on the cross-entropy.

    The step is longer than the radius and then clipped to the ball. A ``clean`` start is what it must not have;
    ``true_logit`` makes it BS(PGD), ``output_diversified`` ODI(PGD).

    Its settings are those of ``AscentDefence``: eps, steps, step_size, start, attack_precision.
    Source: chen2021, sections 6.2 and 6.7.5; Wong et al. 2020, who attack in train mode instead of eval mode.
    """

    name: ClassVar[str] = "fast_adversarial_training"
    steps: NonNegativeInt = 1
    step_size: Radius = 10 / 255
    start: Start = field(default_factory=UniformStart)

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return the loss of the attacked images, on which accuracy is measured as well."""
        with self.attacking(model, batch):
            ascent = self.climb(
                model, batch, lambda logits: class_loss(logits, batch.labels, "cross_entropy")
            )
        logits = model(ascent.images)
        return Loss(F.cross_entropy(logits, batch.labels), logits, ascent.parts, perturbed=ascent.images)

    def cost(self, task: Task) -> Cost:
        """Start and steps, and a pass each way to learn."""
        return self.climb_cost + Cost(forward=1, backward=1, weight_gradients=1)
