"""Proximal operators of the norms: prox(x) = argmin_u ||u|| + ||u - x||_2^2 / (2 mu), image by image.

Source: matyasko2020, eqs. 5.4-5.6 and 5.11-5.16. Every operator takes a perturbation ``[N, C, H, W]`` and
the weights mu ``[N]``, which may be zero (the operator is then the identity).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.attacks.geometry.norms import lengths, per_image, project_onto_ball

Prox = Callable[[Tensor, Tensor], Tensor]


def prox_linf(perturbation: Tensor, weight: Tensor) -> Tensor:
    """Leave what the projection on the l1 ball of radius mu takes away (Moreau's decomposition, eq. 5.11)."""
    return perturbation - project_onto_ball(perturbation, "l1", weight)


def prox_l2(perturbation: Tensor, weight: Tensor) -> Tensor:
    """Shorten the whole vector by mu, down to zero (eq. 5.12)."""
    length = lengths(perturbation, "l2")
    kept = (1 - weight / length.clamp(min=torch.finfo(length.dtype).tiny)).clamp(min=0)
    return per_image(kept, perturbation) * perturbation


def prox_l1(perturbation: Tensor, weight: Tensor) -> Tensor:
    """Soft threshold at mu (eq. 5.13, with the absolute value that the print omits)."""
    return F.relu(perturbation.abs() - per_image(weight, perturbation)) * perturbation.sign()


def prox_pixel_l0(perturbation: Tensor, weight: Tensor) -> Tensor:
    """Keep all channels of a pixel whose largest channel exceeds sqrt(2 mu) (eq. 5.16, the work's rule)."""
    threshold = per_image((2 * weight).sqrt(), perturbation)
    return perturbation * (perturbation.abs().amax(1, keepdim=True) > threshold)


def prox_pixel_l0_exact(perturbation: Tensor, weight: Tensor) -> Tensor:
    """Keep all channels of a pixel whose l2 norm exceeds sqrt(2 mu): the exact operator of eq. 5.15."""
    threshold = per_image((2 * weight).sqrt(), perturbation)
    return perturbation * (perturbation.norm(dim=1, keepdim=True) > threshold)
