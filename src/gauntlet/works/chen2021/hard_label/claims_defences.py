"""Claims of chapter 3 about defended networks (chen2021, sections 3.4.2 to 3.4.4).

The settings name the defences that the work calls falsely robust, or the network that stands in for them
(``falsely``), and those whose robustness it confirms (``recognized``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gauntlet.analysis.bootstrap import bootstrap, mean
from gauntlet.analysis.comparisons import holds, more_often, ratio_of_means
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import paired_share_difference
from gauntlet.analysis.robustness import distance_trace, robust_at
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most, not_testable, within
from gauntlet.works.chen2021.boundary import FARTHEST, boundary_distances

WHITE_BOX = ("PGD-20", "CW-20", "PGD-100", "CW-100")


def _robust(inputs: ArtefactInputs, defence: str, method: str) -> pd.Series:
    attack = inputs.results.one(defence=defence, method=method)
    return robust_at(attack, float(attack.settings["eps"]))


def _distances(inputs: ArtefactInputs, defence: str, method: str) -> pd.Series:
    return boundary_distances(inputs.results.one(defence=defence, method=method))


def attacks_leave_fewer_images(inputs: ArtefactInputs) -> Verdict:
    """Attacks leave fewer images of a defence than their rivals ({stronger}) by more than so many points: {points}.

    A negative number allows an attack to leave as many more.
    """
    return all_of(
        more_often(
            f"robust accuracy, {weaker} less {stronger}, {defence}",
            _robust(inputs, defence, weaker),
            _robust(inputs, defence, stronger),
            points=float(points),
        )
        for defence, points in inputs.settings["points"].items()
        for stronger, others in inputs.settings["stronger"].items()
        for weaker in others
    )


def rays_finds_nearer_boundaries(inputs: ArtefactInputs) -> Verdict:
    """The ADBD of RayS is at most a stated share of that of HSJA and of SignOPT on every defence: {share}."""
    parts = []
    for defence, _ in inputs.results.groups("defence"):
        for other, share in inputs.settings["share"].items():
            both = (_distances(inputs, defence, method) for method in ("RayS", other))
            name = f"ADBD, RayS over {other}, {defence}"
            parts.append(at_most(name, ratio_of_means(*both).interval(), float(share)))
    return all_of(parts)


def rays_is_close_to_white_box_attacks_on_honest_defences(inputs: ArtefactInputs) -> Verdict:
    """On recognized defences RayS is weaker than the best white-box attack, by at most {points} points."""
    parts = []
    for defence in inputs.settings["recognized"]:
        columns = [_robust(inputs, defence, method).to_numpy(dtype=float) for method in ("RayS", *WHITE_BOX)]
        gap = bootstrap(lambda rows: 100 * (rows[0].mean() - min(row.mean() for row in rows[1:])), columns)
        name = f"robust accuracy, RayS less best white-box attack, {defence}, points"
        parts.append(within(name, gap.interval(), (0.0, float(inputs.settings["points"]))))
    return all_of(parts)


def rays_reverses_the_ranking_by_pgd(inputs: ArtefactInputs) -> Verdict:
    """PGD-100 ranks every falsely robust defence above the recognized ones; RayS and its ADBD rank them below."""
    falsely = inputs.settings["falsely"]
    names, count = [*falsely, *inputs.settings["recognized"]], len(falsely)
    pgd, rays, adbd = (
        bootstrap(_means, [measure(inputs, name, method).to_numpy(dtype=float) for name in names])
        for measure, method in ((_robust, "PGD-100"), (_robust, "RayS"), (_distances, "RayS"))
    )
    return all_of(
        holds("PGD-100 ranks the falsely robust first", pgd, lambda m: m[:count].min() > m[count:].max()),
        holds("RayS ranks them last", rays, lambda m: m[:count].max() < m[count:].min()),
        holds("ADBD ranks them last", adbd, lambda m: m[:count].max() < m[count:].min()),
    )


def _means(rows: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([row.mean() for row in rows])


def falsely_robust_networks_have_equal_boundary_distances(inputs: ArtefactInputs) -> Verdict:
    """The largest ADBD of falsely robust defences exceeds the smallest by at most {share} of it.

    Their robust accuracies under RayS differ.
    """
    names = inputs.settings["falsely"]
    if len(names) < 2:
        return not_testable("Only one falsely robust network is there; the claim compares several.")
    means = bootstrap(_means, [_distances(inputs, name, "RayS").to_numpy() for name in names])
    excess = means.map(lambda each: each.max() / each.min() - 1).interval()
    low, *_, high = sorted((_robust(inputs, name, "RayS") for name in names), key=lambda hits: hits.mean())
    return all_of(
        at_most("largest ADBD over the smallest, less 1", excess, float(inputs.settings["share"])),
        more_often("largest less smallest robust accuracy", high, low),
    )


def rays_converges_in_a_quarter_of_its_queries(inputs: ArtefactInputs) -> Verdict:
    """After a quarter of the query limit the ADBD falls by at most {share} of its end, the accuracy by {points} points.

    Judged from the last recorded number of queries within a quarter of the limit.
    """
    parts, share, points = [], float(inputs.settings["share"]), float(inputs.settings["points"])
    for defence, results in inputs.results.groups("defence"):
        rays = results.one(method="RayS")
        used, trace = rays.settings, distance_trace(rays, "query")
        marks = trace.columns.to_numpy(dtype=int)
        mark = int(marks[marks <= used["budget"] / 4].max())
        early = trace[mark].clip(upper=FARTHEST)
        ratio = ratio_of_means(early, boundary_distances(rays)).map(lambda each: each - 1).interval()
        fall = paired_share_difference(early > used["eps"], robust_at(rays, used["eps"])).scaled(100)
        name = f"after {mark} queries"
        parts.append(at_most(f"fall of the ADBD {name} over its end, {defence}", ratio, share))
        parts.append(at_most(f"fall of the robust accuracy {name}, {defence}, points", fall, points))
    return all_of(parts)


def other_attacks_use_the_whole_radius(inputs: ArtefactInputs) -> Verdict:
    """The mean distortion of white-box and score-based attacks exceeds {share} of eps."""
    parts = []
    for defence, results in inputs.results.groups("defence"):
        for method in (*WHITE_BOX, "SignHunter", "Square"):
            attack = results.one(method=method)
            lengths = attack.column("linf")[attack.correct] / attack.settings["eps"]
            name = f"distortion of {method} over eps, {defence}"
            parts.append(above(name, mean(lengths), float(inputs.settings["share"])))
    return all_of(parts)
