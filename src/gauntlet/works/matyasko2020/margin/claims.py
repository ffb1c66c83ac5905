"""Claims of chapter 3 about defences on MNIST (Table 3.1) and on CIFAR-10 (Table 3.2).

Trainings and images are resampled, the same ones for all defences on a network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gauntlet.analysis.bootstrap import Estimate
from gauntlet.analysis.comparisons import SAME, holds
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most, by_construction, not_testable
from gauntlet.works.matyasko2020.margin.runs import (
    ERROR,
    FGSM,
    LENET,
    MLP,
    NETWORKS,
    RHO,
    Recipe,
    jointly,
    recipe,
)

MARGINS = ("margin_l1", "margin_l2")


def margin_and_vat_reduce_overfitting(inputs: ArtefactInputs) -> Verdict:
    """On the MLP the clean errors of VAT and both margins are below those of AT, of dropout and of no defence."""
    better, others = ("VAT", *MARGINS), ("AT", "dropout", "none")
    return _compare(
        inputs,
        MLP,
        ERROR,
        (*better, *others),
        lambda e: e[: len(better)].max() < e[len(better) :].min() - SAME,
    )


def adversarial_training_is_best_on_fgsm(inputs: ArtefactInputs) -> Verdict:
    """On both networks AT has the lowest error under FGSM of all defences of the table."""
    return all_of(_at_is_lowest(inputs, network) for network in NETWORKS)


def adversarial_training_is_less_robust_than_margins(inputs: ArtefactInputs) -> Verdict:
    """On both networks rho of AT is below that of both margins; on the MLP theirs is {ratio} times as large or more."""
    ratio = inputs.settings["ratio"]
    parts = [
        _compare(inputs, network, RHO, ("AT", *MARGINS), lambda rho: rho[0] < rho[1:].min() - SAME)
        for network in NETWORKS
    ]
    found = _rows(inputs, MLP, ("AT", *MARGINS))
    if isinstance(found, Verdict):
        return all_of(*parts, found)
    smallest = jointly(found, RHO).map(lambda rho: rho[1:].min() / rho[0]).interval()
    return all_of(*parts, above(f"{MLP}: smaller margin's rho over that of AT", smallest, ratio))


def undefended_networks_collapse_under_fgsm(inputs: ArtefactInputs) -> Verdict:
    """Without defence FGSM leads to errors above {mlp} % on the MLP and above {lenet} % on LeNet-5."""
    parts = []
    for network, bound in ((MLP, inputs.settings["mlp"]), (LENET, inputs.settings["lenet"])):
        found = recipe(inputs, model=network, defence="none")
        if found is None:
            parts.append(_absent(network, ["none"]))
            continue
        interval = found.estimate((FGSM,)).map(lambda error: error[0]).interval()
        parts.append(above(f"{network} without defence, FGSM error in percent", interval, bound))
    return all_of(parts)


def lenet_is_more_robust_than_the_mlp(inputs: ArtefactInputs) -> Verdict:
    """Without defence LeNet-5 has the larger rho and the lower error under FGSM."""
    found = [recipe(inputs, model=network, defence="none") for network in (LENET, MLP)]
    if None in found:
        return _absent("one of the networks", ["none"])
    both = [each for each in found if each is not None]
    return all_of(
        _judged("rho of LeNet-5 and the MLP", jointly(both, RHO), lambda rho: rho[0] > rho[1] + SAME),
        _judged("FGSM error of LeNet-5 and the MLP", jointly(both, FGSM), lambda e: e[0] < e[1] - SAME),
    )


def l1_margin_beats_l2_margin_on_fgsm(inputs: ArtefactInputs) -> Verdict:
    """On both networks the l1 margin has the lower error under FGSM than the l2 margin."""
    return all_of(
        _compare(inputs, network, FGSM, MARGINS, lambda error: error[0] < error[1] - SAME)
        for network in NETWORKS
    )


def l1_margin_has_the_largest_rho(inputs: ArtefactInputs) -> Verdict:
    """On both networks rho of the l1 margin is above that of the l2 margin.

    On the MLP rho of VAT exceeds it by no more than two standard deviations between trainings of the l1 margin.
    """
    parts = [
        _compare(inputs, network, RHO, MARGINS, lambda rho: rho[0] > rho[1] + SAME) for network in NETWORKS
    ]
    found = _rows(inputs, MLP, ("VAT", "margin_l1"))
    if isinstance(found, Verdict):
        return all_of(*parts, found)
    spread = found[1].spread(RHO)
    if np.isnan(spread):
        return all_of(*parts, not_testable(f"{MLP}: one training has no spread."))
    lead = jointly(found, RHO).map(lambda rho: rho[0] - rho[1]).interval()
    return all_of(*parts, at_most(f"{MLP}: rho of VAT minus l1", lead, 2 * spread))


def defended_networks_keep_weak_images(inputs: ArtefactInputs) -> Verdict:
    """Of every defended network some images have ||r||/||x|| of at most {weak}; of the MLP's margins some {strong}."""
    weak, strong = inputs.settings["weak"], inputs.settings["strong"]
    parts = []
    for network, defences in ((MLP, ("AT", "VAT", *MARGINS)), (LENET, ("AT", *MARGINS))):
        found = _rows(inputs, network, defences)
        if isinstance(found, Verdict):
            parts.append(found)
            continue
        for each in found:
            name = f"{network}, {each.label('defence')}"
            parts.append(_some(f"{name}: images at most {weak:g}", each, lambda sizes: sizes <= weak))
            if network == MLP and each.label("defence") in MARGINS:
                parts.append(_some(f"{name}: images above {strong:g}", each, lambda sizes: sizes > strong))
    return all_of(parts)


def adversarial_training_overfits_its_attack(inputs: ArtefactInputs) -> Verdict:
    """On both networks AT has the lowest error under FGSM, and a rho below that of both margins."""
    return all_of(
        [_at_is_lowest(inputs, network) for network in NETWORKS],
        [
            _compare(inputs, network, RHO, ("AT", *MARGINS), lambda rho: rho[0] < rho[1:].min() - SAME)
            for network in NETWORKS
        ],
    )


def margins_raise_robustness_on_cifar_10(inputs: ArtefactInputs) -> Verdict:
    """Every margin row has a lower error under FGSM and a larger rho than its reference: {pairs}."""
    parts = []
    for reference, margin in inputs.settings["pairs"]:
        found = _nin(inputs, reference, margin)
        if isinstance(found, Verdict):
            parts.append(found)
            continue
        parts.append(_judged(f"FGSM error, {reference} and {margin}", jointly(found, FGSM), _falls))
        parts.append(_judged(f"rho, {reference} and {margin}", jointly(found, RHO), _rises))
    return all_of(parts)


def margins_lower_the_clean_error_without_augmentation_alone(inputs: ArtefactInputs) -> Verdict:
    """The clean error falls from the reference to each margin row without augmentation, and rises with it.

    Falling: {falls}; rising: {rises}.
    """
    parts = []
    for pairs, statement in ((inputs.settings["falls"], _falls), (inputs.settings["rises"], _rises)):
        for reference, margin in pairs:
            found = _nin(inputs, reference, margin)
            parts.append(
                found
                if isinstance(found, Verdict)
                else _judged(f"clean error, {reference} and {margin}", jointly(found, ERROR), statement)
            )
    return all_of(parts)


def the_objective_bounds_the_robust_hinge(inputs: ArtefactInputs) -> Verdict:
    """Follows from (a + b)_+ <= a_+ + b_+ and the dual norm for a linear classifier, and else to first order."""
    return by_construction(
        "For a linear classifier the objective bounds the worst hinge loss in the ball, and meets it where the hinge "
        "is active (Table theorem-3-4-1, and a test of the defence). Of a network it is a first-order statement."
    )


def perturbations_of_margin_networks_look_meaningful(inputs: ArtefactInputs) -> Verdict:
    """Judged by eye on Figure 3.7; there is no number to judge."""
    return not_testable("To be judged by eye on Figure 3.7.")


def _falls(values: NDArray[np.float64]) -> bool:
    return bool(values[1] < values[0] - SAME)


def _rises(values: NDArray[np.float64]) -> bool:
    return bool(values[1] > values[0] + SAME)


def _at_is_lowest(inputs: ArtefactInputs, network: str) -> Verdict:
    others = ("none", "dropout", *(("VAT",) if network == MLP else ()), *MARGINS)
    return _compare(inputs, network, FGSM, ("AT", *others), lambda error: error[0] < error[1:].min() - SAME)


def _compare(
    inputs: ArtefactInputs,
    network: str,
    metric: str,
    defences: Sequence[str],
    statement: Callable[[NDArray[np.float64]], bool | np.bool_],
) -> Verdict:
    """Judge a statement about a metric of several defences on one network."""
    found = _rows(inputs, network, defences)
    if isinstance(found, Verdict):
        return found
    estimate = jointly(found, metric)
    listed = ", ".join(f"{name} {value:.4g}" for name, value in zip(defences, estimate.value, strict=True))
    return holds(f"{network}, {metric}: {listed}", estimate, statement)


def _judged(
    name: str, estimate: Estimate, statement: Callable[[NDArray[np.float64]], bool | np.bool_]
) -> Verdict:
    return holds(f"{name}: {', '.join(f'{value:.4g}' for value in estimate.value)}", estimate, statement)


def _rows(inputs: ArtefactInputs, network: str, defences: Sequence[str]) -> list[Recipe] | Verdict:
    """Return the recipes of a network's defences, or the verdict that one of them is missing."""
    found = {defence: recipe(inputs, model=network, defence=defence) for defence in defences}
    absent = [defence for defence, each in found.items() if each is None]
    return _absent(network, absent) if absent else [each for each in found.values() if each is not None]


def _nin(inputs: ArtefactInputs, *labels: str) -> list[Recipe] | Verdict:
    found = {label: recipe(inputs, row_label=label) for label in labels}
    absent = [label for label, each in found.items() if each is None]
    return _absent("NIN", absent) if absent else [each for each in found.values() if each is not None]


def _absent(network: str, names: Sequence[str]) -> Verdict:
    return not_testable(f"{network}: {', '.join(names)} not trained at this scale.")


def _some(name: str, each: Recipe, chosen: Callable[[NDArray[np.float64]], NDArray[np.bool_]]) -> Verdict:
    """Judge whether any image is of a kind; a single one suffices."""
    sizes = each.measured(RHO)
    share = float(np.mean(chosen(sizes[np.isfinite(sizes)])))
    return Verdict(
        "supported" if share > 0 else "contradicted",
        f"{name}: {100 * share:.3g} % of {np.isfinite(sizes).sum():,}.",
        {name: share},
    )
