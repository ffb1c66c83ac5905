"""Accuracy by epoch of training with either consistency loss (song, section 5.4, Figure 5.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import Interval, share_difference

ORIGINAL, GENERALIZED = "Consistency", "generalized consistency"
SHARE_OF_FINAL = 0.95


@dataclass(frozen=True)
class Convergence:
    """The trainings with either loss at one noise level.

    Attributes:
        curves: accuracy under noise after each epoch, as fractions, of each training by loss.
        images: test images behind each accuracy.
    """

    curves: dict[str, list[NDArray[np.float64]]]
    images: int

    def reached(self, name: str) -> list[float]:
        """Return each training's first epoch with 95 % of Consistency's mean final accuracy; infinite for never."""
        goal = SHARE_OF_FINAL * float(np.mean([curve[-1] for curve in self.curves[ORIGINAL]]))
        return [
            float(np.argmax(curve >= goal) + 1) if (curve >= goal).any() else np.inf
            for curve in self.curves[name]
        ]

    def gain(self, first: float, second: float) -> Interval:
        """Return the difference of two accuracies with its interval over images."""
        hits = (round(float(accuracy) * self.images) for accuracy in (first, second))
        return share_difference(next(hits), self.images, next(hits), self.images)


def convergences(inputs: ArtefactInputs) -> dict[float, Convergence]:
    """Return the trainings by noise level."""
    found = {}
    for sigma in sorted({float(model.labels["sigma"]) for model in inputs.models}):
        models = {name: inputs.models_where(sigma=sigma, model=name) for name in (ORIGINAL, GENERALIZED)}
        curves = {
            name: [model.history["noisy_test_accuracy"].to_numpy(dtype=float) for model in trained]
            for name, trained in models.items()
        }
        found[sigma] = Convergence(curves, int(models[ORIGINAL][0].manifest["test_images"]))
    return found
