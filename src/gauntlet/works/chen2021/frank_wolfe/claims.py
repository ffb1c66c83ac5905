"""Claims of chapter 2 (chen2021, sections 2.5.1 to 2.5.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gauntlet.analysis.bootstrap import bootstrap, mean
from gauntlet.analysis.comparisons import (
    holds,
    more_often,
    more_on_average,
    more_queries_where_successful,
    ratio_of_means,
    succeeds_more_often,
)
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import paired_share_difference, share
from gauntlet.analysis.queries import charged, queries_to_success, succeeded, success_rates
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most, within
from gauntlet.works.chen2021.frank_wolfe.tuning import reported, settled

ITERATIVE = ("PGD", "MI-FGSM", "FW")
OPTIONS = ("FW, sphere", "FW, Gaussian")
EARLY = 40
"""Parts of the query limit at which curves are compared."""


def _tuned(inputs: ArtefactInputs, results: Results, method: str, column: str) -> pd.Series:
    """Return a column of a method at its setting, for the images that choose none."""
    procedure = settled(inputs, results.where(method=method))
    return reported(procedure, column, inputs.settings["tuning"])


def _success(inputs: ArtefactInputs, results: Results, method: str) -> pd.Series:
    return _tuned(inputs, results, method, "success").astype(bool)


def iterative_attacks_reach_every_image(inputs: ArtefactInputs) -> Verdict:
    """PGD, MI-FGSM and FW reach more than {level} of the images each, FGSM fewer than FW by {points} points."""
    parts, level, points = [], inputs.settings["level"], inputs.settings["points"]
    for role, results in inputs.results.groups("role"):
        hits = {method: _success(inputs, results, method) for method in (*ITERATIVE, "FGSM")}
        parts += [above(f"success of {method}, {role}", share(hits[method]), level) for method in ITERATIVE]
        parts.append(more_often(f"FW less FGSM, {role}", hits["FW"], hits["FGSM"], points=points))
    return all_of(parts)


def frank_wolfe_needs_the_fewest_iterations(inputs: ArtefactInputs) -> Verdict:
    """FW needs fewer iterations than MI-FGSM and PGD on average; failures count as all steps."""
    return all_of(
        more_on_average(
            f"iterations of {method} less FW, {role}",
            _iterations(inputs, results, method),
            _iterations(inputs, results, "FW"),
        )
        for role, results in inputs.results.groups("role")
        for method in ("PGD", "MI-FGSM")
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
            theirs, ours = (_tuned(inputs, results, each, "linf")[both] for each in (method, "FW"))
            parts.append(more_on_average(f"distortion of {method} less FW, {role}", theirs, ours))
    return all_of(parts)


def pgd_and_mi_fgsm_fill_the_ball(inputs: ArtefactInputs) -> Verdict:
    """The successful perturbations of PGD and MI-FGSM exceed a stated share of eps on average: {share}."""
    parts = []
    for role, results in inputs.results.groups("role"):
        for method in ("PGD", "MI-FGSM"):
            lengths = _tuned(inputs, results, method, "linf")[_success(inputs, results, method)]
            filled = mean(lengths / results.setting("eps"))
            name = f"distortion of {method} over eps, {role}"
            parts.append(above(name, filled, float(inputs.settings["share"][role])))
    return all_of(parts)


def iterative_attacks_are_alike_on_a_robust_network(inputs: ArtefactInputs) -> Verdict:
    """The success rates of PGD, MI-FGSM and FW differ by at most {points} points; each exceeds FGSM's."""
    hits = {method: _success(inputs, inputs.results, method) for method in ("FGSM", *ITERATIVE)}
    points, parts = float(inputs.settings["points"]), []
    for method in ("PGD", "MI-FGSM"):
        gap = paired_share_difference(hits["FW"], hits[method]).scaled(100)
        parts.append(within(f"success of FW less {method}, points", gap, (-points, points)))
    ahead = [more_often(f"success of {method} less FGSM", hits[method], hits["FGSM"]) for method in ITERATIVE]
    return all_of(parts, ahead)


def frank_wolfe_succeeds_most_often_by_scores(inputs: ArtefactInputs) -> Verdict:
    """Within the query limit both FW options succeed more often than NES-PGD, and that than Bandit."""
    pairs = [*((option, "NES-PGD") for option in OPTIONS), ("NES-PGD", "Bandit")]
    return all_of(
        _succeeds_more_often(role, results, one, two)
        for role, results in inputs.results.groups("role")
        for one, two in pairs
    )


def _succeeds_more_often(role: str, results: Results, one: str, two: str, points: float = 0.0) -> Verdict:
    first, second = (results.one(method=method) for method in (one, two))
    return succeeds_more_often(f"success of {one} less {two}, {role}", first, second, points=points)


def _more_queries(role: str, results: Results, more: str, less: str) -> Verdict:
    first, second = (results.one(method=method) for method in (more, less))
    return more_queries_where_successful(f"queries of successes, {more} less {less}, {role}", first, second)


def frank_wolfe_halves_the_queries(inputs: ArtefactInputs) -> Verdict:
    """FW's mean of queries over all images is at most {share} of NES-PGD's and of Bandit's."""
    parts = []
    for role, results in inputs.results.groups("role"):
        spent = {method: charged(each) for method, each in results.groups("method")}
        for option in OPTIONS:
            for other in ("NES-PGD", "Bandit"):
                ratio = ratio_of_means(spent[option], spent[other]).interval()
                name = f"queries of {option} over {other}, {role}"
                parts.append(at_most(name, ratio, float(inputs.settings["share"])))
    return all_of(parts)


def sphere_and_gaussian_directions_are_alike(inputs: ArtefactInputs) -> Verdict:
    """The mean queries of both FW options differ by at most {ratio} of them, their success rates by {points} points."""
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
    return all_of(parts)


def bandit_is_quick_where_it_succeeds(inputs: ArtefactInputs) -> Verdict:
    """Bandit takes fewer queries than NES-PGD where each succeeds, and succeeds on fewer images."""
    return all_of(
        judge(role, results, "NES-PGD", "Bandit")
        for role, results in inputs.results.groups("role")
        for judge in (_more_queries, _succeeds_more_often)
    )


def bandit_leads_early_and_ends_last(inputs: ArtefactInputs) -> Verdict:
    """Bandit leads early, is behind FW at half of the query limit, and ends below NES-PGD, which ends below FW.

    Early is any of the first quarter of 40 evenly spaced numbers of queries.
    """
    parts = []
    for role, results in inputs.results.groups("role"):
        limit = float(results.setting("budget"))
        marks = [*(limit * part / EARLY for part in range(1, EARLY // 4)), limit / 2, limit]
        attacks = [results.one(method=method) for method in ("Bandit", "NES-PGD", *OPTIONS)]

        def rates(rows: Sequence[np.ndarray], marks: Sequence[float] = marks) -> np.ndarray:
            return np.stack([success_rates(row, marks) for row in rows], 1)

        estimate = bootstrap(rates, [queries_to_success(attack).to_numpy() for attack in attacks])
        parts.append(holds(f"order of the curves, {role}", estimate, _crossing))
    return all_of(parts)


def _crossing(rates: np.ndarray) -> bool:
    early, middle, end = rates[:-2], rates[-2], rates[-1]
    leads = bool((early[:, 0] > early[:, 1:].max(1)).any())
    return leads and middle[0] < middle[2:].min() and end[0] < end[1] < end[2:].max()


def frank_wolfe_takes_fewest_queries_on_a_robust_network(inputs: ArtefactInputs) -> Verdict:
    """NAttack and FW succeed more often than Bandit and NES-PGD, NAttack less often than FW by {points} points at most.

    FW's mean over all images is the smallest; over successes Bandit's is the smallest and NAttack's the largest.
    """
    role, results, points = "robust network", inputs.results, -float(inputs.settings["points"])
    spent = {method: charged(each) for method, each in results.groups("method")}
    often = [
        _succeeds_more_often(role, results, strong, weak)
        for strong in ("NAttack", "FW, sphere")
        for weak in ("Bandit", "NES-PGD")
    ]
    often.append(_succeeds_more_often(role, results, "NAttack", "FW, sphere", points))
    fewest = [
        more_on_average(f"queries of {other} less FW", spent[other], spent["FW, sphere"])
        for other in ("NAttack", "Bandit", "NES-PGD")
    ]
    ordered = [("NAttack", "FW, sphere"), ("FW, sphere", "Bandit"), ("NES-PGD", "Bandit")]
    return all_of(often, fewest, (_more_queries(role, results, *pair) for pair in ordered))
