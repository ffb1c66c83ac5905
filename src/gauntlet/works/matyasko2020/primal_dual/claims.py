"""Claims about robust accuracies and cost (Tables 5.2 to 5.4 and 5.6 to 5.8).

Images are resampled, the same for all attacks on a model. Where two attacks leave the same images, such as none, that
is evidence for neither.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from gauntlet.analysis.bootstrap import Estimate, bootstrap, bootstrap_means
from gauntlet.analysis.comparisons import SAME, everywhere_within, holds
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import paired_share_difference, share
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import (
    Verdict,
    above,
    all_of,
    at_most,
    by_construction,
    equals,
    not_testable,
)
from gauntlet.works.matyasko2020.primal_dual.columns import (
    OURS,
    column,
    columns_of,
    models_of,
    radii_of,
    run_of,
    title,
    with_rivals,
)


def columns_rank(inputs: ArtefactInputs) -> Verdict:
    """Of two columns the better leaves at no radius more images than the other, and fewer on average.

    Where the statement counts radii, it leaves fewer at so many. The lowest is better than all columns of the work.
    """
    return all_of(rank(inputs, results) for results in models_of(inputs))


def rank(inputs: ArtefactInputs, results: Results) -> Verdict:
    """Judge on one model which columns are the ``lowest`` of their norm, and which are ``better`` than which."""
    lowest, better = (inputs.settings.get(name, ()) for name in ("lowest", "better"))
    return all_of(
        [_lowest(inputs, results, **each) for each in lowest],
        [_better(inputs, results, **each) for each in better],
    )


def _lowest(inputs: ArtefactInputs, results: Results, norm: str, column: str, first: int = 1) -> Verdict:
    """Judge whether a column is the lowest from the radius with the number ``first`` on."""
    printed = [each for each in columns_of(inputs, norm) if each.printed]
    names = [column, *(each.name for each in run_of(printed, results) if each.name != column)]
    robust = np.stack([_robust(inputs, results, norm, name)[:, first - 1 :] for name in names], 1)
    behind = bootstrap_means(robust).map(lambda left: left[1:].min(0) - left[0])
    name = f"{title(results, norm)}: lowest other of {len(names)} columns minus {column}"
    return with_rivals(_ahead(name, behind), printed, results)


def _better(
    inputs: ArtefactInputs,
    results: Results,
    norm: str,
    better: str,
    worse: str,
    *,
    first: int = 1,
    last: int | None = None,
    least: int | None = None,
    level: bool = False,
) -> Verdict:
    """Judge whether one column leaves fewer images than another from the radius ``first`` to ``last``.

    With ``least`` it must do so at so many radii, whatever the others say; being level is enough if ``level``.
    """
    absent = [name for name in (better, worse) if not len(column(inputs, norm, name).of(results))]
    if absent:
        return not_testable(f"{title(results, norm)}: {', '.join(absent)} not run at this scale.")
    gap = _robust(inputs, results, norm, worse) - _robust(inputs, results, norm, better)
    behind = bootstrap_means(gap[:, first - 1 : last])
    return _ahead(f"{title(results, norm)}: {worse} minus {better}", behind, least, level=level)


def _ahead(name: str, behind: Estimate, least: int | None = None, *, level: bool = False) -> Verdict:
    """Judge by what others leave more at each radius; where all leave the same nothing is decided."""

    def more(gap: NDArray[np.float64], edge: float) -> bool:
        if least is not None:
            return bool((gap > edge).sum() >= least)
        return bool(gap.min() > -SAME and gap.mean() > edge)

    return holds(
        f"{name} in points by radius {', '.join(f'{100 * value:+.1f}' for value in behind.value)}",
        behind,
        lambda gap: more(gap, -SAME if level else SAME),
        unless=lambda gap: more(gap, -SAME),
    )


def _robust(inputs: ArtefactInputs, results: Results, norm: str, name: str) -> NDArray[np.float64]:
    """Return whether each image withstands a column at each radius of the tables, 0 and 1, ``[N, radii]``."""
    return column(inputs, norm, name).robust(results, radii_of(results, norm)).astype(float)


def one_attack_leaves_more(inputs: ArtefactInputs) -> Verdict:
    """On every model {weaker} leaves a larger share of images than {stronger}, by more than {much}.

    Shares are averaged over the radii from number {first} on.
    """
    norm, weaker, stronger, first, much = (
        inputs.settings[name] for name in ("norm", "weaker", "stronger", "first", "much")
    )
    parts = []
    for results in models_of(inputs):
        both = [_robust(inputs, results, norm, name)[:, first - 1 :] for name in (weaker, stronger)]
        gap = paired_share_difference(*both)
        parts.append(above(f"{title(results, norm)}: {weaker} minus {stronger}", gap, much))
    return all_of(parts)


def the_pixel_attack_stalls(inputs: ArtefactInputs) -> Verdict:
    """The pixel attack beats PDPGD-1 at 1 and 3 pixels on CIFAR-10 linf-AT, but stalls from 5 pixels on.

    It stalls if from the third radius to the last it gains at most {little} and still leaves more than {floor} of the
    images, on both adversarially trained models.
    """
    parts = [rank(inputs, inputs.results.where(model="linf-AT"))]
    for results in models_of(inputs):
        robust, name = _robust(inputs, results, "l0", "Pixel"), title(results, "l0")
        gain = paired_share_difference(robust[:, 2], robust[:, 4])
        parts.append(at_most(f"{name}: gain of Pixel after 5 pixels", gain, inputs.settings["little"]))
        parts.append(above(f"{name}: left by Pixel", share(robust[:, 4]), inputs.settings["floor"]))
    return all_of(parts)


def good_attacks_agree_at_the_smallest_radius(inputs: ArtefactInputs) -> Verdict:
    """On CIFAR-10 linf-AT at the smallest radius every two good attacks differ by at most {near}.

    Good are C&W, DDN, FAB-100, PGD-100 and the primal-dual attacks with all restarts.
    """
    near, parts = inputs.settings["near"], []
    for norm, good in (
        ("linf", ("PGD-100", "FAB-100", "PDPGD-100")),
        ("l2", ("C&W", "DDN", "PGD-100", "FAB-100", "PDGD-100")),
    ):
        smallest = [_robust(inputs, inputs.results, norm, name)[:, 0] for name in good]
        gaps = [paired_share_difference(*pair) for pair in combinations(smallest, 2)]
        name = f"{title(inputs.results, norm)}: differences of {', '.join(good)}"
        parts.append(everywhere_within(name, gaps, (-near, near)))
    return all_of(parts)


def restarts_help_most_where_gradients_are_masked(inputs: ArtefactInputs) -> Verdict:
    """The restarts of l1 PDPGD gain more on MNIST linf-AT than on the other MNIST models.

    The gain is that of all restarts over one, averaged over the radii. That more restarts never leave more images
    holds by construction: fewer are the first of many.
    """
    gains = {
        results.label("model"): _robust(inputs, results, "l1", "PDPGD-1")
        - _robust(inputs, results, "l1", "PDPGD-100")
        for results in models_of(inputs)
    }
    estimate = bootstrap(
        lambda masked, *others: masked.mean() - max(sample.mean() for sample in others),
        gains.pop("linf-AT"),
        *gains.values(),
    )
    name = "gain by restarts in l1, MNIST linf-AT minus the larger of the others"
    return all_of(
        by_construction("More restarts never leave more images: fewer are the first of many."),
        above(name, estimate.interval()),
    )


def one_run_costs_as_much_as_pgd_at_five_radii(inputs: ArtefactInputs) -> Verdict:
    """One run of a primal-dual attack has as many iterations as PGD at five radii, to within a tenth.

    The configuration sets both numbers, so that no run could say otherwise.
    """
    parts = []
    for results in models_of(inputs):
        for norm in ("linf", "l2", "l1"):
            ours = results.one(norm=norm, attack=OURS[norm]).setting("steps")
            pgd = results.where(norm=norm, attack="PGD").setting("steps") * len(radii_of(results, norm))
            counted = equals(f"{title(results, norm)}: iterations over PGD's", ours / pgd, 1, tolerance=0.1)
            parts.append(by_construction(counted.reason) if counted.decision == "supported" else counted)
    return all_of(parts)
