"""Claims about attacks and radii (contributions 4.1 and 4.2).

Where the work prints a number of ImageNet, only its direction is carried over to other data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from operator import itemgetter

import numpy as np

from gauntlet.analysis.bootstrap import bootstrap
from gauntlet.analysis.comparisons import holds, lowest
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import corrected_level, paired_share_difference
from gauntlet.analysis.published import published_value
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most, equals, within
from gauntlet.attacks.geometry.volumes import equal_volume_factor
from gauntlet.reporting.numerals import radius_text
from gauntlet.works.maerz2023.perturbations.formulas import danskin_angle
from gauntlet.works.maerz2023.versions import (
    DECAYS,
    SCHEMES,
    STEPS,
    Scheme,
    accuracy_by_image,
    in_top,
    pooled,
    values,
)

VOLUME, NESTED = ("l2-volume", "l1-volume"), ("l2-nested", "l1-nested")
CONVERTED = ("linf", *VOLUME, *NESTED)


def printed_factors_are_those_of_equal_volume(inputs: ArtefactInputs) -> Verdict:
    """The printed factors are those of the formula, to their four decimals. Nothing that is run enters."""
    printed = inputs.published[inputs.published["note"].str.startswith("printed")]
    return _of_a_formula(
        all_of(
            equals(
                f"l{row['from_norm']:g} to l{row['to_norm']:g}, n = {row['n']}",
                equal_volume_factor(int(row["n"]), float(row["from_norm"]), float(row["to_norm"])),
                float(row["value"]),
                tolerance=1e-4,
            )
            for row in printed.to_dict("records")
        )
    )


def one_radius_for_all_norms_leaves_l1_and_l2_attacks_weak(inputs: ArtefactInputs) -> Verdict:
    """The mean rise of the loss above the clean image stays, for l1 and l2 attacks, within {share} times that of the
    linf attack with the same number as radius.
    """
    natural = inputs.results
    clean = values(natural, "cross_entropy", "linf", ["clean"])[:, 0]
    rises = {
        ball: pooled(natural, "cross_entropy", ball).mean(1) - clean
        for ball in ("l2-same", "l1-same", "linf")
    }
    return all_of(
        at_most(
            f"rise of the loss, {norm} over linf",
            bootstrap(lambda pair: pair[0].mean() / pair[1].mean(), [rises[ball], rises["linf"]]).interval(),
            inputs.settings["share"],
        )
        for norm, ball in (("l2", "l2-same"), ("l1", "l1-same"))
    )


def top_1_accuracy_is_equal_across_norms(inputs: ArtefactInputs) -> Verdict:
    """Every difference to linf in top-1 accuracy, averaged over seven perturbations, lies within
    {margin} (a share of images)."""
    natural, margin = inputs.results, float(inputs.settings["margin"])
    parts = []
    for ball in (*VOLUME, *NESTED):
        seven, gradient = (
            accuracy_by_image(natural, 1, ball, *which) - accuracy_by_image(natural, 1, "linf", *which)
            for which in ((), (STEPS,))
        )
        part = within(f"top-1, {ball} less linf", bootstrap(np.mean, seven).interval(), (-margin, margin))
        alone = {f"gradient attacks alone, {ball} less linf": float(gradient.mean())}
        parts.append(replace(part, numbers=part.numbers | alone))
    return all_of(*parts)


def nested_radii_are_closer_in_top_k_accuracy(inputs: ArtefactInputs) -> Verdict:
    """For l2 and for l1, the top-k accuracy under nested radii is closer to that under linf attacks than the one under
    radii of equal volume; k is {k}.
    """
    k = int(inputs.settings["k"])
    accuracies = {ball: accuracy_by_image(inputs.results, k, ball) for ball in CONVERTED}

    def gained(rows: Sequence[np.ndarray]) -> float:
        linf, volume, nested = (row.mean() for row in rows)
        return float(abs(volume - linf) - abs(nested - linf))

    return all_of(
        above(
            f"top-{k} gap to linf, volume less nested, {norm}",
            bootstrap(gained, [accuracies[ball] for ball in ("linf", volume, nested)]).interval(),
        )
        for norm, volume, nested in zip(("l2", "l1"), VOLUME, NESTED, strict=True)
    )


def linf_loss_lies_between_both_conversions(inputs: ArtefactInputs) -> Verdict:
    """Of the 10, 50 and 90 % quantiles of the loss in l2 and l1, at least 4 of 6 lie below those of linf at equal
    volume, and at least 4 of 6 above them at nested radii.
    """

    def counts(rows: Sequence[np.ndarray]) -> np.ndarray:
        linf, *others = (np.percentile(row, (10, 50, 90)) for row in rows)
        below, above_linf = (sum(np.sum(sign * (other - linf) > 0) for other in pair)
                             for sign, pair in ((-1, others[:2]), (1, others[2:])))  # fmt: skip
        return np.array([below, above_linf])

    estimate = bootstrap(counts, _losses(inputs.results))
    below, exceeding = (int(count) for count in estimate.value)
    return all_of(
        holds(f"equal volume below linf in {below} of 6 quantiles", estimate, lambda count: count[0] >= 4),
        holds(f"nested above linf in {exceeding} of 6 quantiles", estimate, lambda count: count[1] >= 4),
    )


def l1_attacks_reach_larger_losses_than_l2_attacks(inputs: ArtefactInputs) -> Verdict:
    """The median loss under l1 attacks is larger than under l2 attacks, at equal volume and at nested radii."""
    medians = bootstrap(lambda rows: np.array([np.median(row) for row in rows]), _losses(inputs.results))
    named = dict(zip(CONVERTED, map(float, medians.value), strict=True))
    parts = []
    for l2, l1 in (VOLUME, NESTED):
        pair = medians.map(itemgetter([CONVERTED.index(l2), CONVERTED.index(l1)]))
        name = f"median loss in nats, {l1} {named[l1]:.2f} above {l2} {named[l2]:.2f}"
        parts.append(holds(name, pair, lambda found: found[1] > found[0]))
    verdict = all_of(*parts)
    return replace(
        verdict, numbers=verdict.numbers | {f"median loss, {ball}": value for ball, value in named.items()}
    )


def only_linf_distortions_span_more_than_tenfold(inputs: ArtefactInputs) -> Verdict:
    """Over the three attacks of equal volume, the largest 95 % quantile of the distortion is less than ten times the
    smallest 5 % quantile in the l2 and the l1 norm, and more than ten times in the linf norm.
    """

    def span(pools: Sequence[np.ndarray]) -> float:
        lows, highs = zip(*(np.percentile(pool, (5, 95)) for pool in pools), strict=True)
        return float(max(highs) / min(lows))

    parts = []
    for norm in ("l2", "l1", "linf"):
        pools = [pooled(inputs.results, norm, ball) for ball in ("linf", *VOLUME)]
        judge = above if norm == "linf" else at_most
        parts.append(judge(f"span of the {norm} distortions", bootstrap(span, pools).interval(), 10.0))
    return all_of(*parts)


def decaying_steps_beat_constant_steps(inputs: ArtefactInputs) -> Verdict:
    """On the natural model after 16 steps, the top-k accuracy is lower under decaying than under constant steps; k is
    {k}.
    """
    k = int(inputs.settings["k"])
    gains = []
    for images in _samples(inputs):
        constant, harmonic, geometric = (
            accuracy_by_image(images, k, "linf", STEPS[-1:], _of_decay(decay)) for decay in DECAYS
        )
        gains.append(constant - (harmonic + geometric) / 2)
    gain = bootstrap(np.mean, np.concatenate(gains))
    return above(f"top-{k} accuracy, constant less decaying steps", gain.interval())


def step_schemes_hardly_matter_on_defended_models(inputs: ArtefactInputs) -> Verdict:
    """All differences between step schemes in top-1 and top-k accuracy, with their 95 % intervals, lie within
    {margin} (a share of images), which leaves room for the interval of a difference of a point. One outside, with an
    interval at the level that allows for their number, contradicts; k is {k}.
    """
    margin = float(inputs.settings["margin"])
    cells = []
    for _, model in inputs.results.groups("model"):
        for k in (1, int(inputs.settings["k"])):
            for randomized in (False, True):
                hits = [in_top(model, k, "linf", STEPS[1:], Scheme(decay, randomized)) for decay in DECAYS]
                cells += [
                    pair for one, other in combinations(hits, 2) for pair in zip(one.T, other.T, strict=True)
                ]
    intervals = [paired_share_difference(*pair) for pair in cells]
    strict = [paired_share_difference(*pair, level=corrected_level(len(cells))) for pair in cells]
    largest = max(abs(interval.estimate) for interval in intervals)
    numbers = {"largest difference": largest, "margin": margin}
    reason = (
        f"Largest of {len(cells)} differences: {100 * largest:.2f} points, margin {100 * margin:.2f} points."
    )
    if any(interval.low > margin or interval.high < -margin for interval in strict):
        return Verdict("contradicted", reason, numbers)
    inside = all(-margin <= interval.low and interval.high <= margin for interval in intervals)
    return Verdict("supported" if inside else "inconclusive", reason, numbers)


def only_harmonic_steps_reach_zero_confidence(inputs: ArtefactInputs) -> Verdict:
    """More images are brought to a confidence of exactly 0 in 32-bit floats by harmonic steps than by constant or
    geometric ones, with intervals of the paired differences; a single image under those contradicts.
    """
    reached = {
        decay: np.concatenate(
            [
                (pooled(images, "confidence", "linf", STEPS, _of_decay(decay)) == 0).any(1)
                for images in _samples(inputs)
            ]
        )
        for decay in DECAYS
    }
    counts = {f"images at confidence 0, {decay}": float(zero.sum()) for decay, zero in reached.items()}
    printed = inputs.published[inputs.published["metric"] == "n_images"]
    counts |= {
        f"printed, {setting}": float(value) for setting, value in printed[["setting", "value"]].to_numpy()
    }
    harmonic = reached.pop("harmonic")
    verdict = all_of(
        above(
            f"share of images at confidence 0, harmonic less {decay}",
            paired_share_difference(harmonic, other),
        )
        for decay, other in reached.items()
    )
    only = not any(other.any() for other in reached.values())
    return replace(
        verdict, decision=verdict.decision if only else "contradicted", numbers=verdict.numbers | counts
    )


def harmonic_steps_leave_the_least_confidence(inputs: ArtefactInputs) -> Verdict:
    """After 16 steps the 10 % quantile over images of the log confidence (of each image the smaller of both
    randomizations) is smaller under harmonic than under constant and geometric steps.
    """
    least = [
        np.concatenate(
            [
                -pooled(images, "cross_entropy", "linf", STEPS[-1:], _of_decay(decay)).max(1)
                for images in _samples(inputs)
            ]
        )
        for decay in DECAYS
    ]
    tails = bootstrap(lambda rows: np.array([np.quantile(row, 0.1) for row in rows]), least)
    return lowest("10 % quantile of the log confidence after 16 steps", tails, DECAYS, "harmonic")


def schemes_and_images_change_results_little(inputs: ArtefactInputs) -> Verdict:
    """For every radius the spread of the top-1 and the top-k accuracy over the four schemes is within the margin (by
    k: {margins}), and so is the difference of the accuracy under gradient attacks between two disjoint samples of
    images, all with their 95 % intervals.
    """
    natural, replicate = (inputs.results.where(run=run) for run in ("document", "other images"))
    parts = []
    for k, margin in inputs.settings["margins"].items():
        k, margin = int(k), float(margin)
        for ball in CONVERTED:
            rows = np.stack(
                [accuracy_by_image(natural, k, ball, schemes=[scheme]) for scheme in SCHEMES], axis=1
            )
            spread = bootstrap(lambda sample: np.ptp(sample.mean(0)), rows).interval()
            parts.append(at_most(f"spread of the top-{k} accuracy, {ball}", spread, margin))
        samples = [accuracy_by_image(images, k, "linf", STEPS) for images in (natural, replicate)]
        gap = bootstrap(lambda first, second: first.mean() - second.mean(), *samples).interval()
        parts.append(within(f"top-{k} accuracy, first less second sample", gap, (-margin, margin)))
    return all_of(*parts)


def on_the_pgd_trained_model_steps_act_alike(inputs: ArtefactInputs) -> Verdict:
    """Under randomized schemes, on the PGD-trained model the mean loss varies by a smaller factor over the numbers of
    steps than on the natural model, the median loss is smaller by more than a factor of {factor}, and the gap between
    the mean losses of gradient attacks and bounded noise is smaller.
    """
    randomized = [scheme for scheme in SCHEMES if scheme.randomized]
    groups = []
    for defence in ("Natural", "MadryLab"):
        model = inputs.results.where(defence=defence)
        attacks = np.mean(
            [values(model, "cross_entropy", "linf", scheme=scheme) for scheme in randomized], axis=0
        )
        groups.append([attacks, values(model, "cross_entropy", "linf", ("unif", "bound"))])

    def described(group: Sequence[np.ndarray]) -> np.ndarray:
        attacks, noise = group
        means = attacks.mean(0)
        return np.array([means.max() / means.min(), np.median(attacks), attacks.mean() - noise.mean()])

    estimate = bootstrap(lambda natural, defended: described(natural) / described(defended), *groups)
    factors = {
        "variation over steps": 1.0,
        "median loss": float(inputs.settings["factor"]),
        "gap between attacks and noise": 1.0,
    }
    verdict = all_of(
        above(f"{name}, natural over PGD-trained", estimate.map(itemgetter(i)).interval(), factor)
        for i, (name, factor) in enumerate(factors.items())
    )
    printed = {"printed factor of the losses": published_value(inputs.published, metric="ratio")}
    return replace(verdict, numbers=verdict.numbers | printed)


def gradients_of_the_counterexample_become_opposite(inputs: ArtefactInputs) -> Verdict:
    """The angle between the two gradients rises as tau falls from 1 to a millionth, where it is within 0.01 degrees of
    180. Nothing that is run enters.
    """
    angles = {10.0**-exponent: danskin_angle(10.0**-exponent) for exponent in range(7)}
    *_, last = angles.values()
    rising = all(first < second for first, second in pairwise(angles.values()))
    return _of_a_formula(
        Verdict(
            "supported" if rising and 180 - last < 0.01 else "contradicted",
            f"{angles[0.1]:.2f} degrees at tau = 0.1, {last:.5f} at 1e-6.",
            {f"angle at tau = {tau:.0e}": angle for tau, angle in angles.items()},
        )
    )


def equal_volume_fits_other_schemes_and_models(inputs: ArtefactInputs) -> Verdict:
    """The median loss under l2 attacks of equal volume is within a factor of {factor} of that under linf attacks, for
    every scheme on the natural model, and on the l2-trained over the linf-trained model.
    """
    factor = float(inputs.settings["factor"])
    natural = inputs.results.where(defence="Natural")
    ratios = {}
    for scheme in SCHEMES:
        pair = [pooled(natural, "cross_entropy", ball, schemes=[scheme]) for ball in ("l2-volume", "linf")]
        ratios[f"natural, {scheme}"] = bootstrap(lambda rows: np.median(rows[0]) / np.median(rows[1]), pair)
    ratios["PGD-trained"] = bootstrap(
        lambda first, second: np.median(first) / np.median(second),
        *(
            pooled(inputs.results.where(train_norm=norm), "cross_entropy", ball)
            for norm, ball in (("l2", "l2-volume"), ("linf", "linf"))
        ),
    )
    eps = radius_text(natural.where(ball="l2-volume").label("eps"))
    return all_of(
        within(f"median loss, l2 = {eps} over linf, {name}", ratio.interval(), (1 / factor, factor))
        for name, ratio in ratios.items()
    )


def _samples(inputs: ArtefactInputs) -> list[Results]:
    """Return the natural model on each of the disjoint samples of images."""
    return [images for _, images in inputs.results.groups("run")]


def _losses(natural: Results) -> list[np.ndarray]:
    """Return the losses under gradient attacks of all schemes, per ball, ``[images, attacks]``."""
    return [pooled(natural, "cross_entropy", ball) for ball in CONVERTED]


def _of_a_formula(verdict: Verdict) -> Verdict:
    """Return the verdict of a calculation: what it confirms holds by construction."""
    return replace(verdict, decision="by construction") if verdict.decision == "supported" else verdict


def _of_decay(decay: str) -> list[Scheme]:
    return [Scheme(decay, randomized) for randomized in (False, True)]
