"""Claims of chapter 2 (chen2021, sections 2.5.1 to 2.5.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gauntlet.analysis.bootstrap import bootstrap, mean
from gauntlet.analysis.comparisons import holds, more_often, more_on_average, ratio_of_means
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import paired_share_difference, share
from gauntlet.analysis.queries import charged, queries_to_success, succeeded, success_rates
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most, not_testable, within
from gauntlet.works.chen2021.frank_wolfe.tuning import chosen, reported
from gauntlet.works.chen2021.query_claims import more_queries_where_successful

ITERATIVE = ("PGD", "MI-FGSM", "FW")
OPTIONS = ("FW, sphere", "FW, Gaussian")
EARLY = 40
"""Parts of the query limit at which curves are compared."""


def _tuned(inputs: ArtefactInputs, results: Results, method: str, column: str) -> pd.Series:
    """Return a column of a method at its chosen setting, for the images that did not choose it."""
    tuning = inputs.settings["tuning"]
    return reported(chosen(results.where(method=method), tuning), column, tuning)


def _success(inputs: ArtefactInputs, results: Results, method: str) -> pd.Series:
    return _tuned(inputs, results, method, "success").astype(bool)


def iterative_attacks_reach_every_image(inputs: ArtefactInputs) -> Verdict:
    """PGD, MI-FGSM and FW reach more than a stated share of the images each, FGSM fewer than FW by 50 points."""
    parts = []
    for role, results in inputs.results.groups("role"):
        hits = {method: _success(inputs, results, method) for method in (*ITERATIVE, "FGSM")}
        parts += [
            above(f"success of {method}, {role}", share(hits[method]), inputs.settings["level"])
            for method in ITERATIVE
        ]
        name, points = f"FW less FGSM, {role}", inputs.settings["points"]
        parts.append(more_often(name, hits["FW"], hits["FGSM"], points=points))
    return all_of(*parts)


def frank_wolfe_needs_the_fewest_iterations(inputs: ArtefactInputs) -> Verdict:
    """FW needs fewer iterations than MI-FGSM and PGD on average; failures count as all steps."""
    return all_of(
        *(
            more_on_average(
                f"iterations of {method} less FW, {role}",
                _iterations(inputs, results, method),
                _iterations(inputs, results, "FW"),
            )
            for role, results in inputs.results.groups("role")
            for method in ("PGD", "MI-FGSM")
        )
    )


def _iterations(inputs: ArtefactInputs, results: Results, method: str) -> pd.Series:
    steps = results.where(method=method).setting("steps")
    taken = _tuned(inputs, results, method, "iterations")
    return taken.where(_success(inputs, results, method), steps)


def frank_wolfe_perturbs_least(inputs: ArtefactInputs) -> Verdict:
    """FW's perturbations are smaller in linf on average, on the images that both attacks of a pair reach."""
    parts = []
    for role, results in inputs.results.groups("role"):
        for method in ("PGD", "MI-FGSM"):
            both = _success(inputs, results, "FW") & _success(inputs, results, method)
            name = f"distortion of {method} less FW, {role}"
            if not both.any():
                parts.append(not_testable(f"{name}: no image was reached by both."))
                continue
            theirs, ours = (_tuned(inputs, results, each, "linf")[both] for each in (method, "FW"))
            parts.append(more_on_average(name, theirs, ours))
    return all_of(*parts)


def pgd_and_mi_fgsm_fill_the_ball(inputs: ArtefactInputs) -> Verdict:
    """The successful perturbations of PGD and MI-FGSM exceed a stated share of eps on average."""
    parts = []
    for role, results in inputs.results.groups("role"):
        for method in ("PGD", "MI-FGSM"):
            lengths = _tuned(inputs, results, method, "linf")[_success(inputs, results, method)]
            name = f"distortion of {method} over eps, {role}"
            if not len(lengths):
                parts.append(not_testable(f"{name}: no success."))
                continue
            filled = mean(lengths / results.setting("eps"))
            parts.append(above(name, filled, float(inputs.settings["share"][role])))
    return all_of(*parts)


def iterative_attacks_are_alike_on_a_robust_network(inputs: ArtefactInputs) -> Verdict:
    """The success rates of PGD, MI-FGSM and FW differ by at most a stated number of points; each exceeds FGSM's."""
    hits = {method: _success(inputs, inputs.results, method) for method in ("FGSM", *ITERATIVE)}
    points = float(inputs.settings["points"])
    alike = [
        within(
            f"success of FW less {method}, points",
            paired_share_difference(hits["FW"], hits[method]).scaled(100),
            (-points, points),
        )
        for method in ("PGD", "MI-FGSM")
    ]
    ahead = [more_often(f"success of {method} less FGSM", hits[method], hits["FGSM"]) for method in ITERATIVE]
    return all_of(*alike, *ahead)


def frank_wolfe_succeeds_most_often_by_scores(inputs: ArtefactInputs) -> Verdict:
    """Within the query limit both FW options succeed more often than NES-PGD, and that than Bandit."""
    pairs = [*((option, "NES-PGD") for option in OPTIONS), ("NES-PGD", "Bandit")]
    return all_of(
        *(
            more_often(
                f"success of {one} less {two}, {role}",
                succeeded(results.one(method=one)),
                succeeded(results.one(method=two)),
            )
            for role, results in inputs.results.groups("role")
            for one, two in pairs
        )
    )


def frank_wolfe_halves_the_queries(inputs: ArtefactInputs) -> Verdict:
    """FW's mean of queries over all images is at most a stated share of NES-PGD's and of Bandit's."""
    return all_of(
        *(
            at_most(
                f"queries of {option} over {other}, {role}",
                ratio_of_means(
                    charged(results.one(method=option)), charged(results.one(method=other))
                ).interval(),
                float(inputs.settings["share"]),
            )
            for role, results in inputs.results.groups("role")
            for option in OPTIONS
            for other in ("NES-PGD", "Bandit")
        )
    )


def sphere_and_gaussian_directions_are_alike(inputs: ArtefactInputs) -> Verdict:
    """The mean queries of both FW options differ by at most a tenth, their success rates by at most three points."""
    ratio, points = float(inputs.settings["ratio"]), float(inputs.settings["points"])
    parts = []
    for role, results in inputs.results.groups("role"):
        both = [results.one(method=option) for option in OPTIONS]
        queries = ratio_of_means(*(charged(each) for each in both)).interval()
        gap = paired_share_difference(*(succeeded(each) for each in both)).scaled(100)
        parts += [
            within(f"queries, sphere over Gaussian, {role}", queries, (1 - ratio, 1 + ratio)),
            within(f"success, sphere less Gaussian, {role}, points", gap, (-points, points)),
        ]
    return all_of(*parts)


def bandit_is_quick_where_it_succeeds(inputs: ArtefactInputs) -> Verdict:
    """Bandit takes fewer queries than NES-PGD where each succeeds, and succeeds on fewer images."""
    parts = []
    for role, results in inputs.results.groups("role"):
        nes, bandit = (succeeded(results.one(method=method)) for method in ("NES-PGD", "Bandit"))
        name = f"queries of successes, NES-PGD less Bandit, {role}"
        parts += [
            more_queries_where_successful(name, results, "NES-PGD", "Bandit"),
            more_often(f"success of NES-PGD less Bandit, {role}", nes, bandit),
        ]
    return all_of(*parts)


def bandit_leads_early_and_ends_last(inputs: ArtefactInputs) -> Verdict:
    """Bandit leads early, is behind FW at half of the query limit, and ends below NES-PGD, which ends below FW.

    Early is any of the first quarter of 40 evenly spaced numbers of queries.
    """
    parts = []
    for role, results in inputs.results.groups("role"):
        limit = float(results.setting("budget"))
        marks = [*(limit * part / EARLY for part in range(1, EARLY // 4)), limit / 2, limit]
        columns = [
            queries_to_success(results.one(method=method)).to_numpy()
            for method in ("Bandit", "NES-PGD", *OPTIONS)
        ]

        def rates(rows: Sequence[np.ndarray], marks: Sequence[float] = marks) -> np.ndarray:
            return np.stack([success_rates(row, marks) for row in rows], 1)

        parts.append(holds(f"order of the curves, {role}", bootstrap(rates, columns), _crossing))
    return all_of(*parts)


def _crossing(rates: np.ndarray) -> bool:
    early, middle, end = rates[:-2], rates[-2], rates[-1]
    leads = bool((early[:, 0] > early[:, 1:].max(1)).any())
    return leads and middle[0] < middle[2:].min() and end[0] < end[1] < end[2:].max()


def frank_wolfe_is_the_fastest_black_box_attack(inputs: ArtefactInputs) -> Verdict:
    """Both FW options take fewer seconds per image than NES-PGD and Bandit, in one run without an interval."""
    numbers: dict[str, float] = {}
    fastest = []
    for role, results in inputs.results.groups("role"):
        seconds = {method: each.seconds / len(each.correct) for method, each in results.groups("method")}
        numbers |= {f"seconds per image, {method}, {role}": value for method, value in seconds.items()}
        slower = min(seconds["NES-PGD"], seconds["Bandit"])
        fastest.append(max(seconds[option] for option in OPTIONS) < slower)
    if not np.isfinite(list(numbers.values())).all():
        return not_testable("The time of the attacks was not recorded.")
    reason = "; ".join(f"{name} {value:.3g}" for name, value in numbers.items())
    return Verdict("supported" if all(fastest) else "contradicted", f"{reason}.", numbers)


def frank_wolfe_takes_fewest_queries_on_a_robust_network(inputs: ArtefactInputs) -> Verdict:
    """NAttack and FW succeed more often than Bandit and NES-PGD, NAttack about as often as FW or more often.

    FW's mean over all images is the smallest; over successes Bandit's is the smallest and NAttack's the largest.
    """
    results = inputs.results
    hits = {method: succeeded(each) for method, each in results.groups("method")}
    spent = {method: charged(each) for method, each in results.groups("method")}
    often = [
        more_often(f"success of {strong} less {weak}", hits[strong], hits[weak])
        for strong in ("NAttack", "FW, sphere")
        for weak in ("Bandit", "NES-PGD")
    ]
    points = -float(inputs.settings["points"])
    often.append(more_often("success of NAttack less FW", hits["NAttack"], hits["FW, sphere"], points=points))
    fewest = [
        more_on_average(f"queries of {other} less FW", spent[other], spent["FW, sphere"])
        for other in ("NAttack", "Bandit", "NES-PGD")
    ]
    ordered = [
        more_queries_where_successful(f"queries of successes, {more} less {less}", results, more, less)
        for more, less in (("NAttack", "FW, sphere"), ("FW, sphere", "Bandit"), ("NES-PGD", "Bandit"))
    ]
    return all_of(*often, *fewest, *ordered)
