"""Claims of chapter 3 about the strength C of the penalty (Figures 3.4 and 3.5), and about trainings that fail."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from gauntlet.analysis.bootstrap import Estimate, bootstrap_means_over_seeds
from gauntlet.analysis.comparisons import holds
from gauntlet.analysis.inputs import ArtefactInputs, TrainedModel
from gauntlet.analysis.intervals import share
from gauntlet.analysis.relative_robustness import relative_sizes
from gauntlet.analysis.verdicts import Verdict, above, all_of, not_testable
from gauntlet.works.matyasko2020.margin.runs import RHO, jointly, recipes


def robustness_of_lenet_grows_with_the_strength(inputs: ArtefactInputs) -> Verdict:
    """The rank correlation of C and the mean rho of LeNet-5 is above {correlation}."""
    strengths, rho = _curve(inputs)
    if len(strengths) < 5:
        return not_testable(f"{len(strengths)} values of C are no curve.")
    found = rho.map(lambda values: spearmanr(strengths, values).statistic)
    return above(
        f"rank correlation over {len(strengths)} values of C",
        found.interval(),
        inputs.settings["correlation"],
    )


def robustness_of_the_mlp_is_inflated_at_moderate_strengths(inputs: ArtefactInputs) -> Verdict:
    """With C in {moderate} the largest rho by DeepFool is above {factor} times that with C = {chosen}.

    By Carlini and Wagner's attack the same ratio is smaller.
    """
    low, high = inputs.settings["moderate"]
    ratios = {}
    for attack in ("DeepFool", "C&W"):
        found = inputs.results.where(attack=attack)
        strengths = [float(value) for value in found.values("strength")]
        if inputs.settings["chosen"] not in strengths or not any(low <= value <= high for value in strengths):
            return not_testable("The strengths that the claim compares were not trained at this scale.")
        inside = np.array([low <= value <= high for value in strengths])
        chosen = strengths.index(inputs.settings["chosen"])
        rho = bootstrap_means_over_seeds(np.stack([_sizes(inputs, attack, value) for value in strengths], 2))
        ratios[attack] = rho.map(partial(_lead, inside=inside, chosen=chosen))
    # Both attacks meet the same images, drawn by the same seed.
    both = Estimate(
        np.stack([each.value for each in ratios.values()]),
        np.stack([each.replicates for each in ratios.values()], 1),
    )
    return all_of(
        above(
            "DeepFool: largest rho over that at the chosen C",
            ratios["DeepFool"].interval(),
            inputs.settings["factor"],
        ),
        holds(
            f"the ratio is {both.value[0]:.3g} by DeepFool and smaller, {both.value[1]:.3g}, by C&W",
            both,
            lambda pair: pair[1] < pair[0],
        ),
    )


def the_chosen_strengths_have_the_lowest_validation_error(inputs: ArtefactInputs) -> Verdict:
    """The C with the lowest mean validation error lies in {mlp} for the MLP and in {lenet} for LeNet-5."""
    parts = []
    for kind, name in (("mlp", "MLP"), ("lenet", "LeNet-5")):
        low, high = inputs.settings[kind]
        models = inputs.models_where(kind=kind)
        strengths = sorted({float(model.labels["strength"]) for model in models})
        if not any(low <= value <= high for value in strengths) or len(strengths) < 5:
            parts.append(not_testable(f"{name}: too few values of C were trained at this scale."))
            continue
        errors = [
            [_validation_error(model) for model in models if float(model.labels["strength"]) == value]
            for value in strengths
        ]
        fewest = min(map(len, errors))
        runs = np.array([each[:fewest] for each in errors]).T
        estimate = bootstrap_means_over_seeds(runs[:, None, :])
        best = strengths[int(estimate.value.argmin())]
        inside = np.array([low <= value <= high for value in strengths])
        if fewest < 2:
            parts.append(not_testable(f"{name}: one training for each C."))
        else:
            parts.append(
                holds(
                    f"{name}: the lowest validation error is that of C = {best:g}",
                    estimate,
                    partial(_lowest_in, inside),
                )
            )
    return all_of(parts)


def some_trainings_fail(inputs: ArtefactInputs) -> Verdict:
    """Of the trainings some diverge, or end with more than {error} % errors on test images."""
    if not inputs.models:
        return not_testable("No such training at this scale.")
    bound = inputs.settings["error"]
    failed = [
        "diverged_at_epoch" in model.manifest or 100 * (1 - model.manifest["test_accuracy"]) > bound
        for model in inputs.models
    ]
    return above(f"share of {len(failed)} trainings that fail", share(np.array(failed)))


def _lead(values: NDArray[np.float64], inside: NDArray[np.bool_], chosen: int) -> float:
    return float(values[inside].max() / values[chosen])


def _lowest_in(inside: NDArray[np.bool_], values: NDArray[np.float64]) -> bool:
    return bool(inside[values.argmin()])


def _curve(inputs: ArtefactInputs) -> tuple[list[float], Estimate]:
    """Return the strengths, ascending, and the mean rho at each."""
    found = sorted(recipes(inputs, "strength"), key=lambda each: float(each.results.label("strength")))
    return [float(each.results.label("strength")) for each in found], jointly(found, RHO)


def _sizes(inputs: ArtefactInputs, attack: str, strength: float) -> NDArray[np.float64]:
    """Return ||r||/||x|| by an attack at a strength, ``[runs, images]``; NaN for misclassified images."""
    chosen = inputs.results.where(strength=strength)
    rows = []
    for _, results in chosen.groups("evaluation"):
        sizes = relative_sizes(results.one(attack=attack), results.one(attack="none"))
        rows.append(np.asarray(sizes.where(results.correct), dtype=np.float64))
    return np.stack(rows)


def _validation_error(model: TrainedModel) -> float:
    return 100 * (1 - float(model.history["validation_accuracy"].dropna().iloc[-1]))
