"""Claims about robust accuracies and cost (Tables 5.2 to 5.4 and 5.6 to 5.8).

Images are resampled, the same for all attacks on a model.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gauntlet.analysis.bootstrap import bootstrap
from gauntlet.analysis.comparisons import SAME, holds
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import Interval, share
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most, equals, not_testable
from gauntlet.works.matyasko2020.primal_dual.columns import (
    NORMS,
    OURS,
    column,
    columns_of,
    models_of,
    radii_of,
    run_of,
    title,
    with_rivals,
)

HARDER = slice(1, None)
"""All radii but the smallest."""


def _robust(inputs: ArtefactInputs, results: Results, norm: str, name: str) -> NDArray[np.float64]:
    """Return whether each image withstands a column at each radius of the tables, 0 and 1, ``[N, radii]``."""
    return column(inputs, norm, name).robust(results, radii_of(results, norm)).astype(float)


def _lowest(inputs: ArtefactInputs, results: Results, norm: str, name: str, *, first: int = 0) -> Verdict:
    """Judge whether a column is lowest (or level with the lowest) at every radius from the number ``first``.

    Columns that are not the work's do not count.
    """
    printed = [each for each in columns_of(inputs, norm) if each.printed]
    columns = run_of(printed, results)
    ours = [each.name for each in columns].index(name)
    robust = np.stack([_robust(inputs, results, norm, each.name)[:, first:] for each in columns], 2)
    estimate = bootstrap(lambda sample: sample.mean(0), robust)
    leads = int((estimate.value[:, ours] <= estimate.value.min(1) + SAME).sum())
    verdict = holds(
        f"{title(results, norm)}: {name} lowest of {len(columns)} columns at {leads} of {len(estimate.value)} radii",
        estimate,
        lambda accuracy: (accuracy[:, ours] <= accuracy.min(1) + SAME).all(),
    )
    return with_rivals(verdict, printed, results)


def robust_ahead(
    inputs: ArtefactInputs,
    results: Results,
    norm: str,
    better: str,
    worse: str,
    *,
    radii: slice = slice(None),
    least: int | None = None,
    level: bool = False,
) -> Verdict:
    """Judge whether one column leaves fewer images than another.

    It must not be above the other at ``least`` radii (by default all), and be below it on average, or just not
    above it if ``level``.
    """
    both = [column(inputs, norm, name) for name in (better, worse)]
    absent = [each.name for each in both if not len(each.of(results))]
    if absent:
        return not_testable(f"{title(results, norm)}: {', '.join(absent)} not run at this scale.")
    gap = (_robust(inputs, results, norm, better) - _robust(inputs, results, norm, worse))[:, radii]
    estimate = bootstrap(lambda sample: sample.mean(0), gap)
    needed = gap.shape[1] if least is None else least
    edge = SAME if level else -SAME
    listed = ", ".join(f"{100 * value:+.1f}" for value in estimate.value)
    return holds(
        f"{title(results, norm)}: {better} minus {worse} in points {listed}",
        estimate,
        lambda points: (points <= SAME).sum() >= needed and points.mean() <= edge,
    )


def _gap(
    inputs: ArtefactInputs, results: Results, norm: str, higher: str, lower: str, radii: slice
) -> Interval:
    """Return by how much one column leaves more images than another, averaged over radii."""
    gap = _robust(inputs, results, norm, higher) - _robust(inputs, results, norm, lower)
    return bootstrap(np.mean, gap[:, radii]).interval()


def pdpgd_is_strongest_in_l1_on_linf_trained_mnist(inputs: ArtefactInputs) -> Verdict:
    """On MNIST linf-AT in l1 PDPGD-100 is lowest at every radius."""
    return _lowest(inputs, inputs.results, "l1", "PDPGD-100")


def one_run_of_pdpgd_beats_restarted_fab_in_l1(inputs: ArtefactInputs) -> Verdict:
    """On MNIST linf-AT in l1 PDPGD-1 leaves fewer images than FAB-10 at five radii and FAB-100 at four or more."""
    return all_of(
        robust_ahead(inputs, inputs.results, "l1", "PDPGD-1", "FAB-10"),
        robust_ahead(inputs, inputs.results, "l1", "PDPGD-1", "FAB-100", least=4),
    )


def pdpgd_needs_restarts_to_beat_ead_on_linf_trained_cifar_10(inputs: ArtefactInputs) -> Verdict:
    """On CIFAR-10 linf-AT in l1 PDPGD-100 is lowest, PDPGD-10 beats EAD and PDPGD-1 loses to it, at every radius."""
    return all_of(
        _lowest(inputs, inputs.results, "l1", "PDPGD-100"),
        robust_ahead(inputs, inputs.results, "l1", "PDPGD-10", "EAD"),
        robust_ahead(inputs, inputs.results, "l1", "EAD", "PDPGD-1"),
    )


def pdpgd_beats_ead_and_fab_on_l2_trained_cifar_10(inputs: ArtefactInputs) -> Verdict:
    """On CIFAR-10 l2-AT in l1 PDPGD-10 leaves fewer images than EAD and FAB-100 at the four larger radii."""
    return all_of(
        *(
            robust_ahead(inputs, inputs.results, "l1", "PDPGD-10", rival, radii=HARDER)
            for rival in ("EAD", "FAB-100")
        )
    )


def pdpgd_is_strongest_in_l0_on_linf_trained_cifar_10(inputs: ArtefactInputs) -> Verdict:
    """On CIFAR-10 linf-AT in l0 PDPGD-100 is lowest at every radius, and PDPGD-1 beats B&B at every one."""
    return all_of(
        _lowest(inputs, inputs.results, "l0", "PDPGD-100"),
        robust_ahead(inputs, inputs.results, "l0", "PDPGD-1", "B&B"),
    )


def the_pixel_attack_stalls(inputs: ArtefactInputs) -> Verdict:
    """The pixel attack beats PDPGD-1 at 1 and 3 pixels on CIFAR-10 linf-AT, but stalls from 5 pixels on.

    It stalls if from the third radius to the last it gains little and still leaves more than a tenth of the images,
    on both adversarially trained models.
    """
    linf_trained = inputs.results.where(model="linf-AT")
    parts = [robust_ahead(inputs, linf_trained, "l0", "Pixel", "PDPGD-1", radii=slice(0, 2))]
    for results in models_of(inputs):
        robust = _robust(inputs, results, "l0", "Pixel")
        gain = bootstrap(np.mean, robust[:, 2] - robust[:, 4]).interval()
        name = title(results, "l0")
        parts.append(at_most(f"{name}: gain of Pixel after 5 pixels", gain, inputs.settings["little"]))
        parts.append(above(f"{name}: left by Pixel", share(robust[:, 4]), inputs.settings["floor"]))
    return all_of(*parts)


def primal_dual_attacks_are_strongest_on_linf_trained_cifar_10(inputs: ArtefactInputs) -> Verdict:
    """On CIFAR-10 linf-AT the primal-dual attack is lowest in linf and l2 at all radii but the smallest."""
    return all_of(
        _lowest(inputs, inputs.results, "linf", "PDPGD-100", first=1),
        _lowest(inputs, inputs.results, "l2", "PDGD-100", first=1),
    )


def good_attacks_agree_at_the_smallest_radius(inputs: ArtefactInputs) -> Verdict:
    """On CIFAR-10 linf-AT at the smallest radius the good attacks differ by little.

    Good are C&W, DDN, FAB-100, PGD-100 and the primal-dual attacks with all restarts.
    """
    parts = []
    for norm, good in (
        ("linf", ("PGD-100", "FAB-100", "PDPGD-100")),
        ("l2", ("C&W", "DDN", "PGD-100", "FAB-100", "PDGD-100")),
    ):
        robust = np.stack([_robust(inputs, inputs.results, norm, name)[:, 0] for name in good], 1)
        spread = bootstrap(lambda sample: np.ptp(sample.mean(0)), robust).interval()
        name = f"{title(inputs.results, norm)}: spread at the smallest radius"
        parts.append(at_most(name, spread, inputs.settings["near"]))
    return all_of(*parts)


def daa_beats_pgd_on_linf_trained_mnist(inputs: ArtefactInputs) -> Verdict:
    """On MNIST linf-AT DAA-50 leaves fewer images than PGD-100 at every radius."""
    return robust_ahead(inputs, inputs.results, "linf", "DAA-50", "PGD-100")


def daa_is_weak_on_trained_cifar_10(inputs: ArtefactInputs) -> Verdict:
    """On both trained CIFAR-10 models DAA-50 leaves more images than PGD-1, by a stated bound, at larger radii."""
    return _leaves_more(inputs, "linf", "DAA-50", "PGD-1", HARDER)


def _leaves_more(inputs: ArtefactInputs, norm: str, weaker: str, stronger: str, radii: slice) -> Verdict:
    """Judge on every model whether one attack leaves more images than another, by a stated bound."""
    return all_of(
        *(
            above(
                f"{title(results, norm)}: {weaker} minus {stronger}",
                _gap(inputs, results, norm, weaker, stronger, radii),
                inputs.settings["much"],
            )
            for results in models_of(inputs)
        )
    )


def fab_is_weaker_than_pgd_near_the_training_radius(inputs: ArtefactInputs) -> Verdict:
    """On MNIST linf-AT FAB-100 leaves more images than PGD-100 at the two largest linf radii, on average."""
    gap = _gap(inputs, inputs.results, "linf", "FAB-100", "PGD-100", slice(3, None))
    return above(f"{title(inputs.results, 'linf')}: FAB-100 minus PGD-100", gap)


def pgd_in_l2_saturates_on_trained_cifar_10(inputs: ArtefactInputs) -> Verdict:
    """On both trained CIFAR-10 models at the largest l2 radius PGD-100 leaves more than FAB-1, by a stated bound."""
    return _leaves_more(inputs, "l2", "PGD-100", "FAB-1", slice(4, None))


def restarts_help_most_where_gradients_are_masked(inputs: ArtefactInputs) -> Verdict:
    """No robust accuracy rises with restarts, and those of l1 PDPGD gain more on MNIST linf-AT than elsewhere.

    The gain is that of 100 restarts over one, averaged over the radii; elsewhere are the other MNIST models.
    """
    models = models_of(inputs)
    rises = sum(_rises(inputs, results, norm) for results in models for norm in NORMS)
    gains = {
        results.label("model"): _robust(inputs, results, "l1", "PDPGD-1")
        - _robust(inputs, results, "l1", "PDPGD-100")
        for results in models
    }
    estimate = bootstrap(
        lambda masked, *others: masked.mean() - max(sample.mean() for sample in others),
        gains.pop("linf-AT"),
        *gains.values(),
    )
    name = "gain by restarts in l1, MNIST linf-AT minus the larger of the others"
    return all_of(
        equals("rises of a robust accuracy with restarts", rises, 0, tolerance=0),
        above(name, estimate.interval()),
    )


def _rises(inputs: ArtefactInputs, results: Results, norm: str) -> int:
    """Count the radii and attacks at which more restarts leave more images."""
    count = 0
    by_attack: dict[str, list[NDArray[np.float64]]] = {}
    for each in columns_of(inputs, norm):
        if each.restarts and each.printed:
            accuracy = _robust(inputs, results, norm, each.name).mean(0)
            by_attack.setdefault(each.attack, []).append(accuracy)
    for accuracies in by_attack.values():
        count += sum(int((more > fewer + SAME).sum()) for fewer, more in pairwise(accuracies))
    return count


def one_run_costs_as_much_as_pgd_at_five_radii(inputs: ArtefactInputs) -> Verdict:
    """One run of a primal-dual attack has as many iterations as PGD at five radii, to within a tenth."""
    parts = []
    for results in models_of(inputs):
        for norm in ("linf", "l2", "l1"):
            ours = results.one(norm=norm, attack=OURS[norm]).setting("steps")
            pgd = results.where(norm=norm, attack="PGD").setting("steps") * len(radii_of(results, norm))
            name = f"{title(results, norm)}: iterations over those of PGD"
            parts.append(equals(name, ours / pgd, 1, tolerance=0.1))
    return all_of(*parts)
