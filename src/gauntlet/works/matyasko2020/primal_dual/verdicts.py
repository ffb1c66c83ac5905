"""Comparisons that recur in the claims about the attacks of chapter 5, each with its verdict.

Images are resampled, the same for all attacks on a model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gauntlet.reporting.claims import Verdict, at_most, not_testable
from gauntlet.reporting.resampling import bootstrap, holds_in_resamples
from gauntlet.works.matyasko2020.primal_dual.minimal_norms import (
    Column,
    Victim,
    column_named,
    columns_of,
    mean_sizes,
    minimizers_of,
)

SAME = 1e-9
"""Numbers closer than this are equal."""

OURS = {"linf": "PDPGD", "l2": "PDGD", "l1": "PDPGD", "l0": "PDPGD"}


def not_run(victim: Victim, norm: str, *labels: str) -> Verdict | None:
    """Return the verdict on a comparison with an attack that was not run at this scale, None if all were."""
    absent = [label for label in labels if not victim.runs(norm, column_named(norm, label))]
    if not absent:
        return None
    return not_testable(f"{title(victim, norm)}: {', '.join(absent)} not run at this scale.")


def title(victim: Victim, norm: str) -> str:
    """Name a model and a norm."""
    return f"{victim.dataset} {victim.kind}, {norm}"


def means_of(victim: Victim, norm: str) -> dict[str, Column]:
    """Return the columns of the tables of mean norms that were run, by the attack's name."""
    return {column.attack.name: column for column in minimizers_of(norm) if victim.runs(norm, column)}


def sizes_of(victim: Victim, norm: str, names: Sequence[str]) -> np.ndarray:
    """Return the sizes that some attacks found, ``[N, attacks]``."""
    columns = means_of(victim, norm)
    return np.stack([victim.sizes(norm, columns[name]) for name in names], 1)


def smallest(victim: Victim, norm: str) -> Verdict:
    """Judge whether the primal-dual attack has the smallest mean of all."""
    ours = OURS[norm]
    others = [name for name in means_of(victim, norm) if name != ours]
    estimate = bootstrap(mean_sizes, sizes_of(victim, norm, [ours, *others]))
    rival = int(estimate.value[1:].argmin())
    return holds_in_resamples(
        f"{title(victim, norm)}: mean {estimate.value[0]:.4g} of {ours} below the others' smallest, "
        f"{estimate.value[1:][rival]:.4g} of {others[rival]}",
        estimate,
        lambda means: means[0] < means[1:].min(),
    )


def largest(victim: Victim, norm: str, name: str) -> Verdict:
    """Judge whether an attack has the largest mean of all."""
    others = [other for other in means_of(victim, norm) if other != name]
    estimate = bootstrap(mean_sizes, sizes_of(victim, norm, [name, *others]))
    return holds_in_resamples(
        f"{title(victim, norm)}: mean {estimate.value[0]:.4g} of {name} above the others' largest, "
        f"{estimate.value[1:].max():.4g}",
        estimate,
        lambda means: means[0] > means[1:].max(),
    )


def ordered(victim: Victim, norm: str, *names: str) -> Verdict:
    """Judge whether means rise (or stay) in the given order, passing over attacks that were not run."""
    present = [name for name in names if name in means_of(victim, norm)]
    if len(present) < 2:
        return not_testable(f"{title(victim, norm)}: fewer than two of {', '.join(names)} run at this scale.")
    estimate = bootstrap(mean_sizes, sizes_of(victim, norm, present))
    listed = ", ".join(f"{name} {value:.4g}" for name, value in zip(present, estimate.value, strict=True))
    absent = sorted(set(names) - set(present))
    without = f" (without {', '.join(absent)}, not run at this scale)" if absent else ""
    return holds_in_resamples(
        f"{title(victim, norm)}: means {listed} in this order{without}",
        estimate,
        lambda means: (np.diff(means) >= -SAME).all(),
    )


def ratio_at_most(victim: Victim, norm: str, name: str, other: str, bound: float) -> Verdict:
    """Judge whether an attack's mean is at most a share of another's."""
    missing = not_run(victim, norm, other)
    if missing:
        return missing
    estimate = bootstrap(lambda sizes: np.divide(*mean_sizes(sizes)), sizes_of(victim, norm, [name, other]))
    return at_most(f"{title(victim, norm)}: mean of {name} over that of {other}", *estimate.ends, bound=bound)


def lowest(victim: Victim, norm: str, label: str, *, first: int = 0) -> Verdict:
    """Judge whether a column is lowest (or level with the lowest) at every radius from the number ``first``.

    Columns that are not the work's do not count.
    """
    columns = [column for column in columns_of(norm) if column.attack.printed and victim.runs(norm, column)]
    ours = [column.label for column in columns].index(label)
    standing = np.stack([victim.stands(norm, column)[:, first:] for column in columns], 2)
    estimate = bootstrap(_accuracies, standing)
    leads = int((estimate.value[:, ours] <= estimate.value.min(1) + SAME).sum())
    return holds_in_resamples(
        f"{title(victim, norm)}: {label} lowest of {len(columns)} columns at {leads} of {len(estimate.value)} radii",
        estimate,
        lambda accuracy: (accuracy[:, ours] <= accuracy.min(1) + SAME).all(),
    )


def ahead(
    victim: Victim,
    norm: str,
    better: str,
    worse: str,
    *,
    radii: slice = slice(None),
    least: int | None = None,
    level: bool = False,
) -> Verdict:
    """Judge whether one column leaves fewer images than another.

    It must not be above the other at ``least`` radii (by default all), and be below it on average, or just not
    above it if ``level``.
    """
    missing = not_run(victim, norm, better, worse)
    if missing:
        return missing
    standing = np.stack(
        [victim.stands(norm, column_named(norm, label))[:, radii] for label in (better, worse)], 2
    )
    estimate = bootstrap(lambda sample: np.subtract(*_accuracies(sample).T), standing)
    needed = standing.shape[1] if least is None else least
    edge = SAME if level else -SAME
    listed = ", ".join(f"{100 * value:+.1f}" for value in estimate.value)
    return holds_in_resamples(
        f"{title(victim, norm)}: {better} minus {worse} in points {listed}",
        estimate,
        lambda gap: (gap <= SAME).sum() >= needed and gap.mean() <= edge,
    )


def accuracy_gap(
    victim: Victim, norm: str, higher: str, lower: str, radii: slice
) -> tuple[float, float, float]:
    """Return by how much one column leaves more images than another, averaged over radii, with its interval."""
    gap = np.subtract(
        *(victim.stands(norm, column_named(norm, label))[:, radii].astype(float) for label in (higher, lower))
    )
    return bootstrap(lambda sample: sample.mean(), gap).ends


def _accuracies(standing: np.ndarray) -> np.ndarray:
    accuracy: np.ndarray = standing.mean(0)
    return accuracy
