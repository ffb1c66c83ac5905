"""Accuracy by epoch of training with either consistency loss (song, section 5.4, Figure 5.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gauntlet.analysis.inputs import ArtefactInputs

ORIGINAL, GENERALIZED = "Consistency", "generalized consistency"
SHARE_OF_FINAL = 0.95


@dataclass(frozen=True)
class Convergence:
    """Two trainings side by side.

    Attributes:
        sigma: the noise level.
        curves: accuracy under noise after each epoch, by model, as fractions.
        reached: the first epoch with ``SHARE_OF_FINAL`` of Consistency's final accuracy; NaN for never.
        images: test images behind each accuracy.
    """

    sigma: float
    curves: dict[str, NDArray[np.float64]]
    reached: dict[str, float]
    images: int


def convergences(inputs: ArtefactInputs) -> list[Convergence]:
    """Return the two trainings at each noise level."""
    found = []
    for sigma in sorted({float(model.labels["sigma"]) for model in inputs.models}):
        models = {name: inputs.model(sigma=sigma, model=name) for name in (ORIGINAL, GENERALIZED)}
        curves = {
            name: model.history["noisy_test_accuracy"].to_numpy(dtype=float) for name, model in models.items()
        }
        goal = SHARE_OF_FINAL * curves[ORIGINAL][-1]
        reached = {
            name: float(np.argmax(curve >= goal) + 1) if (curve >= goal).any() else np.nan
            for name, curve in curves.items()
        }
        found.append(Convergence(sigma, curves, reached, int(models[ORIGINAL].manifest["test_images"])))
    return found
