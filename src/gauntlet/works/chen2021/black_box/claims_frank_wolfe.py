"""Claims of chapter 2 (chen2021, sections 2.5.1 to 2.5.3). Each docstring says what counts as support."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gauntlet.reporting.claims import Verdict, all_of, at_most, direction, not_testable, within
from gauntlet.reporting.inputs import ArtefactInputs, EvaluationResult
from gauntlet.reporting.resampling import bootstrap, holds_in_resamples
from gauntlet.reporting.statistics import mean, paired_share_difference, wilson
from gauntlet.works.chen2021.black_box.comparisons import (
    difference_among_successes,
    more_often,
    more_on_average,
    queries_of_all,
    query_columns,
    rate_by,
    ratio_of_means,
    succeeded,
)
from gauntlet.works.chen2021.black_box.observations import chosen_rows, settings

ITERATIVE = ("pgd", "mi-fgsm", "fw")
OPTIONS = ("fw-sphere", "fw-gaussian")
EARLY = 40
"""Parts of the query limit at which curves are compared."""


def _outcome(inputs: ArtefactInputs, evaluation: str, method: str) -> pd.DataFrame:
    return chosen_rows(inputs.evaluations[evaluation], method, int(inputs.settings["tuning"]))[1]


def _success(rows: pd.DataFrame) -> np.ndarray:
    return rows["success"].to_numpy(dtype=bool)


def _role(evaluation: str) -> str:
    return evaluation.partition("-")[2].removeprefix("box-")


def c1(inputs: ArtefactInputs) -> Verdict:
    """C1: PGD, MI-FGSM and FW reach all images, FGSM far fewer.

    Supported if each of the three reaches more than ``level`` of the images, and FGSM fewer than FW by more
    than ``points``.
    """
    level = float(inputs.settings["level"])
    parts = []
    for evaluation in inputs.evaluations:
        for method in ITERATIVE:
            hits = _success(_outcome(inputs, evaluation, method))
            share = wilson(hits.sum(), len(hits))
            parts.append(direction(f"success of {method}, {_role(evaluation)}", *share, threshold=level))
        pair = [_success(_outcome(inputs, evaluation, method)) for method in ("fw", "fgsm")]
        parts.append(
            more_often(f"FW less FGSM, {_role(evaluation)}", *pair, points=inputs.settings["points"])
        )
    return all_of(*parts)


def c2(inputs: ArtefactInputs) -> Verdict:
    """C2: FW needs fewer iterations than MI-FGSM and PGD; failures count as all steps."""
    return all_of(
        *(
            more_on_average(
                f"iterations of {method} less FW, {_role(evaluation)}",
                _iterations(inputs, evaluation, method),
                _iterations(inputs, evaluation, "fw"),
            )
            for evaluation in inputs.evaluations
            for method in ("pgd", "mi-fgsm")
        )
    )


def _iterations(inputs: ArtefactInputs, evaluation: str, method: str) -> np.ndarray:
    result = inputs.evaluations[evaluation]
    procedure, rows = chosen_rows(result, method, int(inputs.settings["tuning"]))
    steps = settings(result, procedure)["steps"]
    return rows["iterations"].where(rows["success"].astype(bool), steps).to_numpy(dtype=float)


def c3(inputs: ArtefactInputs) -> Verdict:
    """C3: FW's perturbations are smaller (linf), on the images that both attacks of a pair reach."""
    parts = []
    for evaluation in inputs.evaluations:
        ours = _outcome(inputs, evaluation, "fw")
        for method in ("pgd", "mi-fgsm"):
            theirs = _outcome(inputs, evaluation, method)
            both = _success(ours) & _success(theirs)
            name = f"distortion of {method} less FW, {_role(evaluation)}"
            if not both.any():
                return not_testable(f"{name}: no image was reached by both.")
            parts.append(
                more_on_average(name, theirs["linf"].to_numpy()[both], ours["linf"].to_numpy()[both])
            )
    return all_of(*parts)


def c4(inputs: ArtefactInputs) -> Verdict:
    """C4: PGD's and MI-FGSM's perturbations nearly fill the ball: ``share`` of eps, by evaluation."""
    parts = []
    for evaluation, share in inputs.settings["share"].items():
        eps = float(settings(inputs.evaluations[evaluation], "fgsm")["eps"])
        for method in ("pgd", "mi-fgsm"):
            rows = _outcome(inputs, evaluation, method)
            lengths = rows["linf"].to_numpy(dtype=float)[_success(rows)] / eps
            name = f"distortion of {method} over eps, {_role(evaluation)}"
            if not len(lengths):
                return not_testable(f"{name}: no success.")
            parts.append(direction(name, *mean(lengths), threshold=float(share)))
    return all_of(*parts)


def c5(inputs: ArtefactInputs) -> Verdict:
    """C5: on the robust network the iterative attacks succeed alike, and more often than FGSM.

    Supported if their rates differ by at most ``points`` and each exceeds FGSM's.
    """
    (evaluation,) = inputs.evaluations
    hits = {method: _success(_outcome(inputs, evaluation, method)) for method in ("fgsm", *ITERATIVE)}
    points = float(inputs.settings["points"])
    parts = [
        within(
            f"success of FW less {method}, points",
            *paired_share_difference(hits["fw"], hits[method]).scaled(100),
            between=(-points, points),
        )
        for method in ("pgd", "mi-fgsm")
    ]
    parts += [
        more_often(f"success of {method} less FGSM", hits[method], hits["fgsm"]) for method in ITERATIVE
    ]
    return all_of(*parts)


def c6(inputs: ArtefactInputs) -> Verdict:
    """C6: within the query limit both FW options succeed more often than NES-PGD, and that than Bandit."""
    pairs = [*((option, "nes") for option in OPTIONS), ("nes", "bandits")]
    return all_of(
        *(
            more_often(
                f"success of {one} less {two}, {_role(name)}", succeeded(result, one), succeeded(result, two)
            )
            for name, result in inputs.evaluations.items()
            for one, two in pairs
        )
    )


def c7(inputs: ArtefactInputs) -> Verdict:
    """C7: FW takes fewer queries over all images: at most ``share`` of NES-PGD's and of Bandit's mean."""
    share = float(inputs.settings["share"])
    return all_of(
        *(
            at_most(
                f"queries of {option} over {other}, {_role(name)}",
                *ratio_of_means(queries_of_all(result, option), queries_of_all(result, other)).ends,
                bound=share,
            )
            for name, result in inputs.evaluations.items()
            for option in OPTIONS
            for other in ("nes", "bandits")
        )
    )


def c8(inputs: ArtefactInputs) -> Verdict:
    """C8: both options of FW do alike.

    Supported if the ratio of their mean queries lies within ``ratio`` of 1, their rates within ``points``.
    """
    ratio, points = float(inputs.settings["ratio"]), float(inputs.settings["points"])
    parts = []
    for name, result in inputs.evaluations.items():
        queries = ratio_of_means(*(queries_of_all(result, option) for option in OPTIONS))
        parts.append(
            within(
                f"queries, sphere over Gaussian, {_role(name)}", *queries.ends, between=(1 - ratio, 1 + ratio)
            )
        )
        sphere, gaussian = (succeeded(result, option) for option in OPTIONS)
        gap = paired_share_difference(sphere, gaussian).scaled(100)
        parts.append(
            within(f"success, sphere less Gaussian, {_role(name)}, points", *gap, between=(-points, points))
        )
    return all_of(*parts)


def c9(inputs: ArtefactInputs) -> Verdict:
    """C9: Bandit takes fewer queries than NES-PGD where each succeeds, and succeeds on fewer images."""
    parts = []
    for name, result in inputs.evaluations.items():
        parts += [
            difference_among_successes(
                f"queries of successes, NES-PGD less Bandit, {_role(name)}", result, "nes", "bandits"
            ),
            more_often(
                f"success of NES-PGD less Bandit, {_role(name)}",
                succeeded(result, "nes"),
                succeeded(result, "bandits"),
            ),
        ]
    return all_of(*parts)


def c10(inputs: ArtefactInputs) -> Verdict:
    """C10: the curve of Bandit leads early, falls below FW and ends below NES-PGD; FW leads later.

    Supported if, in 95 % of the resamples, Bandit leads at one of the first quarter of 40 evenly spaced
    query counts, is behind FW at the middle, and ends below NES-PGD, which ends below FW.
    """
    order = ("bandits", "nes", *OPTIONS)
    parts = []
    for name, result in inputs.evaluations.items():
        limit = float(settings(result, "nes")["budget"])
        marks = [limit * part / EARLY for part in range(1, EARLY // 4)]

        def rates(
            rows: Sequence[np.ndarray], marks: Sequence[float] = marks, limit: float = limit
        ) -> np.ndarray:
            return np.stack([rate_by(rows, mark) for mark in (*marks, limit / 2, limit)])

        estimate = bootstrap(rates, [query_columns(result, procedure) for procedure in order])
        parts.append(holds_in_resamples(f"order of the curves, {_role(name)}", estimate, _crossing))
    return all_of(*parts)


def _crossing(rates: np.ndarray) -> bool:
    early, middle, end = rates[:-2], rates[-2], rates[-1]
    leads = bool((early[:, 0] > early[:, 1:].max(1)).any())
    return leads and middle[0] < middle[2:].min() and end[0] < end[1] < end[2:].max()


def c11(inputs: ArtefactInputs) -> Verdict:
    """C11: FW is the fastest per image. Seconds of one run on one machine, without an interval."""
    numbers: dict[str, float] = {}
    fastest, known = [], True
    for name, result in inputs.evaluations.items():
        seconds = {each: _seconds(result, each) for each in ("nes", "bandits", *OPTIONS)}
        known &= all(np.isfinite(list(seconds.values())))
        numbers |= {f"seconds per image, {each}, {_role(name)}": value for each, value in seconds.items()}
        fastest.append(max(seconds[option] for option in OPTIONS) < min(seconds["nes"], seconds["bandits"]))
    if not known:
        return not_testable("The time of the attacks was not recorded.")
    reason = ", ".join(
        f"{name.removeprefix('seconds per image, ')}: {value:.3g} s" for name, value in numbers.items()
    )
    return Verdict("supported" if all(fastest) else "contradicted", f"Per image {reason}.", numbers)


def _seconds(result: EvaluationResult, procedure: str) -> float:
    return float(result.manifest["procedure_seconds"][procedure]) / len(query_columns(result, procedure))


def c12(inputs: ArtefactInputs) -> Verdict:
    """C12: on the robust network NAttack and FW (sphere) succeed most; FW takes the fewest queries.

    Supported if both succeed more often than Bandit and NES-PGD, NAttack not less often than FW by more than
    ``points``, FW's mean over all images is the smallest, and over successes Bandit's is the smallest,
    NAttack's the largest.
    """
    result = inputs.evaluation()
    parts = [
        more_often(f"success of {strong} less {weak}", succeeded(result, strong), succeeded(result, weak))
        for strong in ("nattack", "fw-sphere")
        for weak in ("bandits", "nes")
    ]
    parts.append(
        more_often(
            "success of NAttack less FW",
            succeeded(result, "nattack"),
            succeeded(result, "fw-sphere"),
            points=-float(inputs.settings["points"]),
        )
    )
    parts += [
        more_on_average(
            f"queries of {other} less FW", queries_of_all(result, other), queries_of_all(result, "fw-sphere")
        )
        for other in ("nattack", "bandits", "nes")
    ]
    parts += [
        difference_among_successes(f"queries of successes, {more} less {less}", result, more, less)
        for more, less in (("nattack", "fw-sphere"), ("fw-sphere", "bandits"), ("nes", "bandits"))
    ]
    return all_of(*parts)
