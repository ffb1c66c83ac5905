"""Gradient of the robustness term, weight of noisy copies, accuracy under noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtr, ndtri

SIGMA = 0.25
HEIGHT = 6.0
"""Noise level and logit margin at the image itself of the classifier of Figure 4.1."""


def robustness_gradient(probability: ArrayLike) -> NDArray[np.float64]:
    """Return the derivative of Phi^-1 at a probability.

    Source: song, equation 3.4, with the exponent divided by 2 as the standard normal distribution has it (the
    printed 2 sigma^2 belongs to noise of another scale).
    """
    quantile = ndtri(np.asarray(probability, dtype=float))
    return np.sqrt(2 * np.pi) * np.exp(quantile**2 / 2)


def mapped_gradient(probability: ArrayLike) -> NDArray[np.float64]:
    """Return the derivative of Phi^-1(s(u)) by u, where the logistic function s(u) is the probability."""
    p = np.asarray(probability, dtype=float)
    return p * (1 - p) * robustness_gradient(p)


def decision_weights(noise: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what noisy copies add to an average of probabilities and to an average of logits.

    Args:
        noise: displacements ``[..., 2]`` from the image.

    Returns:
        The probability of the true class, and its logit margin, of a classifier whose margin falls with the
        squared distance from the image and changes sign at two sigma.
    """
    margin = HEIGHT * (1 - (noise**2).sum(-1) / (2 * SIGMA) ** 2)
    return expit(margin), margin


def bayes_accuracy(ratio: float) -> float:
    """Return the best accuracy on two points at -a and a under noise of variance ``ratio`` times a^2."""
    return float(ndtr(1 / np.sqrt(ratio)))
