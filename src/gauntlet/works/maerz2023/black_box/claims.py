"""Claims about the BOBYQA attack (maerz2023, contribution 4.4).

Models and radii are compared on the pairs of image and target that both attacked, and whole images are resampled,
because pairs of one image are not independent.
"""

from __future__ import annotations

import numpy as np

from gauntlet.reporting.claims import Verdict, all_of, at_most, direction, not_testable
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.statistics import mean, paired_difference, paired_share_difference, share
from gauntlet.setting_types import parse_number
from gauntlet.works.maerz2023.black_box.runs import (
    NOISELESS,
    RADII,
    Run,
    matched,
    runs,
    spent,
)
from gauntlet.works.maerz2023.perturbations.published import records

DEFENDED = ("madry", "locus", "salman")
LEAST, MOST = RADII[0], RADII[-1]
Found = dict[tuple[str, str], Run]


def _successes(run: Run) -> str:
    return f"{int((~np.isnan(run.costs)).sum())} of {len(run.pairs)}"


def _gain(label: str, more: Run, less: Run, *, threshold: float = 0.0) -> Verdict:
    """Judge by how much the success of one run exceeds that of another, on the pairs of both."""
    (first, second), images = matched([more, less])
    gain = paired_share_difference(_reached(first), _reached(second), clusters=images)
    verdict = direction(label, *gain, threshold=threshold)
    return Verdict(
        verdict.decision,
        f"{verdict.reason} ({_successes(more)} against {_successes(less)}.)",
        verdict.numbers,
    )


def _reached(pairs: object) -> np.ndarray:
    return np.asarray(pairs["queries_to_success"].notna())  # type: ignore[index]


def c18(inputs: ArtefactInputs) -> Verdict:
    """C18: success rises and queries fall with the radius; the smoothed model reacts least.

    Supported if, from the smallest to the largest radius, on the natural, the PGD and the R-FGSM model, the
    success rate grows and the mean number of queries (a failure counts as the budget) falls, and if the
    success rate of each of them grows by more than that of the smoothed model.
    """
    found = runs(inputs)
    parts = []
    for defence in ("natural", "madry", "locus"):
        less, more = found[defence, LEAST], found[defence, MOST]
        parts.append(_gain(f"growth of the success rate with the radius, {defence}", more, less))
        (first, second), images = matched([less, more])
        saved = paired_difference(spent(first, less.budget), spent(second, more.budget), clusters=images)
        parts.append(direction(f"queries saved at the larger radius, {defence}", *saved))
        smoothed = [found["salman", MOST], found["salman", LEAST]]
        frames, images = matched([more, less, *smoothed])
        here, there, smooth_here, smooth_there = (_reached(frame).astype(float) for frame in frames)
        excess = mean(here - there - (smooth_here - smooth_there), clusters=images)
        parts.append(direction(f"growth of success, {defence} less smoothed", *excess))
    return all_of(*parts)


def c19(inputs: ArtefactInputs) -> Verdict:
    """C19: attacks on defended models succeed for less than 5, 10 and 15 % of the pairs.

    Supported if the success rate of every defended model is within the printed bound of its radius. In the
    reduced form, for networks and budgets other than the work's, if it is below that of the natural model.
    """
    found = runs(inputs)
    if inputs.settings["reduced"]:
        return all_of(
            *(
                _gain(f"success rate at radius {radius}, natural less {defence}", found["natural", radius],
                      found[defence, radius])
                for radius in RADII
                for defence in DEFENDED
            )
        )  # fmt: skip
    bounds = {
        f"{float(parse_number(row['attack_eps'])):.6f}": float(row["value"]) / 100
        for row in records(inputs.published)
    }
    parts = []
    for radius in RADII:
        bound = bounds[f"{int(radius) / 255:.6f}"]
        for defence in DEFENDED:
            run = found[defence, radius]
            parts.append(at_most(f"success rate, {defence}, {radius}/255", *run.rate(), bound=bound))
    return all_of(*parts)


def c20(inputs: ArtefactInputs) -> Verdict:
    """C20: the successes against the smoothed model come early.

    Supported if more than ``share`` of the successes, over all radii, need at most ``early`` queries.
    """
    early, share = int(inputs.settings["early"]), float(inputs.settings["share"])
    found = runs(inputs)
    verdict = _early(found, "salman", early, share)
    silent = _early(runs(inputs, NOISELESS), "salman", early, share)
    reason, numbers = verdict.reason, dict(verdict.numbers)
    confirmed = sum(_confirmed(run) for (defence, _), run in found.items() if defence == "salman")
    reason += f" The smoothed classifier itself, by many draws, gives {confirmed} of the final images to the target."
    numbers["final images confirmed by the smoothed classifier"] = float(confirmed)
    for defence in ("natural", "madry", "locus"):
        numbers |= _early(found, defence, early, share).numbers
    if silent.decision != "not testable":
        reason += f" Asked without noise: {silent.reason}"
        numbers |= {f"{name}, without noise": value for name, value in silent.numbers.items()}
    return Verdict(verdict.decision, reason, numbers)


def _confirmed(run: Run) -> int:
    return int((run.pairs["smoothed_prediction"] == run.pairs.index.get_level_values("target")).sum())


def _early(found: Found, defence: str, early: int, threshold: float) -> Verdict:
    mine = [found[defence, radius] for radius in RADII if (defence, radius) in found]
    costs = np.concatenate([run.costs for run in mine]) if mine else np.empty(0)
    won = ~np.isnan(costs)
    if not won.any():
        return not_testable(f"No attack on {defence} succeeded.")
    images = np.concatenate([run.images for run in mine])
    estimate = share(costs[won] <= early, clusters=images[won])
    return direction(
        f"share of the {int(won.sum())} successes that need at most {early} queries, {defence}",
        *estimate,
        threshold=threshold,
    )


def c21(inputs: ArtefactInputs) -> Verdict:
    """C21: the newer defences, R-FGSM and smoothing, do not beat the model trained against PGD.

    Supported if at every radius the success rate of each is, beyond doubt, at most ``margin`` below that of
    the PGD-trained model, contradicted if one is beyond doubt lower by more.
    """
    found, margin = runs(inputs), float(inputs.settings["margin"])
    return all_of(
        *(
            _gain(
                f"success rate at radius {radius}, {defence} less PGD",
                found[defence, radius],
                found["madry", radius],
                threshold=-margin,
            )
            for radius in RADII
            for defence in ("locus", "salman")
        )
    )
