"""Accuracy by epoch of training with either consistency loss (song, section 5.4, Figure 5.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.works.song.smoothing.observations import model_name, training_manifest

CURVES = {"consistency": "Consistency", "generalized": "generalized consistency"}
SHARE_OF_FINAL = 0.95


@dataclass(frozen=True)
class Convergence:
    """Two trainings side by side.

    Attributes:
        curves: accuracy under noise after each epoch, by name, as fractions.
        reached: the first epoch with ``SHARE_OF_FINAL`` of Consistency's final accuracy; NaN for never.
        images: test images behind each accuracy.
    """

    curves: dict[str, NDArray[np.float64]]
    reached: dict[str, float]
    images: int


def convergence(inputs: ArtefactInputs, sigma: float) -> Convergence:
    """Read the two trainings at one noise level."""
    curves = {
        name: inputs.history(model_name(method, sigma))["noisy_test_accuracy"].to_numpy(dtype=float)
        for method, name in CURVES.items()
    }
    goal = SHARE_OF_FINAL * curves[CURVES["consistency"]][-1]
    reached = {
        name: float(np.argmax(curve >= goal) + 1) if (curve >= goal).any() else float("nan")
        for name, curve in curves.items()
    }
    return Convergence(curves, reached, int(training_manifest(inputs, "consistency", sigma)["test_images"]))
