"""Cosines and angles between the parameter gradients at two versions of an image."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from gauntlet.analysis.published import published_value
from gauntlet.analysis.results import Results
from gauntlet.measures.gradient_similarity import angle_degrees, cosine_column
from gauntlet.works.maerz2023.versions import HARMONIC, NINE, Scheme, Version

PAIRS = tuple(combinations(NINE, 2))
"""All pairs of versions, in the order in which their columns name them."""


def compared(results: Results, scheme: Scheme = HARMONIC) -> Results:
    """Return the comparisons of gradients under a scheme, one per model and radius, as the document defines them."""
    return results.where(measure="similarity", run="document", **scheme._asdict())


def cosines(comparison: Results, first: Version, second: Version, scope: str = "all") -> np.ndarray:
    """Return the cosine between the gradients at two versions of each image, by the image's index.

    NaN where a gradient vanished.
    """
    column = comparison.column(cosine_column(scope, str(first), str(second)))
    return column.sort_index().to_numpy(dtype=float)


def angles(comparison: Results, first: Version = 1, second: Version = 16, scope: str = "all") -> np.ndarray:
    """Return the angle in degrees between the gradients at two versions of each image."""
    return angle_degrees(cosines(comparison, first, second, scope))


def median(sample: np.ndarray) -> float:
    """Return the median of what is defined; NaN if nothing is."""
    defined = sample[np.isfinite(sample)]
    return float(np.median(defined)) if len(defined) else float("nan")


def medians(sample: np.ndarray) -> np.ndarray:
    """Return the median of what is defined in each column of ``[images, pairs]``."""
    # The plain median is ten times as fast.
    return np.median(sample, axis=0) if np.isfinite(sample).all() else np.nanmedian(sample, axis=0)


def released_median(published: pd.DataFrame, metric: str, first: Version, second: Version) -> float:
    """Return the released median of a pair: of the first tensor, natural model, twice the radius."""
    return published_value(published, metric=metric, attack_i=first, attack_j=second)
