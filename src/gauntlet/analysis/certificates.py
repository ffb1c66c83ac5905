"""Certified radii: what each image earns, certified accuracy and the average certified radius.

A certificate has the columns ``prediction`` (-1 where it abstains) and ``radius`` (l2, pixel scale). An image earns
its radius only if its prediction is right.
"""

from __future__ import annotations

import pandas as pd
from scipy.special import ndtr, ndtri

from gauntlet.analysis.results import Results


def earned_radii(results: Results) -> pd.Series:
    """Return each image's certified radius, 0 where the prediction is wrong or withheld, by sample.

    The mean over images is the average certified radius (ACR).
    """
    return results.column("radius").where(_right(results), 0.0).astype(float)


def certified_at(results: Results, radius: float) -> pd.Series:
    """Return whether each image's prediction is right and certified at a radius, by sample."""
    return _right(results) & (results.column("radius") >= radius)


def largest_radius(sigma: float, n: int, alpha: float) -> float:
    """Return the radius that n unanimous votes certify: ``sigma * Phi^-1(alpha^(1/n))`` (Cohen et al. 2019)."""
    return float(sigma * ndtri(alpha ** (1.0 / n)))


def dissent_allowed(radius: float, sigma: float, n: int, alpha: float) -> float:
    """Return how much of the dissent that a radius allows is left to n draws, between 0 and 1.

    A radius r needs the probability ``p = Phi(r / sigma)``, so without sampling error a share ``1 - p`` of the votes
    may dissent. Of n votes fewer may: the Clopper-Pearson bound of the others must still reach p.
    """
    from scipy.stats import binom

    dissent = float(ndtr(-radius / sigma))
    # The bound reaches p where that many votes or more have at most the probability alpha under p.
    needed = binom.isf(alpha, n, 1.0 - dissent) + 1
    return max(n - float(needed), 0.0) / n / dissent


def _right(results: Results) -> pd.Series:
    return results.column("prediction") == results.column("label")
