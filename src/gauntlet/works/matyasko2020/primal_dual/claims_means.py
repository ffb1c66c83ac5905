"""Claims about the mean size of the perturbations that attacks find (Tables 5.1 and 5.5).

Images are resampled, the same for all attacks on a model.
"""

from __future__ import annotations

import numpy as np

from gauntlet.analysis import comparisons
from gauntlet.analysis.bootstrap import Estimate, bootstrap
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import share
from gauntlet.analysis.results import Results
from gauntlet.analysis.robustness import mean_distance
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most, not_testable
from gauntlet.works.matyasko2020.primal_dual.claims import rank
from gauntlet.works.matyasko2020.primal_dual.columns import (
    NORMS,
    OURS,
    Column,
    minimizers_of,
    models_of,
    run_of,
    sizes_of,
    title,
    with_rivals,
)

TRAINED = ["linf-AT", "l2-AT"]
MASKED = {"data": "MNIST", "model": "linf-AT"}
"""The model on which gradients are masked."""


def _means(inputs: ArtefactInputs, results: Results, norm: str) -> dict[str, Column]:
    """Return the columns of the tables of mean norms that were run, by attack."""
    return {each.attack: each for each in run_of(minimizers_of(inputs, norm), results)}


def _estimate(inputs: ArtefactInputs, results: Results, norm: str, names: list[str]) -> Estimate:
    columns = _means(inputs, results, norm)
    return bootstrap(mean_distance, sizes_of(results, [columns[name] for name in names]))


def _smallest(inputs: ArtefactInputs, results: Results, norm: str) -> Verdict:
    """Judge whether the primal-dual attack has the smallest mean of all."""
    names = list(_means(inputs, results, norm))
    estimate = _estimate(inputs, results, norm, names)
    verdict = comparisons.lowest(f"{title(results, norm)}, mean", estimate, names, OURS[norm])
    return with_rivals(verdict, minimizers_of(inputs, norm), results)


def _ordered(inputs: ArtefactInputs, results: Results, norm: str, *names: str) -> Verdict:
    """Judge whether means rise (or stay) in the given order."""
    present = [name for name in names if name in _means(inputs, results, norm)]
    if len(present) < 2:
        return not_testable(
            f"{title(results, norm)}: fewer than two of {', '.join(names)} run at this scale."
        )
    estimate = _estimate(inputs, results, norm, present)
    verdict = comparisons.ordered(f"{title(results, norm)}, means", estimate, present)
    ranked = [each for each in minimizers_of(inputs, norm) if each.attack in names]
    return with_rivals(verdict, ranked, results)


def _over_bb(inputs: ArtefactInputs, results: Results, bound: float) -> Verdict:
    """Judge whether PDPGD changes at most so many times the pixels of B&B on average."""
    if "B&B" not in _means(inputs, results, "l0"):
        return not_testable(f"{title(results, 'l0')}: B&B not run at this scale.")
    ratio = _estimate(inputs, results, "l0", ["PDPGD", "B&B"]).map(lambda means: means[0] / means[1])
    return at_most(f"{title(results, 'l0')}: mean of PDPGD over that of B&B", ratio.interval(), bound)


def the_primal_dual_attack_has_the_smallest_norms(inputs: ArtefactInputs) -> Verdict:
    """The primal-dual attack has the smallest mean norm in {norm} on every model."""
    return all_of(_smallest(inputs, results, inputs.settings["norm"]) for results in models_of(inputs))


def pdpgd_is_the_best_l1_attack(inputs: ArtefactInputs) -> Verdict:
    """PDPGD has the smallest mean l1 norm everywhere; on MNIST linf-AT more than {gain} of the runner-up's is saved."""
    (masked,) = models_of(inputs, **MASKED)
    others = [name for name in _means(inputs, masked, "l1") if name != "PDPGD"]
    estimate = _estimate(inputs, masked, "l1", ["PDPGD", *others])
    return all_of(
        (_smallest(inputs, results, "l1") for results in models_of(inputs)),
        above(
            f"{title(masked, 'l1')}: share by which PDPGD's mean is below the runner-up's",
            estimate.map(lambda means: 1 - means[0] / means[1:].min()).interval(),
            inputs.settings["gain"],
        ),
    )


def pdpgd_changes_half_of_the_pixels_of_bb(inputs: ArtefactInputs) -> Verdict:
    """On every CIFAR-10 model PDPGD changes at most half of the pixels that B&B changes, on average."""
    return all_of(_over_bb(inputs, results, 0.5) for results in models_of(inputs))


def pdpgd_is_best_in_l0_on_trained_mnist(inputs: ArtefactInputs) -> Verdict:
    """PDPGD has the smallest mean l0 on the trained MNIST models, and is at most {close} above B&B on the plain one."""
    (plain,) = models_of(inputs, data="MNIST", model="plain")
    return all_of(
        (_smallest(inputs, results, "l0") for results in models_of(inputs, model=TRAINED)),
        _over_bb(inputs, plain, 1 + inputs.settings["close"]),
    )


def pdgd_is_the_best_l2_attack(inputs: ArtefactInputs) -> Verdict:
    """PDGD has the smallest mean l2 norm everywhere and gains most over FAB on MNIST linf-AT.

    There one run of it also leaves fewer images than one run of FAB, B&B and DDN.
    """
    (masked,) = models_of(inputs, **MASKED)
    others = [each for each in models_of(inputs) if title(each, "l2") != title(masked, "l2")]
    pairs = []
    for results in (masked, *others):
        columns = _means(inputs, results, "l2")
        pairs.append(sizes_of(results, [columns["PDGD"], columns["FAB"]]))
    gains = bootstrap(
        lambda *samples: np.array([1 - np.divide(*mean_distance(sample)) for sample in samples]), *pairs
    )
    listed = ", ".join(f"{100 * gain:.1f}" for gain in gains.value)
    return all_of(
        (_smallest(inputs, results, "l2") for results in (masked, *others)),
        comparisons.holds(
            f"gains over FAB in percent, MNIST linf-AT first, {listed}: the first is largest",
            gains,
            lambda gain: gain[0] > gain[1:].max(),
        ),
        rank(inputs, masked),
    )


def ead_is_as_strong_as_fab_in_l1(inputs: ArtefactInputs) -> Verdict:
    """On CIFAR-10 linf-AT in l1 EAD leaves at no radius more images than FAB-100, and its mean is not larger."""
    return all_of(rank(inputs, inputs.results), _ordered(inputs, inputs.results, "l1", "EAD", "FAB"))


def deepfool_is_weakest_on_trained_models(inputs: ArtefactInputs) -> Verdict:
    """On every adversarially trained model DeepFool's mean in linf and in l2 is above {clear} times the next."""
    parts = []
    for results in models_of(inputs, model=TRAINED):
        for norm in ("linf", "l2"):
            others = [name for name in _means(inputs, results, norm) if name != "DF"]
            means = _estimate(inputs, results, norm, ["DF", *others])
            ratio = means.map(lambda each: each[0] / each[1:].max()).interval()
            name = f"{title(results, norm)}: mean of DeepFool over the largest other"
            verdict = above(name, ratio, inputs.settings["clear"])
            parts.append(with_rivals(verdict, minimizers_of(inputs, norm), results))
    return all_of(parts)


def linf_trained_mnist_masks_its_gradients(inputs: ArtefactInputs) -> Verdict:
    """On MNIST linf-AT l2 DeepFool and SparseFool fail on more than {clear} of the images.

    Every other attack that minimizes the norm fails on at most {rare}.
    """
    (results,) = models_of(inputs, **MASKED)
    parts = []
    for norm in NORMS:
        for each in run_of(minimizers_of(inputs, norm), results):
            failed = share(~np.isfinite(each.sizes(results)[results.correct.to_numpy()]))
            name = f"{norm} {each.attack} fails on"
            if (norm, each.attack) in (("l2", "DF"), ("l1", "SparseFool")):
                parts.append(above(name, failed, inputs.settings["clear"]))
            else:
                parts.append(at_most(name, failed, inputs.settings["rare"]))
    return all_of(parts)


def l2_means_rise_in_order(inputs: ArtefactInputs) -> Verdict:
    """Mean l2 norms rise (or stay) in the order of the attacks: {orders}."""
    return all_of(
        _ordered(inputs, results, "l2", *names)
        for model, orders in inputs.settings["orders"].items()
        for results in models_of(inputs, model=model)
        for names in orders
    )


def linf_trained_mnist_is_less_robust_in_l1_and_l0(inputs: ArtefactInputs) -> Verdict:
    """MNIST linf-AT needs smaller perturbations than l2-AT in l1 (by EAD) and l0 (by PDPGD), on average."""
    (weak,), (strong,) = (models_of(inputs, data="MNIST", model=model) for model in TRAINED)
    parts = []
    for norm, name in (("l1", "EAD"), ("l0", "PDPGD")):
        sizes = [_means(inputs, results, norm)[name].sizes(results) for results in (strong, weak)]
        difference = bootstrap(lambda pair: mean_distance(pair[0]) - mean_distance(pair[1]), sizes)
        parts.append(above(f"MNIST, {norm}, mean of {name}: l2-AT minus linf-AT", difference.interval()))
    return all_of(parts)
