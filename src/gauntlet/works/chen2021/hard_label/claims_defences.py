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
from gauntlet.analysis.intervals import Interval, paired_share_difference
from gauntlet.analysis.robustness import distance_trace, robust_at
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most, not_testable, within
from gauntlet.works.chen2021.hard_label.boundary import FARTHEST, boundary_distances

WHITE_BOX = ("PGD-20", "CW-20", "PGD-100", "CW-100")


def _robust(inputs: ArtefactInputs, defence: str, method: str) -> pd.Series:
    attack = inputs.results.one(defence=defence, method=method)
    return robust_at(attack, float(attack.settings["eps"]))


def _distances(inputs: ArtefactInputs, defence: str, method: str) -> pd.Series:
    return boundary_distances(inputs.results.one(defence=defence, method=method))


def _below(inputs: ArtefactInputs, defence: str, lower: str, higher: str, points: float) -> Verdict:
    """Judge whether one attack leaves fewer images of a defended network than another, by more than so many points."""
    name = f"robust accuracy, {higher} less {lower}, {defence}"
    return more_often(name, _robust(inputs, defence, higher), _robust(inputs, defence, lower), points=points)


def rays_is_far_below_hsja_on_defended_networks(inputs: ArtefactInputs) -> Verdict:
    """On every defence RayS leaves a robust accuracy below HSJA's, by more than a stated number of points."""
    points = float(inputs.settings["points"])
    return all_of(
        *(_below(inputs, defence, "RayS", "HSJA", points) for defence, _ in inputs.results.groups("defence"))
    )


def rays_finds_nearer_boundaries(inputs: ArtefactInputs) -> Verdict:
    """The ADBD of RayS is at most a stated share of HSJA's and of SignOPT's on every defence."""
    return all_of(
        *(
            at_most(
                f"ADBD, RayS over {other}, {defence}",
                ratio_of_means(
                    _distances(inputs, defence, "RayS"), _distances(inputs, defence, other)
                ).interval(),
                float(inputs.settings[key]),
            )
            for defence, _ in inputs.results.groups("defence")
            for other, key in (("HSJA", "hsja"), ("SignOPT", "sign_opt"))
        )
    )


def rays_is_close_to_white_box_attacks_on_honest_defences(inputs: ArtefactInputs) -> Verdict:
    """On recognized defences RayS is weaker than the best white-box attack, by at most a stated number of points."""
    parts = []
    for defence in inputs.settings["recognized"]:
        columns = [_robust(inputs, defence, method).to_numpy(dtype=float) for method in ("RayS", *WHITE_BOX)]
        gap = bootstrap(lambda rows: 100 * (rows[0].mean() - min(row.mean() for row in rows[1:])), columns)
        name = f"robust accuracy, RayS less best white-box attack, {defence}, points"
        parts.append(within(name, gap.interval(), (0.0, float(inputs.settings["points"]))))
    return all_of(*parts)


def rays_reveals_falsely_robust_networks(inputs: ArtefactInputs) -> Verdict:
    """On falsely robust defences RayS goes below PGD and CW of 20 and 100 steps, by a stated number of points."""
    points = float(inputs.settings["points"])
    return all_of(
        *(
            _below(inputs, defence, "RayS", method, points)
            for defence in inputs.settings["falsely"]
            for method in WHITE_BOX
        )
    )


def rays_reverses_the_ranking_by_pgd(inputs: ArtefactInputs) -> Verdict:
    """PGD-100 ranks every falsely robust defence above the recognized ones; RayS and its ADBD rank them below."""
    falsely = inputs.settings["falsely"]
    names, count = [*falsely, *inputs.settings["recognized"]], len(falsely)
    pgd, rays, adbd = (
        bootstrap(_means, [measure(name).to_numpy(dtype=float) for name in names])
        for measure in (
            lambda name: _robust(inputs, name, "PGD-100"),
            lambda name: _robust(inputs, name, "RayS"),
            lambda name: _distances(inputs, name, "RayS"),
        )
    )
    return all_of(
        holds("PGD-100 ranks the falsely robust first", pgd, lambda m: m[:count].min() > m[count:].max()),
        holds("RayS ranks them last", rays, lambda m: m[:count].max() < m[count:].min()),
        holds("ADBD ranks them last", adbd, lambda m: m[:count].max() < m[count:].min()),
    )


def _means(rows: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([row.mean() for row in rows])


def falsely_robust_networks_have_equal_boundary_distances(inputs: ArtefactInputs) -> Verdict:
    """The largest ADBD of falsely robust defences exceeds the smallest by at most a tenth.

    Their robust accuracies under RayS differ.
    """
    names = inputs.settings["falsely"]
    if len(names) < 2:
        return not_testable("Only one falsely robust network is there; the claim compares several.")
    distances = bootstrap(
        lambda rows: float(_means(rows).max() / _means(rows).min()) - 1,
        [_distances(inputs, name, "RayS").to_numpy() for name in names],
    )
    low, *_, high = sorted((_robust(inputs, name, "RayS") for name in names), key=lambda hits: hits.mean())
    return all_of(
        at_most(
            "largest ADBD over the smallest, less 1", distances.interval(), float(inputs.settings["share"])
        ),
        more_often("largest less smallest robust accuracy", high, low),
    )


def margin_attacks_reveal_feature_scattering(inputs: ArtefactInputs) -> Verdict:
    """CW-20 leaves fewer images than PGD-20, and Square fewer than SignHunter, by more than five points each."""
    points = float(inputs.settings["points"])
    return all_of(
        *(
            _below(inputs, inputs.results.label("defence"), lower, higher, points)
            for higher, lower in (("PGD-20", "CW-20"), ("SignHunter", "Square"))
        )
    )


def even_hsja_goes_below_pgd(inputs: ArtefactInputs) -> Verdict:
    """HSJA leaves fewer images than PGD-100 on the named defences."""
    return all_of(
        *(_below(inputs, defence, "HSJA", "PGD-100", 0.0) for defence in inputs.settings["defences"])
    )


def rays_converges_in_a_quarter_of_its_queries(inputs: ArtefactInputs) -> Verdict:
    """After a quarter of the query limit the ADBD falls by at most a tenth of its end, the accuracy by three points.

    Judged from the last recorded number of queries within a quarter of the limit.
    """
    parts = []
    for defence, results in inputs.results.groups("defence"):
        rays = results.one(method="RayS")
        used, trace = rays.settings, distance_trace(rays, "query")
        marks = trace.columns.to_numpy(dtype=int)
        mark = int(marks[marks <= used["budget"] / 4].max())
        early = trace[mark].clip(upper=FARTHEST)
        ratio = ratio_of_means(early, boundary_distances(rays)).interval()
        fall = paired_share_difference(early > used["eps"], robust_at(rays, used["eps"])).scaled(100)
        parts += [
            at_most(
                f"fall of the ADBD after {mark} queries over its end, {defence}",
                Interval(*(end - 1 for end in ratio)),
                float(inputs.settings["share"]),
            ),
            at_most(
                f"fall of the robust accuracy after {mark} queries, {defence}, points",
                fall,
                float(inputs.settings["points"]),
            ),
        ]
    return all_of(*parts)


def other_attacks_use_the_whole_radius(inputs: ArtefactInputs) -> Verdict:
    """The mean distortion of white-box and score-based attacks exceeds a stated share of eps."""
    parts = []
    for defence, results in inputs.results.groups("defence"):
        for method in (*WHITE_BOX, "SignHunter", "Square"):
            attack = results.one(method=method)
            lengths = attack.column("linf")[attack.correct] / attack.settings["eps"]
            name = f"distortion of {method} over eps, {defence}"
            parts.append(above(name, mean(lengths), float(inputs.settings["share"])))
    return all_of(*parts)
