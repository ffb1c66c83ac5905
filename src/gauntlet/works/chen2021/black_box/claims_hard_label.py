"""Claims of chapter 3 (chen2021, sections 3.4.1 to 3.4.4). Each docstring says what counts as support.

``falsely`` names the defences that the work calls falsely robust, or the network that stands in for them;
``recognized`` those whose robustness it confirms.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gauntlet.reporting.claims import Verdict, all_of, at_most, direction, equals, not_testable, within
from gauntlet.reporting.inputs import ArtefactInputs, EvaluationResult
from gauntlet.reporting.resampling import bootstrap, holds_in_resamples
from gauntlet.reporting.statistics import mean, paired_share_difference, wilson
from gauntlet.works.chen2021.black_box.comparisons import (
    difference_among_successes,
    more_often,
    queries_of_all,
    ratio_of_means,
    succeeded,
)
from gauntlet.works.chen2021.black_box.metrics import boundary_distances, distance_trace
from gauntlet.works.chen2021.black_box.observations import DEFENCES, observed, robust_images, settings

BASELINES = ("opt", "sign-opt", "hsja")
WHITE_BOX = ("pgd-20", "cw-20", "pgd-100", "cw-100")


def _role(evaluation: str) -> str:
    return evaluation.partition("-")[2]


def _robust(inputs: ArtefactInputs, defence: str, attack: str) -> np.ndarray:
    result = inputs.evaluations[f"robust-{defence}"]
    return robust_images(observed(result, attack), float(settings(result, "rays")["eps"]), attack)


def _distances(inputs: ArtefactInputs, defence: str, attack: str) -> np.ndarray:
    return boundary_distances(observed(inputs.evaluations[f"robust-{defence}"], attack)).to_numpy(dtype=float)


def _defences(inputs: ArtefactInputs) -> list[str]:
    return [name for name in DEFENCES if f"robust-{name}" in inputs.evaluations]


def c13(inputs: ArtefactInputs) -> Verdict:
    """C13: RayS succeeds more often than every other hard-label attack, on each network.

    A tie where both reach every image neither supports nor contradicts.
    """
    return all_of(
        *(
            more_often(
                f"success of RayS less {other}, {_role(name)}",
                succeeded(result, "rays"),
                succeeded(result, other),
            )
            for name, result in inputs.evaluations.items()
            for other in BASELINES
        )
    )


def c14(inputs: ArtefactInputs) -> Verdict:
    """C14: on ImageNet every baseline stays below ``below`` and RayS above ``above`` (shares of images)."""
    parts = []
    for name, result in inputs.evaluations.items():
        for attack in (*BASELINES, "rays"):
            hits = succeeded(result, attack)
            share, label = wilson(hits.sum(), len(hits)), f"success of {attack}, {_role(name)}"
            if attack == "rays":
                parts.append(direction(label, *share, threshold=float(inputs.settings["above"])))
            else:
                parts.append(at_most(label, *share, bound=float(inputs.settings["below"])))
    return all_of(*parts)


def c15(inputs: ArtefactInputs) -> Verdict:
    """C15: RayS takes the fewest queries on average over successes on all but one network, where HSJA does.

    Medians: RayS on the networks without ImageNet, HSJA on the others. ``hsja`` lists where HSJA is said to
    be lower, by statistic.
    """
    parts = []
    for statistic, function in (("mean", np.mean), ("median", np.median)):
        lower_hsja = inputs.settings["hsja"][statistic]
        for name, result in inputs.evaluations.items():
            for other in BASELINES:
                pair = ("rays", other) if other == "hsja" and name in lower_hsja else (other, "rays")
                label = f"{statistic} queries, {pair[0]} less {pair[1]}, {_role(name)}"
                parts.append(difference_among_successes(label, result, *pair, statistic=function))
    return all_of(*parts)


def c16(inputs: ArtefactInputs) -> Verdict:
    """C16: SignOPT takes more queries over its successes than OPT, although it succeeds more often."""
    parts = []
    for name, result in inputs.evaluations.items():
        label = f"SignOPT less OPT, {_role(name)}"
        parts += [
            difference_among_successes(f"mean queries, {label}", result, "sign-opt", "opt"),
            more_often(f"success, {label}", succeeded(result, "sign-opt"), succeeded(result, "opt")),
        ]
    return all_of(*parts)


def c17(inputs: ArtefactInputs) -> Verdict:
    """C17: white-box PGD reaches every image: more than ``level`` of them on each network."""
    parts = []
    for name, result in inputs.evaluations.items():
        hits = observed(result, "pgd")["success"].to_numpy(dtype=bool)
        share = wilson(hits.sum(), len(hits))
        parts.append(
            direction(f"success of PGD, {_role(name)}", *share, threshold=float(inputs.settings["level"]))
        )
    return all_of(*parts)


def c18(inputs: ArtefactInputs) -> Verdict:
    """C18: RayS leaves a robust accuracy more than ``points`` below HSJA's, on every defence."""
    return all_of(
        *(
            more_often(
                f"robust accuracy, HSJA less RayS, {DEFENCES[name]}",
                _robust(inputs, name, "hsja"),
                _robust(inputs, name, "rays"),
                points=float(inputs.settings["points"]),
            )
            for name in _defences(inputs)
        )
    )


def c19(inputs: ArtefactInputs) -> Verdict:
    """C19: RayS finds boundaries ``hsja`` times HSJA's distance or nearer, ``sign_opt`` times SignOPT's."""
    return all_of(
        *(
            at_most(
                f"ADBD, RayS over {other}, {DEFENCES[name]}",
                *ratio_of_means(_distances(inputs, name, "rays"), _distances(inputs, name, other)).ends,
                bound=float(inputs.settings[key]),
            )
            for name in _defences(inputs)
            for other, key in (("hsja", "hsja"), ("sign-opt", "sign_opt"))
        )
    )


def c20(inputs: ArtefactInputs) -> Verdict:
    """C20: on recognized defences RayS is weaker than the best white-box attack, by at most ``points``."""
    parts = []
    for name in inputs.settings["recognized"]:
        columns = [_robust(inputs, name, attack).astype(float) for attack in ("rays", *WHITE_BOX)]
        gap = bootstrap(lambda rows: 100 * (rows[0].mean() - min(row.mean() for row in rows[1:])), columns)
        parts.append(
            within(
                f"robust accuracy, RayS less best white-box attack, {DEFENCES[name]}, points",
                *gap.ends,
                between=(0.0, float(inputs.settings["points"])),
            )
        )
    return all_of(*parts)


def c21(inputs: ArtefactInputs) -> Verdict:
    """C21: on falsely robust defences RayS goes more than ``points`` below PGD-20, PGD-100, CW-20 and CW-100."""
    return all_of(
        *(
            more_often(
                f"robust accuracy, {attack} less RayS, {DEFENCES[name]}",
                _robust(inputs, name, attack),
                _robust(inputs, name, "rays"),
                points=float(inputs.settings["points"]),
            )
            for name in inputs.settings["falsely"]
            for attack in WHITE_BOX
        )
    )


def c22(inputs: ArtefactInputs) -> Verdict:
    """C22: PGD ranks every falsely robust defence above the recognized ones; RayS and ADBD rank them below.

    Supported if each of the three orders holds in 95 % of the resamples of images.
    """
    falsely, recognized = inputs.settings["falsely"], inputs.settings["recognized"]
    names = [*falsely, *recognized]
    count = len(falsely)
    pgd = bootstrap(_means, [_robust(inputs, name, "pgd-100").astype(float) for name in names])
    rays = bootstrap(_means, [_robust(inputs, name, "rays").astype(float) for name in names])
    adbd = bootstrap(_means, [_distances(inputs, name, "rays") for name in names])
    return all_of(
        holds_in_resamples(
            "PGD-100 ranks the falsely robust first", pgd, lambda m: m[:count].min() > m[count:].max()
        ),
        holds_in_resamples("RayS ranks them last", rays, lambda m: m[:count].max() < m[count:].min()),
        holds_in_resamples("ADBD ranks them last", adbd, lambda m: m[:count].max() < m[count:].min()),
    )


def _means(rows: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([row.mean() for row in rows])


def c23(inputs: ArtefactInputs) -> Verdict:
    """C23: falsely robust defences have nearly the same ADBD, though their robust accuracies differ.

    Supported if the largest ADBD exceeds the smallest by at most ``share``, and the robust accuracies under
    RayS differ.
    """
    names = inputs.settings["falsely"]
    if len(names) < 2:
        return not_testable("Only one falsely robust network is there; the claim compares several.")
    distances = bootstrap(
        lambda rows: float(_means(rows).max() / _means(rows).min()) - 1,
        [_distances(inputs, name, "rays") for name in names],
    )
    accuracies = [_robust(inputs, name, "rays") for name in names]
    order = np.argsort([hits.mean() for hits in accuracies])
    return all_of(
        at_most(
            "largest ADBD over the smallest, less 1", *distances.ends, bound=float(inputs.settings["share"])
        ),
        more_often("largest less smallest robust accuracy", accuracies[order[-1]], accuracies[order[0]]),
    )


def c24(inputs: ArtefactInputs) -> Verdict:
    """C24: on ``defence`` attacks on the margin leave far less than attacks on the cross-entropy.

    Supported if CW-20 and Square stay more than ``points`` below PGD-20 and SignHunter, respectively.
    """
    name, points = inputs.settings["defence"], float(inputs.settings["points"])
    return all_of(
        *(
            more_often(
                f"robust accuracy, {one} less {two}, {DEFENCES[name]}",
                _robust(inputs, name, one),
                _robust(inputs, name, two),
                points=points,
            )
            for one, two in (("pgd-20", "cw-20"), ("sign-hunter", "square"))
        )
    )


def c25(inputs: ArtefactInputs) -> Verdict:
    """C25: even HSJA goes below PGD-100 on ``defences``."""
    return all_of(
        *(
            more_often(
                f"robust accuracy, PGD-100 less HSJA, {DEFENCES[name]}",
                _robust(inputs, name, "pgd-100"),
                _robust(inputs, name, "hsja"),
            )
            for name in inputs.settings["defences"]
        )
    )


def c26(inputs: ArtefactInputs) -> Verdict:
    """C26: ADBD and robust accuracy hardly change any more after a quarter of the query limit.

    Supported if the mean distance falls by at most ``share`` of its end, and the robust accuracy by at most
    ``points``, from the last mark within a quarter of the limit on.
    """
    parts = []
    for name in _defences(inputs):
        result = inputs.evaluations[f"robust-{name}"]
        rows, used = observed(result, "rays"), settings(result, "rays")
        marks = distance_trace(rows, float(used["eps"]), "linf_at_query")["position"]
        mark = int(marks[marks <= used["budget"] / 4].iloc[-1])
        early = rows.assign(best_linf=rows[f"linf_at_query_{mark}"])
        ratio = ratio_of_means(boundary_distances(early).to_numpy(), _distances(inputs, name, "rays"))
        value, low, high = ratio.ends
        parts.append(
            at_most(
                f"fall of the ADBD after {mark} queries over its end, {DEFENCES[name]}",
                value - 1,
                low - 1,
                high - 1,
                bound=float(inputs.settings["share"]),
            )
        )
        before = (boundary_distances(early) > used["eps"]).to_numpy()
        fall = paired_share_difference(before, _robust(inputs, name, "rays")).scaled(100)
        parts.append(
            at_most(
                f"fall of the robust accuracy after {mark} queries, {DEFENCES[name]}, points",
                *fall,
                bound=float(inputs.settings["points"]),
            )
        )
    return all_of(*parts)


def c27(inputs: ArtefactInputs) -> Verdict:
    """C27: white-box and score-based attacks fill the ball: their mean distortion exceeds ``share`` of eps."""
    parts = []
    for name in _defences(inputs):
        result = inputs.evaluations[f"robust-{name}"]
        eps = float(settings(result, "rays")["eps"])
        for attack in (*WHITE_BOX, "sign-hunter", "square"):
            rows = observed(result, attack)
            lengths = rows.loc[rows["correct"].astype(bool), "linf"].to_numpy(dtype=float) / eps
            parts.append(
                direction(
                    f"distortion of {attack} over eps, {DEFENCES[name]}",
                    *mean(lengths),
                    threshold=float(inputs.settings["share"]),
                )
            )
    return all_of(*parts)


def c28(inputs: ArtefactInputs) -> Verdict:
    """C28: RayS is deterministic: two runs with different seeds agree image by image."""
    result: EvaluationResult = inputs.evaluation()
    first, second = observed(result, "rays"), observed(result, "rays-again")
    queries = np.abs(queries_of_all(result, "rays") - queries_of_all(result, "rays-again")).max()
    distance = np.abs(first["linf"].to_numpy() - second["linf"].to_numpy()).max()
    return all_of(
        equals("largest difference of queries between two runs", float(queries), 0.0, tolerance=0.0),
        equals("largest difference of distances between two runs", float(distance), 0.0, tolerance=0.0),
    )
