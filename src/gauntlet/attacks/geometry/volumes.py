"""Volumes of p-norm balls, and radii that make balls of two norms comparable (maerz2023, section 4.2.1).

Norms are given by their p: 1, 2, ``math.inf``, or any other p >= 1.
"""

from __future__ import annotations

from math import exp, inf, isinf, lgamma, log


def log_ball_volume(dimension: int, p: float, radius: float = 1.0) -> float:
    """Return the natural logarithm of the volume of a p-norm ball.

    Source: section 4.2.1; the volume is (2 Gamma(1/p + 1) r)^n / Gamma(n/p + 1).
    """
    edge = log(2 * radius)
    if isinf(p):
        return dimension * edge
    return dimension * (edge + lgamma(1 / p + 1)) - lgamma(dimension / p + 1)


def lambda_factor(dimension: int, p: float) -> float:
    """Return the radius of the p-norm ball that has the volume of the linf ball of radius 1.

    Source: equations 4.1 (p = 1) and 4.2 (p = 2), before Stirling's approximation.
    """
    return exp((log_ball_volume(dimension, inf) - log_ball_volume(dimension, p)) / dimension)


def equal_volume_factor(dimension: int, p_from: float, p_to: float) -> float:
    """Return T: the factor from a radius in one norm to the radius in another with a ball as large.

    Source: section 4.2.1, equation 4.3.
    """
    return lambda_factor(dimension, p_to) / lambda_factor(dimension, p_from)


def nested_factor(dimension: int, p_from: float, p_to: float) -> float:
    """Return Tbar: the factor to the smallest ball of another norm that contains the original one.

    Source: section 4.2.1, equation 4.4. It is 1 where the other norm's balls are the larger ones anyway.
    """
    if p_from <= p_to:
        return 1.0
    return dimension ** (1 / p_to - (0.0 if isinf(p_from) else 1 / p_from))
