"""Claims of chapter 6 about methods of training (chen2021, sections 6.3 to 6.5, 6.7.4 and 6.7.5)."""

from __future__ import annotations

import pandas as pd

from gauntlet.analysis.bootstrap import paired_difference
from gauntlet.analysis.comparisons import more_often
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import paired_share_difference
from gauntlet.analysis.training_cost import TrainingCost, if_costs_compare, training_cost
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most, within
from gauntlet.works.chen2021.boundary import boundary_distances
from gauntlet.works.chen2021.smoothing.accuracy import BACKWARD, FAST, accuracies, by_method, withstands


def trades_leaves_fast_forms_far_behind(inputs: ArtefactInputs) -> Verdict:
    """TRADES is more robust than AT; Fast TRADES makes up less than half of the points that Fast AT lacks to TRADES."""
    robust = by_method(inputs.results)
    gap = accuracies([robust[name] for name in ("Fast AT", "Fast TRADES", "TRADES")]).map(
        lambda each: (each[2] - each[1]) - (each[1] - each[0])
    )
    return all_of(
        _more(robust, "TRADES", "AT"),
        _more(robust, "TRADES", "Fast AT"),
        above("points from Fast TRADES to TRADES less those from Fast AT to Fast TRADES", gap.interval()),
    )


def backward_smoothing_is_the_most_robust_fast_method(inputs: ArtefactInputs) -> Verdict:
    """On each data set Backward Smoothing is more robust than each other method of one or two steps."""
    return all_of(_above_fast(by_method(found), data) for data, found in inputs.results.groups("data"))


def backward_smoothing_keeps_up_with_slow_methods(inputs: ArtefactInputs) -> Verdict:
    """On each data set Backward Smoothing is at most {points} points less robust than TRADES, and more than AT."""
    parts = []
    for data, found in inputs.results.groups("data"):
        robust = by_method(found)
        parts += [_hardly_less(robust, inputs, data), _more(robust, BACKWARD, "AT", data)]
    return all_of(parts)


def backward_smoothing_takes_a_third_of_the_time_of_trades(inputs: ArtefactInputs) -> Verdict:
    """TRADES takes 2 to 4 times as long as Backward Smoothing, which takes 0.8 to 1.25 times as long as Fast TRADES
    in two steps; GradAlign takes more than twice as long as Fast AT.
    """
    parts = []
    for data in sorted({model.labels["data"] for model in inputs.models}):
        costs = _costs(inputs, data)
        backward, two_steps = costs[BACKWARD], costs["Fast TRADES (2-step)"]
        timed = [
            _ratio(f"TRADES over {BACKWARD}, {data}", costs["TRADES"], backward, (2.0, 4.0)),
            _ratio(f"{BACKWARD} over Fast TRADES in two steps, {data}", backward, two_steps, (0.8, 1.25)),
        ]
        if "Fast AT (GradAlign)" in costs:
            ratio = costs["Fast AT (GradAlign)"].time_over(costs["Fast AT"])
            timed.append(above(f"time of GradAlign over Fast AT, {data}", ratio, 2.0))
        parts.append(if_costs_compare(costs.values(), all_of(timed)))
    return all_of(parts)


def cyclic_rates_keep_the_ratio_of_times(inputs: ArtefactInputs) -> Verdict:
    """TRADES takes 2 to 4.5 times as long as Backward Smoothing."""
    costs = _costs(inputs, "CIFAR-10")
    verdict = _ratio(f"TRADES over {BACKWARD}", costs["TRADES"], costs[BACKWARD], (2.0, 4.5))
    return if_costs_compare(costs.values(), verdict)


def backward_smoothing_is_below_trades_on_a_wide_network(inputs: ArtefactInputs) -> Verdict:
    """Under AutoAttack and RayS TRADES is more robust than Backward Smoothing, and that than AT and Fast AT.

    The mean distance to the decision boundary differs by at most {distance} between TRADES and Backward Smoothing.
    """
    parts = []
    for attack in ("AutoAttack", "RayS"):
        robust = {
            method: withstands(found)
            for method, found in inputs.results.where(attack=attack).groups("method")
        }
        parts += [
            _more(robust, more, less, attack)
            for more, less in (("TRADES", BACKWARD), (BACKWARD, "AT"), (BACKWARD, "Fast AT"))
        ]
    trades, backward = (
        boundary_distances(inputs.results.one(attack="RayS", method=method))
        for method in ("TRADES", BACKWARD)
    )
    reach = float(inputs.settings["distance"])
    gap = paired_difference(trades, backward)
    return all_of(
        *parts, within("mean distance to the boundary, TRADES less its rival", gap, (-reach, reach))
    )


def cyclic_rates_keep_the_order(inputs: ArtefactInputs) -> Verdict:
    """Backward Smoothing is at most {points} points less robust than TRADES, and more than AT and the fast methods."""
    robust = by_method(inputs.results)
    return all_of(_hardly_less(robust, inputs), _more(robust, BACKWARD, "AT"), _above_fast(robust))


def a_smaller_radius_keeps_the_order(inputs: ArtefactInputs) -> Verdict:
    """Backward Smoothing is at most {points} points less robust than TRADES, and more than AT and the fast methods."""
    robust = by_method(inputs.results, inputs.settings["ball"])
    return all_of(_hardly_less(robust, inputs), _more(robust, BACKWARD, "AT"), _above_fast(robust))


def a_larger_radius_sets_fast_methods_back(inputs: ArtefactInputs) -> Verdict:
    """Backward Smoothing is more robust than each other fast method, and less than AT and than TRADES."""
    robust = by_method(inputs.results, inputs.settings["ball"])
    return all_of(_above_fast(robust), *(_more(robust, slow, BACKWARD) for slow in ("AT", "TRADES")))


def the_start_alone_is_weaker_than_a_step(inputs: ArtefactInputs) -> Verdict:
    """On each data set Fast TRADES is more robust than the start of Backward Smoothing alone."""
    return all_of(
        _more(by_method(found), "Fast TRADES", f"{BACKWARD} Alone", data)
        for data, found in inputs.results.groups("data")
    )


def starts_towards_random_answers_beat_diversified_ones(inputs: ArtefactInputs) -> Verdict:
    """Robust accuracy rises from ODI (PGD) over Fast AT to BS (PGD), and from Fast TRADES over ODI (TRADES) to BS."""
    robust = by_method(inputs.results)
    rising = (
        ("ODI (PGD)", "Fast AT", f"{BACKWARD} (PGD)"),
        ("Fast TRADES", "ODI (TRADES)", BACKWARD),
    )
    return all_of(
        [
            _more(robust, high, low)
            for low, middle, top in rising
            for low, high in ((low, middle), (middle, top))
        ]
    )


def _more(robust: dict[str, pd.Series], more: str, less: str, where: str = "") -> Verdict:
    """Decide whether one method is more robust than another."""
    return more_often(
        f"robust accuracy, {more} less {less}{where and f', {where}'}", robust[more], robust[less]
    )


def _above_fast(robust: dict[str, pd.Series], where: str = "") -> Verdict:
    """Decide whether Backward Smoothing is more robust than each other fast method that was trained."""
    return all_of([_more(robust, BACKWARD, rival, where) for rival in FAST if rival in robust])


def _hardly_less(robust: dict[str, pd.Series], inputs: ArtefactInputs, where: str = "") -> Verdict:
    """Decide whether Backward Smoothing is at most some points less robust than TRADES."""
    gap = paired_share_difference(robust["TRADES"], robust[BACKWARD]).scaled(100)
    name = f"robust accuracy, TRADES less {BACKWARD}{where and f', {where}'}, points"
    return at_most(name, gap, float(inputs.settings["points"]))


def _costs(inputs: ArtefactInputs, data: str) -> dict[str, TrainingCost]:
    """Return what the trainings on a data set took, by method."""
    return {model.labels["method"]: training_cost(model) for model in inputs.models_where(data=data)}


def _ratio(name: str, first: TrainingCost, second: TrainingCost, between: tuple[float, float]) -> Verdict:
    return within(f"time of {name}", first.time_over(second), between)
