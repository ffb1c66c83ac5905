"""Joint bootstrap of several numbers over images, and what it says of a statement about all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gauntlet.reporting.claims import Decision, Verdict
from gauntlet.reporting.statistics import LEVEL


@dataclass(frozen=True)
class Estimate:
    """A statistic with its bootstrap distribution.

    Attributes:
        value: on the sample itself, any shape.
        replicates: ``[resamples, *value.shape]``.
    """

    value: np.ndarray
    replicates: np.ndarray

    @property
    def low(self) -> np.ndarray:
        """Lower end of the 95 % percentile interval."""
        return np.nanquantile(self.replicates, (1 - LEVEL) / 2, axis=0)

    @property
    def high(self) -> np.ndarray:
        """Upper end of the 95 % percentile interval."""
        return np.nanquantile(self.replicates, (1 + LEVEL) / 2, axis=0)

    @property
    def ends(self) -> tuple[float, float, float]:
        """A single number with its interval."""
        return float(self.value), float(self.low), float(self.high)


def bootstrap(
    statistic: Callable[..., np.ndarray | float],
    *groups: Sequence[np.ndarray] | np.ndarray,
    resamples: int = 400,
    seed: int = 0,
) -> Estimate:
    """Resample images and recompute a statistic.

    Args:
        statistic: called with one argument per group, shaped as the group is.
        groups: an array with one row per image, or a list of arrays that share their images row by row.
            Images of different groups are resampled independently.
    """
    generator = np.random.default_rng(seed)
    replicates = []
    for _ in range(resamples):
        drawn = []
        for group in groups:
            arrays = [group] if isinstance(group, np.ndarray) else list(group)
            rows = generator.integers(0, len(arrays[0]), len(arrays[0]))
            drawn.append(
                arrays[0][rows] if isinstance(group, np.ndarray) else [array[rows] for array in arrays]
            )
        replicates.append(np.asarray(statistic(*drawn), dtype=float))
    return Estimate(np.asarray(statistic(*groups), dtype=float), np.stack(replicates))


def holds_in_resamples(
    name: str, estimate: Estimate, holds: Callable[[np.ndarray], bool | np.bool_]
) -> Verdict:
    """Judge a statement about several numbers at once.

    Supported if it holds in at least 95 % of the resamples, contradicted if in at most 5 %.

    Args:
        name: the statement, begins the reason.
        estimate: the numbers.
        holds: whether the statement is true of such numbers.
    """
    share = float(np.mean([bool(holds(replicate)) for replicate in estimate.replicates]))
    decision: Decision = "inconclusive"
    if share >= LEVEL:
        decision = "supported"
    elif share <= 1 - LEVEL:
        decision = "contradicted"
    return Verdict(
        decision,
        f"{name}: true in {100 * share:.0f} % of the resamples.",
        {f"{name}, share of resamples": share},
    )
