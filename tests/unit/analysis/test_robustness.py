"""Which images withstand an attack at a radius, for every family of attacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gauntlet.analysis.results import Results
from gauntlet.analysis.robustness import (
    distances,
    mean_distance,
    radii,
    robust_accuracies,
    robust_at,
    strongest_at,
)

ResultsOf = Callable[..., Results]
Ran = dict[str, Any]
INF, NONE = float("inf"), float("nan")
CORRECT = [True, True, True, False]


def fixed(radius: float, success: list[bool], restart: list[int] | None = None, **labels: object) -> Ran:
    """Return a run of a fixed-budget attack on four images, the last misclassified unperturbed."""
    columns: dict[str, list[object]] = {"success": list(success)}
    if restart is not None:
        columns["restart"] = list(restart)
    threat = {"family": "fixed_budget", "norm": "linf", "radius": radius, "distance": "linf"}
    return {"columns": columns, "labels": {**threat, **labels}, "correct": CORRECT}


def minimum(sizes: list[float], success: list[bool], **after: list[float]) -> Ran:
    """Return a run of a minimum-norm attack on four images, the last misclassified unperturbed."""
    threat = {"family": "minimum_norm", "norm": "l2", "radius": None, "distance": "l2"}
    return {"columns": {"l2": sizes, "success": success, **after}, "labels": threat, "correct": CORRECT}


def test_a_fixed_budget_attack_answers_at_its_own_radius_only(results_of: ResultsOf) -> None:
    pgd = results_of(
        {
            "mnist": {
                "pgd-1": fixed(0.1, [True, False, False, True]),
                "pgd-2": fixed(0.2, [True, True, False, True]),
            }
        }
    )
    assert radii(pgd) == [0.1, 0.2]
    assert robust_at(pgd, 0.1).tolist() == [False, True, True, False]
    assert robust_at(pgd, 0.2).tolist() == [False, False, True, False]
    assert robust_at(pgd, 0.1 * (1 + 1e-12)).tolist() == [False, True, True, False], "equal but for rounding"
    with pytest.raises(LookupError, match=r"mnist/pgd-1, mnist/pgd-2 was run at the radius 0\.15"):
        robust_at(pgd, 0.15)


def test_an_attack_that_was_not_run_is_an_error_and_not_robustness(results_of: ResultsOf) -> None:
    pgd = results_of({"mnist": {"pgd": fixed(0.1, [False] * 4, attack="PGD")}})
    with pytest.raises(LookupError):
        robust_at(pgd.where(attack="FGSM"), 0.1)


def test_an_image_that_is_misclassified_unperturbed_withstands_nothing(results_of: ResultsOf) -> None:
    pgd = results_of({"mnist": {"pgd": fixed(0.1, [False] * 4)}})
    assert robust_at(pgd, 0.1).tolist() == [True, True, True, False]
    cw = results_of({"mnist": {"cw": minimum([NONE] * 4, [False] * 4)}})
    assert robust_at(cw, 1e9).tolist() == [True, True, True, False]


def test_one_minimum_norm_run_answers_for_every_radius(results_of: ResultsOf) -> None:
    cw = results_of({"mnist": {"cw": minimum([0.3, 0.6, 0.05, 0.0], [True, True, False, True])}})
    assert distances(cw).tolist() == [0.3, 0.6, INF, 0.0], "what did not succeed has no distance"
    table = robust_accuracies(cw, [0.29, 0.3, 0.6, 1e9])
    assert table.mean().tolist() == [0.75, 0.5, 0.25, 0.25], "a distance equal to the radius is within it"
    assert radii(cw) == []


def test_a_decision_based_attack_answers_for_every_radius_by_its_distance(results_of: ResultsOf) -> None:
    """Its success is that at its own radius; it went on to smaller perturbations, or stopped at larger ones."""
    threat = {"family": "decision_based", "norm": "linf", "radius": 0.2, "distance": "smallest"}
    columns = {"smallest": [0.1, 0.3, NONE, 0.5], "success": [True, False, False, True]}
    ran = {"columns": columns, "labels": threat, "correct": CORRECT}
    rays = results_of({"mnist": {"rays": ran}})
    assert distances(rays).tolist() == [0.1, 0.3, INF, 0.0]
    assert robust_at(rays, 0.2).tolist() == [False, True, True, False]
    assert robust_at(rays, 0.3).tolist() == [False, False, True, False]
    assert robust_at(rays, 0.05).tolist() == [True, True, True, False]


def test_fewer_restarts_count_only_what_they_found(results_of: ResultsOf) -> None:
    pgd = results_of({"mnist": {"pgd": fixed(0.1, [True, True, False, True], [1, 5, -1, 1])}})
    assert robust_at(pgd, 0.1, restarts=1).tolist() == [False, True, True, False]
    assert robust_at(pgd, 0.1, restarts=4).tolist() == [False, True, True, False]
    assert robust_at(pgd, 0.1, restarts=5).tolist() == [False, False, True, False]
    assert robust_at(pgd, 0.1).tolist() == [False, False, True, False]


def test_fewer_restarts_of_a_minimum_norm_attack_have_their_own_distance(results_of: ResultsOf) -> None:
    ran = minimum([0.1, 0.2, 0.4, 0.0], [True] * 4, l2_after_1=[0.3, 0.2, NONE, 0.0])
    fab = results_of({"mnist": {"fab": ran}})
    assert distances(fab, restarts=1).tolist() == [0.3, 0.2, INF, 0.0]
    assert distances(fab).tolist() == [0.1, 0.2, 0.4, 0.0]
    assert robust_at(fab, 0.25, restarts=1).tolist() == [True, False, True, False]


def test_of_several_step_sizes_the_strongest_counts_at_each_radius(results_of: ResultsOf) -> None:
    """The images of one step size are taken, not those that any of them breaks."""
    pgd = results_of(
        {
            "mnist": {
                "small-1": fixed(0.1, [True, True, False, True], step=0.01),
                "large-1": fixed(0.1, [False, False, True, True], step=0.1),
                "small-2": fixed(0.2, [False, False, True, True], step=0.01),
                "large-2": fixed(0.2, [True, False, True, True], step=0.1),
            }
        }
    )
    for radius, step, withstand in (
        (0.1, 0.01, [False, False, True, False]),
        (0.2, 0.1, [False, True, False, False]),
    ):
        procedure, robust = strongest_at(pgd, radius)
        assert procedure.label("step") == step
        assert robust.tolist() == withstand


def test_the_strongest_step_size_depends_on_the_restarts(results_of: ResultsOf) -> None:
    pgd = results_of(
        {
            "mnist": {
                "small": fixed(0.1, [True, False, False, True], [1, -1, -1, 1], step=0.01),
                "large": fixed(0.1, [True, True, True, True], [9, 9, 9, 9], step=0.1),
            }
        }
    )
    assert strongest_at(pgd, 0.1, restarts=1)[0].label("step") == 0.01
    assert strongest_at(pgd, 0.1)[0].label("step") == 0.1


def test_the_mean_distance_is_over_found_perturbations() -> None:
    sizes = np.array([[1.0, INF], [3.0, NONE], [INF, INF]])
    np.testing.assert_array_equal(mean_distance(sizes), [2.0, INF])
