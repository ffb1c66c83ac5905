"""Shared by the defences for randomized smoothing: noisy copies and a network's answers to them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gauntlet.contracts import Batch


def gaussian_noise(batch: Batch, sigma: float, draws: int) -> Tensor:
    """Draw Gaussian noise ``[draws, N, C, H, W]``; noisy images are never clipped to [0, 1]."""
    images = batch.images
    shape = (draws, *images.shape)
    return sigma * torch.randn(shape, generator=batch.generator, device=images.device, dtype=images.dtype)


def copies_logits(model: nn.Module, copies: Tensor) -> Tensor:
    """Send copies ``[m, N, C, H, W]`` through the network as one batch, for logits ``[m, N, K]``."""
    logits = model(copies.flatten(0, 1))
    # Half precision is too coarse for what is computed from probabilities near 0 and 1.
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).unflatten(0, copies.shape[:2])


def noisy_logits(model: nn.Module, batch: Batch, sigma: float, draws: int) -> Tensor:
    """Return the logits ``[draws, N, K]`` of freshly drawn noisy copies."""
    return copies_logits(model, batch.images + gaussian_noise(batch, sigma, draws))


def log_mean_probabilities(log_probabilities: Tensor) -> Tensor:
    """Average probabilities over the draws, in logarithms: ``[m, N, K]`` to ``[N, K]``, exact near 0."""
    return log_probabilities.logsumexp(0) - math.log(len(log_probabilities))


def true_class(values: Tensor, labels: Tensor) -> Tensor:
    """Pick the column of each image's label: ``[N, K]`` to ``[N]``."""
    return values.gather(1, labels[:, None]).squeeze(1)


def cross_entropy_per_image(log_probabilities: Tensor, labels: Tensor) -> Tensor:
    """Average the cross-entropy over the draws: ``[m, N, K]`` to ``[N]``."""
    return -true_class(log_probabilities.mean(0), labels)


def divergence_from(log_center: Tensor, log_probabilities: Tensor) -> Tensor:
    """Average KL(center || draw) over the draws: ``[N, K]`` and ``[m, N, K]`` to ``[N]``."""
    return (log_center.exp() * (log_center - log_probabilities.mean(0))).sum(1)


def entropy(log_probabilities: Tensor) -> Tensor:
    """Return the Shannon entropy in nats: ``[N, K]`` to ``[N]``."""
    return -(log_probabilities.exp() * log_probabilities).sum(1)
