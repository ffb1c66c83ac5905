"""Procedures behind the fitted input layers of a network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from gauntlet.contracts import (
    PROCEDURES,
    AnyProcedure,
    Batch,
    Classifier,
    Cost,
    Outcome,
    Procedure,
    Task,
    ThreatModel,
)
from gauntlet.models import attack_space


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class InAttackSpace(Procedure):
    """Run a procedure on what the network's input layers make of the images, and on the network behind them.

    Radii, distances and kept images are those of that space, such as of whitened images; an attack there has no
    image box to stay in. A network without such layers is attacked in pixel scale.

    Settings:
        procedure: what is run.

    Source: matyasko2020, section 3.5.2, whose radii belong to whitened images.
    """

    name: ClassVar[str] = "in_attack_space"
    procedure: AnyProcedure

    @property
    def threat_model(self) -> ThreatModel | None:
        """That of the procedure, its radius in the scale of the space."""
        return self.procedure.threat_model

    def cost(self, task: Task) -> Cost:
        """That of the procedure."""
        return self.procedure.cost(task)

    def run(self, model: Classifier, batch: Batch) -> Outcome:
        """Return what the procedure finds there."""
        network, points = attack_space(model, batch.images)
        return self.procedure.run(network, replace(batch, images=points))
