"""Losses of two terms, a natural one and a weighted robust one, by names that wrappers know."""

from __future__ import annotations

from torch import Tensor

from gauntlet.contracts import Loss
from gauntlet.defences.ascent import Ascent

NATURAL_LOSS, ROBUST_LOSS, LOSS_RATIO = "natural_loss", "robust_loss", "loss_ratio"
"""Parts of the loss, and columns of the history: both terms, the robust one unweighted, and first over second."""

SMALLEST_ROBUST_LOSS = 1e-8
"""Divisor of the ratio where the robust loss is smaller, as it is before the network has learned anything."""


def regularized(natural: Tensor, robust: Tensor, strength: float, logits: Tensor, ascent: Ascent) -> Loss:
    """Return ``natural + strength * robust`` with its terms as parts.

    Args:
        natural: mean loss on clean images, a scalar.
        robust: mean of what an attack adds to it, a scalar.
        strength: weight of the robust term.
        logits: of the clean images ``[N, K]``.
        ascent: that led to the attacked images.
    """
    ratio = (natural / robust.clamp(min=SMALLEST_ROBUST_LOSS)).detach()
    parts = {NATURAL_LOSS: natural, ROBUST_LOSS: robust, LOSS_RATIO: ratio, **ascent.parts}
    return Loss(natural + strength * robust, logits, parts, perturbed=ascent.images)
