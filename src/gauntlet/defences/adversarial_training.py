"""Adversarial training: the network learns from attacked batches (maerz2023, Algorithm 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator
from torch import nn
from torch.nn import functional as F

from gauntlet.attacks.base import Attack
from gauntlet.contracts import DEFENCES, AnyProcedure, Batch, Cost, Loss, Procedure, Progress, Task
from gauntlet.defences.attacking import AttackingDefence
from gauntlet.errors import ConfigurationError
from gauntlet.setting_types import Share


def _is_attack(procedure: Procedure) -> Procedure:
    if not isinstance(procedure, Attack):
        raise ConfigurationError(
            "adversarial training needs an attack",
            key="name",
            found=procedure.name,
            valid="a procedure that perturbs images",
        )
    return procedure


@DEFENCES.register
@dataclass(frozen=True, kw_only=True)
class AdversarialTraining(AttackingDefence):
    """Minimize alpha L(F(x~), c) + (1 - alpha) L(F(x), c), where x~ is an attacked image.

    Projected gradient descent as the attack gives the training of Madry et al. 2018; one step from a random
    start, a quarter longer than the radius and then clipped to it, that of Wong et al. 2020.

    Settings:
        attack: how images are perturbed.
        adversarial_weight: alpha in [0, 1]; at 1 the network never sees a clean image.
        attack_mode: mode of the network while it is attacked. ``eval`` is what Engstrom et al. 2019, Zhang et
            al. 2019 and Salman et al. 2019 do: the attack meets the network that will be deployed, and its
            forward passes leave the statistics of batch norm alone. In ``train``, as Wong et al. 2020 do, it
            meets the batch's own statistics and dropout, and moves the running ones.

    A further setting is that of ``AttackingDefence``: attack_precision.

    Source: maerz2023, Algorithm 2, with one update per batch where it prints one per epoch.
    """

    name: ClassVar[str] = "adversarial_training"
    attack: Annotated[AnyProcedure, AfterValidator(_is_attack)]
    adversarial_weight: Share = 1.0
    attack_mode: Literal["eval", "train"] = "eval"

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return the weighted loss; its logits are those of the attacked images, if these count at all.

        The parts are the two losses, where both count.
        """
        weight = self.adversarial_weight
        if weight == 0:
            clean_logits = model(batch.images)
            return Loss(F.cross_entropy(clean_logits, batch.labels), clean_logits)
        assert isinstance(self.attack, Attack)
        with self.attacking(model, batch, self.attack_mode):
            images = self.attack.perturb(model, batch).images.detach()
        logits = model(images)
        adversarial = F.cross_entropy(logits, batch.labels)
        if weight == 1:
            return Loss(adversarial, logits, perturbed=images)
        clean = F.cross_entropy(model(batch.images), batch.labels)
        parts = {"adversarial_loss": adversarial, "clean_loss": clean}
        return Loss(weight * adversarial + (1 - weight) * clean, logits, parts, perturbed=images)

    def cost(self, task: Task) -> Cost:
        """The attack, and a pass forward and back for each loss that counts."""
        clean, adversarial = Cost(1, 1, 1) * (self.adversarial_weight < 1), Cost(0, 0)
        if self.adversarial_weight > 0:
            adversarial = self.attack.cost(task) + Cost(1, 1, 1)
        return clean + adversarial
