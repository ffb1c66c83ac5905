"""Decision boundary distances as chapters 3 and 6 average them (chen2021, section 3.4)."""

from __future__ import annotations

import pandas as pd

from gauntlet.analysis.results import Results
from gauntlet.analysis.robustness import distances

FARTHEST = 1.0
"""linf distance that stands for an image whose boundary was never met: the image box has side 1."""


def boundary_distances(results: Results) -> pd.Series:
    """Return each image's distance to the nearest boundary point found, in pixel scale; 0 where misclassified.

    Its mean is the average decision boundary distance (ADBD). Only an attack without early stop gives a distance
    that does not depend on eps.
    """
    return distances(results).clip(upper=FARTHEST)
