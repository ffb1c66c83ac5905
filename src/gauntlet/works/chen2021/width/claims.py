"""Claims of chapter 5 about accuracy, stability, and the weight of the robust loss (chen2021, section 5.5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gauntlet.analysis.bootstrap import Estimate, bootstrap_means, paired_difference
from gauntlet.analysis.comparisons import everywhere_above, holds, more_often, more_on_average
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.results import Results
from gauntlet.analysis.robustness import robust_at
from gauntlet.analysis.stability import NATURAL, ROBUST, STABLE
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most
from gauntlet.works.chen2021.width.trainings import (
    USUAL,
    Grid,
    grid_of,
    joint,
    outcomes,
    radius_of,
    withstands,
)

ATTACKS = ("PGD", "C&W", "FAB", "Square")


def stability_falls_with_width(inputs: ArtefactInputs) -> Verdict:
    """At every lambda the wider of each two neighboring widths is less stable, for either defence."""
    return all_of(_by_width(defence, grid, STABLE, -1) for defence, grid in _grids(inputs.results, STABLE))


def natural_accuracy_rises_with_width(inputs: ArtefactInputs) -> Verdict:
    """At every lambda of TRADES the wider of each two neighboring widths has the higher natural accuracy.

    For adversarial training it has it on average over lambda.
    """
    parts = []
    for defence, grid in _grids(inputs.results, NATURAL):
        if defence != "TRADES":
            grid = grid.averaged()
        parts.append(_by_width(defence, grid, NATURAL, 1))
    return all_of(parts)


def stability_rises_with_lambda(inputs: ArtefactInputs) -> Verdict:
    """At every width the largest lambda gives more stability than the smallest, for either defence."""
    parts = []
    for defence, grid in _grids(inputs.results, STABLE):
        low, high = grid.strengths[0], grid.strengths[-1]
        gains = grid.accuracies.map(lambda table: table[:, -1] - table[:, 0])
        parts.append(everywhere_above(f"{STABLE}, {defence}, lambda {high:g} less {low:g}, points", gains))
    return all_of(parts)


def natural_accuracy_falls_with_lambda(inputs: ArtefactInputs) -> Verdict:
    """At every width the larger of each two neighboring lambdas of TRADES gives the lower natural accuracy."""
    grid = grid_of(inputs.results, NATURAL)
    losses = grid.accuracies.map(lambda table: -np.diff(table, axis=1))
    return everywhere_above(f"{NATURAL}, loss from one lambda to the next, points", losses)


def the_best_lambda_grows_with_width(inputs: ArtefactInputs) -> Verdict:
    """The lambda with the highest robust accuracy is larger at each wider width, for either defence.

    Where there are fewer lambdas than widths it may stay, but is larger at the widest than at the narrowest.
    """
    return all_of(
        _best_grows(defence, grid, strictly=len(grid.strengths) >= len(grid.accuracies.value))
        for defence, grid in _grids(inputs.results, ROBUST)
    )


def a_larger_lambda_makes_the_widest_network_more_robust(inputs: ArtefactInputs) -> Verdict:
    """At the largest width lambda {best} gives a robust accuracy more than {points} points above that of 6."""
    best, points = (inputs.settings[name] for name in ("best", "points"))
    grids = inputs.results.where(use="grid")
    widest = grids.where(width=max(grids.values("width")))
    gain = joint([outcomes(widest.where(strength=each)) for each in (best, USUAL)], ROBUST)
    difference = gain.map(lambda pair: pair[0] - pair[1]).interval()
    parts = [above(f"robust accuracy at lambda {best} less {USUAL}, CIFAR-10, points", difference, points)]
    for data, found in inputs.results.where(use="attacks").groups("data"):
        radius = radius_of(found)
        more, less = (
            withstands(found.where(strength=each), "PGD", radius).mean(axis=1) * 100 for each in (best, USUAL)
        )
        name = f"robust accuracy at lambda {best} less {USUAL}, {data}, points"
        parts.append(above(name, paired_difference(more, less), points))
    return all_of(parts)


def the_widest_network_needs_a_larger_lambda_to_lead(inputs: ArtefactInputs) -> Verdict:
    """Width 10 is not more robust than width 5 at lambda 6, and more robust at every lambda from 12 on."""
    grid = grid_of(inputs.results.where(width=[5, 10]), ROBUST)
    lead = grid.accuracies.map(lambda table: table[1] - table[0])
    large = [number for number, strength in enumerate(grid.strengths) if strength >= 12]
    name = "robust accuracy, width 10 less 5"
    return all_of(
        at_most(
            f"{name}, lambda {USUAL}, points", lead.map(lambda gaps: gaps[grid.at(USUAL)]).interval(), 0.0
        ),
        everywhere_above(f"{name}, lambda from 12 on, points", lead.map(lambda gaps: gaps[large])),
    )


def the_best_lambda_depends_on_width_under_every_attack(inputs: ArtefactInputs) -> Verdict:
    """Under each attack, on each data set and architecture, the best lambda does not fall with width.

    It is larger at the widest than at the narrowest, but for DenseNet under C&W.
    """
    parts, results = [], inputs.results
    strengths = sorted(results.values("strength"))
    networks = list(results.groups("data", "architecture", "printed"))
    left = [_left(found.where(strength=each)) for _, found in networks for each in strengths]
    accuracies = bootstrap_means(
        np.stack(left, axis=1).reshape(-1, len(networks), len(strengths), len(ATTACKS))
    )
    for data, architecture in dict.fromkeys(key[:2] for key, _ in networks):
        rows = [number for number, (key, _) in enumerate(networks) if key[:2] == (data, architecture)]
        for column, attack in enumerate(ATTACKS):
            equal = architecture.startswith("DenseNet") and attack == "C&W"
            of_attack = Estimate(
                accuracies.value[..., column][rows], accuracies.replicates[..., column][:, rows]
            )
            name = f"{data}, {architecture}, {attack}"
            parts.append(_best_grows(name, Grid(strengths, of_attack), grows=not equal))
    return all_of(parts)


def attacks_rank_alike_on_every_network(inputs: ArtefactInputs) -> Verdict:
    """On every network FAB leaves fewer images than C&W, and C&W fewer than PGD and than Square."""
    networks = inputs.results.groups("data", "architecture", "printed", "strength")
    accuracies = bootstrap_means(np.stack([_left(found) for _, found in networks], axis=1))
    parts = []
    for more, less in (("C&W", "FAB"), ("PGD", "C&W"), ("Square", "C&W")):
        one, two = ATTACKS.index(more), ATTACKS.index(less)
        gaps = Estimate(
            *(each[..., one] - each[..., two] for each in (accuracies.value, accuracies.replicates))
        )
        parts.append(everywhere_above(f"robust accuracy under {more} less {less}, points", gaps))
    return all_of(parts)


def adjusted_networks_are_as_robust_as_tuned_ones(inputs: ArtefactInputs) -> Verdict:
    """WAR is at most {points} points less robust than the best lambda of the grid at every width.

    At the largest width it is more than {gain} points more robust than lambda 6.
    """
    settings = inputs.settings
    grids, adjusted = (inputs.results.where(use=use) for use in ("grid", "width-adjusted"))
    parts = []
    for width in sorted(grids.values("width")):
        found = grids.where(width=width)
        strengths = found.values("strength")
        rows = [outcomes(found.where(strength=each)) for each in strengths]
        table = joint([*rows, outcomes(adjusted.where(width=width))], ROBUST)
        gap = table.map(lambda each: each[:-1].max() - each[-1])
        name = f"robust accuracy, best lambda less WAR, width {width}, points"
        parts.append(at_most(name, gap.interval(), float(settings["points"])))
    usual = strengths.index(USUAL)
    name = f"robust accuracy, WAR less lambda {USUAL}, width {width}, points"
    parts.append(above(name, table.map(lambda each: each[-1] - each[usual]).interval(), settings["gain"]))
    return all_of(parts)


def adjusted_networks_withstand_autoattack_more_often(inputs: ArtefactInputs) -> Verdict:
    """On the same images WAR withstands AutoAttack more often than TRADES with lambda 6."""
    adjusted, usual = (
        robust_at(found, radius_of(found))
        for found in (inputs.results.where(trained=name) for name in ("WAR", "TRADES"))
    )
    return more_often("robust accuracy under AutoAttack, WAR less TRADES", adjusted, usual)


def more_width_helps_with_unlabeled_images(inputs: ArtefactInputs) -> Verdict:
    """With unlabeled images WRN-28-20 withstands AutoAttack more often than WRN-28-10."""
    wide, narrow = (
        robust_at(found, radius_of(found))
        for found in (inputs.results.where(unlabeled="yes", printed=f"WRN-28-{width}") for width in (20, 10))
    )
    return more_often("robust accuracy, WRN-28-20 less WRN-28-10", wide, narrow)


def longer_steps_attack_better(inputs: ArtefactInputs) -> Verdict:
    """PGD-20 with steps of 0.007 leaves fewer images than with 0.003, on average over the networks."""
    left = {
        attack: [
            robust_at(found.where(attack=attack), radius_of(found)).astype(float)
            for _, found in inputs.results.groups("evaluation")
        ]
        for attack in ("PGD-20", "PGD-20, short steps")
    }
    short, usual = (sum(left[name][1:], left[name][0]) / len(left[name]) for name in reversed(left))
    return more_on_average("robust accuracy, short steps less usual ones", short, usual)


def _grids(results: Results, metric: str) -> list[tuple[str, Grid]]:
    return [(defence, grid_of(found, metric)) for defence, found in results.groups("defence")]


def _by_width(defence: str, grid: Grid, metric: str, sign: int) -> Verdict:
    """Judge whether a share rises (1) or falls (-1) from each width to the next, at each lambda of the grid."""
    direction = {1: "wider less narrower", -1: "narrower less wider"}[sign]
    gaps = grid.accuracies.map(lambda table: sign * np.diff(table, axis=0))
    return everywhere_above(f"{metric}, {defence}, {direction} of two neighboring widths, points", gaps)


def _left(network: Results) -> NDArray[np.float64]:
    """Return 100 for each image that withstands an attack, mean over its starts, ``[images, attacks]``."""
    radius = radius_of(network)
    columns = [withstands(network, attack, radius).to_numpy(dtype=float).mean(axis=1) for attack in ATTACKS]
    return 100 * np.stack(columns, axis=1)


def _best_grows(name: str, grid: Grid, *, strictly: bool = False, grows: bool = True) -> Verdict:
    """Judge whether the best lambda never falls with width.

    Args:
        name: what the grid is of.
        grid: robust accuracy by width and lambda.
        strictly: whether it is to grow at each width.
        grows: whether it is to be larger at the widest than at the narrowest.
    """
    found = ", ".join(f"{grid.strengths[best]:g}" for best in grid.accuracies.value.argmax(1))

    def weakly(table: NDArray[np.float64]) -> bool:
        best = table.argmax(1)
        return bool((np.diff(best) >= 0).all() and (best[-1] > best[0] or not grows))

    def statement(table: NDArray[np.float64]) -> bool:
        return weakly(table) and not (strictly and (np.diff(table.argmax(1)) == 0).any())

    return holds(f"{name}: best lambda by width {found}", grid.accuracies, statement, unless=weakly)
