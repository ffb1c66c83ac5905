"""The size of a perturbation in the norms that attacks minimize, pixels included."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from gauntlet.attacks.geometry.norms import lengths

RESIDUE = 1e-4
"""Changes up to this are what floating point leaves of an entry that was not changed; l0 does not count them."""

PerturbationNorm = Literal["linf", "l2", "l1", "l0"]
"""A norm to minimize; l0 counts changed pixels, whatever number of their channels changed."""


def changed_pixels(perturbation: Tensor) -> Tensor:
    """Count the pixels ``[N]`` with any changed channel in ``[N, C, H, W]`` (matyasko2020, eq. 5.15)."""
    return (perturbation.abs() > RESIDUE).any(1).flatten(1).sum(1)


def changed_entries(perturbation: Tensor) -> Tensor:
    """Count the changed entries ``[N]`` of ``[N, C, H, W]``."""
    return (perturbation.abs() > RESIDUE).flatten(1).sum(1)


def perturbation_sizes(perturbation: Tensor, norm: PerturbationNorm) -> Tensor:
    """Measure each perturbation ``[N, C, H, W]``; returns floats ``[N]``."""
    if norm == "l0":
        return changed_pixels(perturbation).to(perturbation.dtype)
    return lengths(perturbation, norm)


def where_images(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Take whole images ``[N, ...]`` from ``yes`` where the mask ``[N]`` is true, else from ``no``."""
    return torch.where(mask.view(-1, *[1] * (yes.dim() - 1)), yes, no)
