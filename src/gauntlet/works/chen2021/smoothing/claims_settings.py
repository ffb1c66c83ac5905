"""Claims of chapter 6 about settings of Backward Smoothing (chen2021, sections 6.5 and 6.7)."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from gauntlet.analysis.comparisons import more_often
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import paired_share_difference
from gauntlet.analysis.results import Results
from gauntlet.analysis.training_cost import if_costs_compare, training_cost
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most, within
from gauntlet.works.chen2021.smoothing.accuracy import accuracies, by_setting, withstands


def longer_steps_than_the_radius_collapse(inputs: ArtefactInputs) -> Verdict:
    """On each data set natural and robust accuracy at {long} are more than {collapse} points below those at {usual}.

    At shorter steps of {short} robust accuracy differs from that at {usual} by at most {alike} points.
    """
    settings, parts = inputs.settings, []
    usual, long = settings["usual"], settings["long"]
    for data, found in _by_data(inputs):
        robust = {setting: withstands(attack) for setting, attack in found.items()}
        for name, least, most in (
            ("robust", robust[long], robust[usual]),
            ("natural", found[long].correct, found[usual].correct),
        ):
            what = f"{name} accuracy, {usual} less {long}, {data}"
            parts.append(more_often(what, most, least, points=settings["collapse"]))
        for short in settings["short"]:
            if short in robust:
                parts.append(_alike(robust, short, usual, float(settings["alike"]), data))
    return all_of(parts)


def more_random_points_gain_little(inputs: ArtefactInputs) -> Verdict:
    """With {many} random points robust accuracy is at most {points} points higher than with one; it takes over twice
    as long.
    """
    settings = inputs.settings
    ((_, found),) = _by_data(inputs)
    many, one = (found[settings[name]] for name in ("many", "usual"))
    gain = paired_share_difference(withstands(many), withstands(one)).scaled(100)
    costs = [training_cost(inputs.model(model=each.label("model"))) for each in (many, one)]
    longer = above("time with many points over that with one", costs[0].time_over(costs[1]), 2.0)
    return all_of(
        at_most("robust accuracy, many points less one, points", gain, float(settings["points"])),
        if_costs_compare(costs, longer),
    )


def the_size_of_random_points_matters_little(inputs: ArtefactInputs) -> Verdict:
    """On each data set the highest and the lowest robust accuracy over gamma differ by at most {points} points."""
    parts = []
    for data, found in _by_data(inputs):
        width = accuracies([withstands(attack) for attack in found.values()]).map(
            lambda each: each.max() - each.min()
        )
        name = f"robust accuracy, highest less lowest of {len(found)}, {data}, points"
        parts.append(at_most(name, width.interval(), float(inputs.settings["points"])))
    return all_of(parts)


def a_larger_beta_costs_natural_accuracy(inputs: ArtefactInputs) -> Verdict:
    """On each data set natural accuracy is lower at {usual} than at {lowest} and robust accuracy is higher.

    At {highest} robust accuracy differs from that at {usual} by at most {points} points.
    """
    settings, parts = inputs.settings, []
    usual, lowest, highest = (settings[name] for name in ("usual", "lowest", "highest"))
    for data, found in _by_data(inputs):
        robust = {setting: withstands(attack) for setting, attack in found.items()}
        parts += [
            more_often(
                f"natural accuracy, beta {lowest:g} less {usual:g}, {data}",
                found[lowest].correct,
                found[usual].correct,
            ),
            more_often(
                f"robust accuracy, beta {usual:g} less {lowest:g}, {data}", robust[usual], robust[lowest]
            ),
        ]
        if highest in robust:
            parts.append(_alike(robust, highest, usual, float(settings["points"]), data))
    return all_of(parts)


def _by_data(inputs: ArtefactInputs) -> Iterator[tuple[str, dict[object, Results]]]:
    """Yield each data set that was trained on, with its networks by setting."""
    for data, found in inputs.results.groups("data"):
        yield data, by_setting(found, inputs.settings["usual"])


def _alike(
    robust: dict[object, pd.Series], first: object, second: object, points: float, data: str
) -> Verdict:
    """Decide whether the robust accuracy of one setting is at most some points from another's."""
    gap = paired_share_difference(robust[first], robust[second]).scaled(100)
    return within(f"robust accuracy, {first} less {second}, {data}, points", gap, (-points, points))
