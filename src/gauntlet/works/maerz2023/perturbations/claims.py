"""Claims about attacks and radii (maerz2023, contributions 4.1 and 4.2).

Every check says in its docstring what counts as support. Where the work prints a number of ImageNet, only its
direction is carried over to other data.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from gauntlet.reporting.claims import Verdict, all_of, at_most, direction, equals, not_testable, within
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.resampling import bootstrap, holds_in_resamples
from gauntlet.reporting.statistics import paired_share_difference, share_difference
from gauntlet.works.maerz2023.perturbations.artefacts import seven_type_accuracy
from gauntlet.works.maerz2023.perturbations.formulas import danskin_angle
from gauntlet.works.maerz2023.perturbations.observations import (
    GRADIENT,
    SCHEMES,
    Observations,
    Scheme,
    number,
    observe,
)
from gauntlet.works.maerz2023.perturbations.published import norm_name, records
from gauntlet.works.maerz2023.perturbations.scaling import equal_volume_factor

VOLUME, NESTED = ("l2-volume", "l1-volume"), ("l2-nested", "l1-nested")
CONVERTED = ("linf", "l2-volume", "l1-volume", "l2-nested", "l1-nested")


def c1(inputs: ArtefactInputs) -> Verdict:
    """C1: the printed conversion factors are those of equal volume, to their four decimals."""
    printed = inputs.published[inputs.published["note"].str.startswith("printed")]
    return all_of(
        *(
            equals(
                f"{norm_name(row['from_norm'])} to {norm_name(row['to_norm'])}, n = {row['n']}",
                equal_volume_factor(int(row["n"]), float(row["from_norm"]), float(row["to_norm"])),
                float(row["value"]),
                tolerance=1e-4,
            )
            for row in records(printed)
        )
    )


def c2(inputs: ArtefactInputs) -> Verdict:
    """C2: the number eps used for every norm leaves l1 and l2 attacks nearly harmless.

    Supported if the mean rise of the loss over the clean image stays below ``share`` of the linf attack's.
    """
    natural = observe(inputs, "natural")
    clean = natural.values("cross_entropy", "linf", ["clean"])

    def rise(radius: str) -> np.ndarray:
        return natural.pooled("cross_entropy", radius, GRADIENT).mean(1) - clean[:, 0]

    def ratio(rises: Sequence[np.ndarray]) -> float:
        return float(rises[0].mean() / rises[1].mean())

    reference = rise("linf")
    return all_of(
        *(
            at_most(
                f"rise of the loss, {norm} over linf",
                *bootstrap(ratio, [rise(f"{norm}-same"), reference]).ends,
                bound=inputs.settings["share"],
            )
            for norm in ("l2", "l1")
        )
    )


def c3(inputs: ArtefactInputs) -> Verdict:
    """C3: top-1 accuracy over seven perturbations is about equal across norms.

    Supported if every difference to linf, with its interval, stays within ``margin`` (share of images).
    """
    natural = observe(inputs, "natural")
    reference = seven_type_accuracy(natural, 1, "linf", None)
    parts = []
    for radius in (*VOLUME, *NESTED):
        difference = bootstrap(np.mean, seven_type_accuracy(natural, 1, radius, None) - reference)
        margin = float(inputs.settings["margin"])
        parts.append(within(f"top-1, {radius} less linf", *difference.ends, between=(-margin, margin)))
        gradient_only = seven_type_accuracy(natural, 1, radius, None, GRADIENT) - seven_type_accuracy(
            natural, 1, "linf", None, GRADIENT
        )
        parts[-1].numbers[f"gradient attacks alone, {radius} less linf"] = float(gradient_only.mean())
    return all_of(*parts)


def c4(inputs: ArtefactInputs) -> Verdict:
    """C4: in top-k accuracy the nested rule is closer to linf than the volume rule, for l2 and for l1."""
    natural, k = observe(inputs, "natural"), int(inputs.settings["k"])
    accuracy = [
        seven_type_accuracy(natural, k, radius, None)
        for radius in ("linf", "l2-volume", "l2-nested", "l1-volume", "l1-nested")
    ]

    def gained(rows: Sequence[np.ndarray]) -> np.ndarray:
        reference, *others = (row.mean() for row in rows)
        gaps = np.abs(np.array(others) - reference)
        return np.array([gaps[0] - gaps[1], gaps[2] - gaps[3]])

    estimate = bootstrap(gained, accuracy)
    return all_of(
        *(
            direction(
                f"top-{k} gap to linf, volume less nested, {norm}",
                float(estimate.value[i]),
                float(estimate.low[i]),
                float(estimate.high[i]),
            )
            for i, norm in enumerate(("l2", "l1"))
        )
    )


def c5(inputs: ArtefactInputs) -> Verdict:
    """C5: in most (4 of 6) quantiles of the loss the volume rule lies below linf, the nested rule above."""
    natural = observe(inputs, "natural")
    pools = [natural.pooled("cross_entropy", radius, GRADIENT) for radius in CONVERTED]

    def counts(rows: Sequence[np.ndarray]) -> np.ndarray:
        linf, *others = (np.percentile(row, (10, 50, 90)) for row in rows)
        below = sum(np.sum(other < linf) for other in others[:2])
        above = sum(np.sum(other > linf) for other in others[2:])
        return np.array([below, above])

    estimate = bootstrap(counts, pools, resamples=200)
    below, above = (int(count) for count in estimate.value)
    parts = (
        holds_in_resamples(f"T below linf in {below} of 6 quantiles", estimate, lambda count: count[0] >= 4),
        holds_in_resamples(
            f"Tbar above linf in {above} of 6 quantiles", estimate, lambda count: count[1] >= 4
        ),
    )
    return all_of(*parts)


def c6(inputs: ArtefactInputs) -> Verdict:
    """C6: the l1 attack reaches a larger median loss than the l2 attack, under both rules."""
    natural = observe(inputs, "natural")
    pools = [natural.pooled("cross_entropy", radius, GRADIENT) for radius in CONVERTED]
    estimate = bootstrap(lambda rows: np.array([np.median(row) for row in rows]), pools, resamples=200)
    verdict = all_of(
        holds_in_resamples("T: l1 above l2", estimate, lambda m: m[2] > m[1]),
        holds_in_resamples("Tbar: l1 above l2", estimate, lambda m: m[4] > m[3]),
    )
    medians = {
        f"median loss, {radius}": float(value)
        for radius, value in zip(CONVERTED, estimate.value, strict=True)
    }
    listed = ", ".join(
        f"{radius} {value:.2f}" for radius, value in zip(CONVERTED, estimate.value, strict=True)
    )
    return Verdict(
        verdict.decision, f"{verdict.reason} Median losses in nats: {listed}.", verdict.numbers | medians
    )


def c7(inputs: ArtefactInputs) -> Verdict:
    """C7: l1 and l2 distortions of equal-volume attacks span less than a factor of ten, linf ones more.

    The span is the largest 95 % quantile over the smallest 5 % quantile among the three attacks.
    """
    natural = observe(inputs, "natural")
    parts = []
    for norm in ("l2", "l1", "linf"):
        pools = [natural.pooled(norm, radius, GRADIENT) for radius in CONVERTED[:3]]
        span = bootstrap(_span, pools, resamples=200).ends
        name = f"span of the {norm} distortions"
        parts.append(
            direction(name, *span, threshold=10.0) if norm == "linf" else at_most(name, *span, bound=10.0)
        )
    return all_of(*parts)


def _span(pools: Sequence[np.ndarray]) -> float:
    return float(
        max(np.percentile(pool, 95) for pool in pools) / min(np.percentile(pool, 5) for pool in pools)
    )


def c8(inputs: ArtefactInputs) -> Verdict:
    """C8: decaying steps leave a lower top-k accuracy than constant ones (natural model, 16 steps)."""
    k = int(inputs.settings["k"])
    gains = []
    for name in ("natural", "natural-replicate"):
        observations = observe(inputs, name)
        constant, harmonic, geometric = (
            np.mean(
                [observations.top(k, "linf", ["16"], Scheme(decay, rand))[:, 0] for rand in (False, True)],
                axis=0,
            )
            for decay in ("constant", "harmonic", "geometric")
        )
        gains.append(constant - (harmonic + geometric) / 2)
    gain = bootstrap(np.mean, np.concatenate(gains), resamples=2000)
    return direction(f"top-{k} accuracy, constant less decaying steps", *gain.ends)


def c9(inputs: ArtefactInputs) -> Verdict:
    """C9: on defended models the step scheme hardly matters.

    Supported if all differences between schemes in top-1 and top-k accuracy stay within ``margin`` (share of
    images) with their 95 % intervals; contradicted if one lies outside with an interval at the level that
    allows for their number.
    """
    margin = float(inputs.settings["margin"])
    pairs = [(first, second) for i, first in enumerate(_DECAYS) for second in _DECAYS[i + 1 :]]
    cells = []
    for name in ("madry-linf-4", "locus-linf-2"):
        observations = observe(inputs, name)
        for k in (1, int(inputs.settings["k"])):
            for rand in (False, True):
                hits = {
                    decay: observations.top(k, "linf", GRADIENT[1:], Scheme(decay, rand)) for decay in _DECAYS
                }
                cells += [
                    (hits[first][:, s], hits[second][:, s])
                    for first, second in pairs
                    for s in range(len(GRADIENT) - 1)
                ]
    intervals = [paired_share_difference(first, second) for first, second in cells]
    strict = [paired_share_difference(first, second, level=1 - 0.05 / len(cells)) for first, second in cells]
    largest = max(abs(interval.estimate) for interval in intervals)
    numbers = {"largest difference": largest, "margin": margin}
    reason = (
        f"Largest of {len(cells)} differences: {100 * largest:.2f} points, margin {100 * margin:.2f} points."
    )
    if any(interval.low > margin or interval.high < -margin for interval in strict):
        return Verdict("contradicted", reason, numbers)
    inside = all(-margin <= interval.low and interval.high <= margin for interval in intervals)
    return Verdict("supported" if inside else "inconclusive", reason, numbers)


_DECAYS = ("constant", "harmonic", "geometric")


def c10(inputs: ArtefactInputs) -> Verdict:
    """C10: only harmonic steps bring the true class to a float32 confidence of exactly 0.

    Supported if they do on at least ``events`` images and no other scheme does; contradicted if another does.
    Where no scheme reaches 0 and ``reduced`` is set, the claim is judged by its weaker form: the smallest
    confidence of all images after 16 steps is smaller under harmonic steps than under either other scheme.
    """
    samples = [observe(inputs, name) for name in ("natural", "natural-replicate")]
    zeros = {decay: sum(_zeros(observations, decay) for observations in samples) for decay in _DECAYS}
    numbers: dict[str, float] = {
        f"images at confidence 0, {decay}": float(count) for decay, count in zeros.items()
    }
    worst = [
        np.concatenate([_largest_loss(observations, decay) for observations in samples]) for decay in _DECAYS
    ]
    estimate = bootstrap(lambda rows: np.array([row.max() for row in rows]), worst)
    numbers |= {
        f"log10 of the smallest confidence, {decay}": -float(loss) / np.log(10)
        for decay, loss in zip(_DECAYS, estimate.value, strict=True)
    }
    images = sum(len(observations) for observations in samples)
    reason = (
        f"Of {images} images reach confidence 0: "
        + ", ".join(f"{count} {decay}" for decay, count in zeros.items())
        + "."
    )
    if zeros["constant"] or zeros["geometric"]:
        return Verdict("contradicted", reason, numbers)
    if zeros["harmonic"] >= int(inputs.settings["events"]):
        return Verdict("supported", reason, numbers)
    if zeros["harmonic"] or not inputs.settings["reduced"]:
        return Verdict("inconclusive", reason, numbers)
    weaker = holds_in_resamples(
        "Reduced form, smallest confidence under harmonic steps", estimate, lambda m: m[1] > max(m[0], m[2])
    )
    return Verdict(weaker.decision, f"{reason} {weaker.reason}", numbers | weaker.numbers)


def _zeros(observations: Observations, decay: str) -> int:
    """Count the images with confidence 0 under a decay, with any number of steps, randomized or not."""
    confidences = [
        observations.values("confidence", "linf", GRADIENT, Scheme(decay, rand)) for rand in (False, True)
    ]
    return int(np.sum(np.min(confidences, axis=(0, 2)) == 0))


def _largest_loss(observations: Observations, decay: str) -> np.ndarray:
    return np.max(
        [
            observations.values("cross_entropy", "linf", ["16"], Scheme(decay, rand))[:, 0]
            for rand in (False, True)
        ],
        axis=0,
    )


def c11(inputs: ArtefactInputs) -> Verdict:
    """C11: the four schemes differ little, and other images confirm the numbers.

    Supported if the spread over the schemes stays within ``top1`` and ``topk`` (shares of images) for every
    radius, and the accuracies after one step on two disjoint samples of images do not differ significantly.
    """
    natural, replicate, k = (
        observe(inputs, "natural"),
        observe(inputs, "natural-replicate"),
        int(inputs.settings["k"]),
    )
    parts = []
    for top, margin in ((1, inputs.settings["top1"]), (k, inputs.settings["topk"])):
        for radius in CONVERTED:
            rows = np.stack([seven_type_accuracy(natural, top, radius, scheme) for scheme in SCHEMES], axis=1)
            spread = bootstrap(lambda sample: np.ptp(sample.mean(0)), rows)
            parts.append(
                at_most(f"spread of the top-{top} accuracy, {radius}", *spread.ends, bound=float(margin))
            )
        first, second = (observations.top(top, "linf", ["1"])[:, 0] for observations in (natural, replicate))
        gap = share_difference(int(first.sum()), len(first), int(second.sum()), len(second))
        differs = gap.low > 0 or gap.high < 0
        parts.append(
            Verdict(
                "contradicted" if differs else "supported",
                f"Top-{top} after one step, first less second sample: {gap.estimate:.3f} [{gap.low:.3f}, "
                f"{gap.high:.3f}].",
                {f"top-{top}, first less second sample": float(gap.estimate)},
            )
        )
    return all_of(*parts)


def c12(inputs: ArtefactInputs) -> Verdict:
    """C12: on the PGD-trained model all step counts act alike, losses are far lower, and noise comes closer.

    Supported if, under randomised schemes, (a) the mean loss varies less (as a factor) over the step counts
    than on the natural model, (b) the natural model's median loss is the larger one, and (c) the gap between
    the mean losses of gradient attacks and of bounded noise is smaller on the PGD-trained model.
    """
    randomised = [scheme for scheme in SCHEMES if scheme.randomized]
    groups = []
    for name in ("natural", "madry-linf-4"):
        observations = observe(inputs, name)
        groups.append(
            [
                np.mean(
                    [observations.values("cross_entropy", "linf", GRADIENT, scheme) for scheme in randomised],
                    axis=0,
                ),
                observations.values("cross_entropy", "linf", ("unif", "bound")),
            ]
        )

    def compare(natural: Sequence[np.ndarray], madry: Sequence[np.ndarray]) -> np.ndarray:
        spread = [attacks.mean(0).max() / attacks.mean(0).min() for attacks, _ in (natural, madry)]
        gap = [attacks.mean() - noise.mean() for attacks, noise in (natural, madry)]
        return np.array([spread[0] / spread[1], np.median(natural[0]) / np.median(madry[0]), gap[0] / gap[1]])

    estimate = bootstrap(compare, *groups)
    names = ("variation over steps", "median loss", "gap between attacks and noise")
    return all_of(
        *(
            direction(
                f"{name}, natural over PGD-trained", float(value), float(low), float(high), threshold=1.0
            )
            for name, value, low, high in zip(names, estimate.value, estimate.low, estimate.high, strict=True)
        )
    )


def c22(inputs: ArtefactInputs) -> Verdict:
    """C22: the angle between the two one-sided gradients of the counterexample tends to 180 degrees."""
    taus = [10.0**-exponent for exponent in range(7)]
    angles = [danskin_angle(tau) for tau in taus]
    rising = all(first < second for first, second in pairwise(angles))
    numbers = {f"angle at tau = {tau:.0e}": angle for tau, angle in zip(taus, angles, strict=True)}
    reason = f"{angles[1]:.2f} degrees at tau = 0.1, {angles[-1]:.5f} at 1e-6."
    return Verdict("supported" if rising and 180 - angles[-1] < 0.01 else "contradicted", reason, numbers)


def c25(inputs: ArtefactInputs) -> Verdict:
    """C25: the volume rule also fits other step schemes and the PGD-trained models.

    Supported if the ratio of the median losses (l2 by volume over linf) lies within ``factor`` of 1 for every
    scheme on the natural model, and for the l2-trained against the linf-trained model.
    """
    factor = float(inputs.settings["factor"])
    natural, linf, l2 = (observe(inputs, name) for name in ("natural", "madry-linf-4", "madry-l2-3"))
    if not l2.has("l2-volume"):
        return not_testable("The l2-trained model was not attacked.")
    ratios = {}
    for scheme in SCHEMES:
        pair = [natural.values("cross_entropy", radius, GRADIENT, scheme) for radius in ("l2-volume", "linf")]
        ratios[f"natural, {scheme}"] = bootstrap(
            lambda rows: np.median(rows[0]) / np.median(rows[1]), pair, resamples=200
        )
    pools = [
        observations.pooled("cross_entropy", radius, GRADIENT)
        for observations, radius in ((l2, "l2-volume"), (linf, "linf"))
    ]
    ratios["PGD-trained"] = bootstrap(
        lambda first, second: np.median(first) / np.median(second), *pools, resamples=200
    )
    return all_of(
        *(
            within(
                f"median loss, l2 = {number(natural.eps('l2-volume'))} over linf, {name}",
                *ratio.ends,
                between=(1 / factor, factor),
            )
            for name, ratio in ratios.items()
        )
    )
