"""Variances of the training images beside those of the noise (song, sections 4.2 and 5.4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.datasets.principal_directions import principal_variances

SIGMAS = (0.25, 0.5)
"""The noise levels of the work, for what is computed from the images alone."""


def training_variances(inputs: ArtefactInputs) -> tuple[str, NDArray[np.float64]]:
    """Return a description of the training images for captions, and their principal variances."""
    (split,) = inputs.datasets
    images = inputs.split.images
    return f"{len(images):,} training images of {split.partition('/')[0]}", principal_variances(images)
