"""Claims about robust accuracies (croce2019, sections 5.1 to 5.4).

Every check says in its docstring what counts as support. Where it compares several settings at once, images are
resampled, the same for all settings of a data set.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

from gauntlet.reporting.claims import Verdict, all_of, at_most, direction, equals, not_testable
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.resampling import bootstrap, holds_in_resamples
from gauntlet.reporting.statistics import Interval, paired_share_difference, share, share_difference
from gauntlet.works.croce2019.linear_regions.accuracies import OURS, Attacked, attacked_models, named
from gauntlet.works.croce2019.linear_regions.summary import gaps

SETS = ("MNIST", "GTS", "CIFAR-10")
SAME = 1e-9
"""Accuracies closer than this are equal."""


def standing_of(models: list[Attacked]) -> np.ndarray:
    """Return what withstands, for all settings of models of one data set, ``[N, settings, attacks]``."""
    return np.concatenate([model.standing() for model in models], 1)


def _columns(models: list[Attacked]) -> list[str]:
    return list(models[0].attacks)


def _ours_and_others(models: list[Attacked]) -> tuple[int, list[int]]:
    names = _columns(models)
    ours = names.index(OURS)
    return ours, [number for number in range(len(names)) if number != ours]


def _advantage(models: list[Attacked]) -> Callable[[np.ndarray], np.ndarray]:
    """Return what computes, per setting, the best competitor's robust accuracy minus ours."""
    ours, others = _ours_and_others(models)

    def advantage(standing: np.ndarray) -> np.ndarray:
        accuracy = standing.mean(0)
        difference: np.ndarray = accuracy[:, others].min(1) - accuracy[:, ours]
        return difference

    return advantage


def _gap_statistic(summary: str) -> Callable[[np.ndarray], np.ndarray]:
    def statistic(standing: np.ndarray) -> np.ndarray:
        behind = gaps(standing.mean(0))
        reduced: np.ndarray = behind.mean(0) if summary == "mean" else behind.max(0)
        return reduced

    return statistic


def c1(inputs: ArtefactInputs) -> Verdict:
    """C1: on every data set the largest gap of the linear region attack is smaller than every competitor's."""
    return all_of(*(_smallest_gap(inputs, dataset, "max") for dataset in SETS))


def c2(inputs: ArtefactInputs) -> Verdict:
    """C2: its mean gap is the smallest on MNIST and GTS, and within ``near`` of the smallest on CIFAR-10."""
    models = named(attacked_models(inputs), "CIFAR-10")
    ours, _ = _ours_and_others(models)
    estimate = bootstrap(
        lambda standing: (mean := _gap_statistic("mean")(standing))[ours] - mean.min(), standing_of(models)
    )
    return all_of(
        _smallest_gap(inputs, "MNIST", "mean"),
        _smallest_gap(inputs, "GTS", "mean"),
        at_most("CIFAR-10, mean gap above the smallest", *estimate.ends, bound=inputs.settings["near"]),
    )


def _smallest_gap(inputs: ArtefactInputs, dataset: str, summary: str) -> Verdict:
    models = named(attacked_models(inputs), dataset)
    ours, others = _ours_and_others(models)
    estimate = bootstrap(_gap_statistic(summary), standing_of(models))
    return holds_in_resamples(
        f"{dataset}, {summary} gap {estimate.value[ours]:.3f} below the others' "
        f"{estimate.value[others].min():.3f}",
        estimate,
        lambda gap: gap[ours] < gap[others].min(),
    )


def c3(inputs: ArtefactInputs) -> Verdict:
    """C3: each competitor overestimates by ``much`` somewhere, the linear region attack by at most ``little``."""
    models = [named(attacked_models(inputs), dataset) for dataset in SETS]
    ours, others = _ours_and_others(models[0])
    largest = [bootstrap(_gap_statistic("max"), standing_of(each)) for each in models]
    replicates = np.max([each.replicates for each in largest], axis=0)
    value = np.max([each.value for each in largest], axis=0)
    least = replicates[:, others].min(1)
    return all_of(
        direction(
            "smallest of the competitors' largest overestimations",
            value[others].min(),
            *np.quantile(least, [0.025, 0.975]),
            threshold=inputs.settings["much"],
        ),
        at_most(
            "largest overestimation of the linear region attack",
            value[ours],
            *np.quantile(replicates[:, ours], [0.025, 0.975]),
            bound=inputs.settings["little"],
        ),
    )


def c4(inputs: ArtefactInputs) -> Verdict:
    """C4: on the linf-trained MNIST model it is below all others at every radius."""
    models = named(attacked_models(inputs), "MNIST", "linf-at")
    estimate = bootstrap(_advantage(models), standing_of(models))
    return holds_in_resamples(
        f"advantages {_listed(estimate.value)} all positive", estimate, lambda gain: (gain > SAME).all()
    )


def c5(inputs: ArtefactInputs) -> Verdict:
    """C5: at radii 1.5 and 2 the linf-trained MNIST model is more robust than the plain one by at most ``slightly``."""
    plain, trained = named(attacked_models(inputs), "MNIST", "plain", "linf-at")
    return all_of(
        *(
            at_most(
                f"robust accuracy at {eps}, linf-at minus plain",
                *_between(trained, plain, OURS, eps),
                bound=inputs.settings["slightly"],
            )
            for eps in (1.5, 2.0)
        )
    )


def _between(first: Attacked, second: Attacked, attack: str, eps: float) -> Interval:
    one, two = first.stands(attack, eps), second.stands(attack, eps)
    return share_difference(one.sum(), len(one), two.sum(), len(two))


def c6(inputs: ArtefactInputs) -> Verdict:
    """C6: at 1.5 it brings the linf-trained MNIST model below the best of eleven attacks of the literature.

    These were run on the published network, which is not the one that is trained here.
    """
    (model,) = named(attacked_models(inputs), "MNIST", "linf-at")
    printed = inputs.published[inputs.published["setting"].str.contains("pointwise best of 11", regex=False)]
    return at_most(
        "robust accuracy at 1.5 (the eleven attacks met the published network)",
        *share(model.stands(OURS, 1.5)),
        bound=float(printed["value"].iloc[0]),
    )


def c7(inputs: ArtefactInputs) -> Verdict:
    """C7: on the l2-trained MNIST model PGD with restarts is stronger at radii of 2 and more (mean over them)."""
    (model,) = named(attacked_models(inputs), "MNIST", "l2-at")
    return _stronger([model], "PGD-10k", OURS, at_least=2.0)


def _stronger(
    models: list[Attacked], better: str, worse: str, *, at_least: float = 0.0, threshold: float = 0.0
) -> Verdict:
    """Compare two attacks by their mean robust accuracy over models of one data set and large radii."""
    pairs = [(model, eps) for model in models for eps in model.radii if eps >= at_least]
    difference = np.stack(
        [model.stands(worse, eps).astype(float) - model.stands(better, eps) for model, eps in pairs], 1
    )
    estimate = bootstrap(lambda sample: sample.mean(), difference)
    return direction(f"robust accuracy, {worse} minus {better}", *estimate.ends, threshold=threshold)


def _in_settings(
    inputs: ArtefactInputs,
    dataset: str,
    wanted: Callable[[np.ndarray], np.ndarray],
    enough: Callable[[int, int], bool],
    words: str,
) -> Verdict:
    """Judge in how many settings of a data set our advantage over the best competitor is as wanted.

    Args:
        inputs: with the evaluations of the attacked models.
        dataset: whose models are meant.
        wanted: from the advantages ``[settings]`` to booleans.
        enough: from the numbers of wanted and of all settings to whether the claim holds.
        words: what is wanted.
    """
    models = named(attacked_models(inputs), dataset)
    estimate = bootstrap(_advantage(models), standing_of(models))
    return holds_in_resamples(
        f"{words} in {int(wanted(estimate.value).sum())} of {len(estimate.value)} settings",
        estimate,
        lambda gain: enough(int(wanted(gain).sum()), len(gain)),
    )


def c8(inputs: ArtefactInputs) -> Verdict:
    """C8: on GTS it is best or tied in all settings."""
    return _in_settings(inputs, "GTS", lambda gain: gain >= -SAME, operator.eq, "best or tied")


def c9(inputs: ArtefactInputs) -> Verdict:
    """C9: on GTS it is at least 1.8 points (rounded 2) below the best competitor in three settings or more."""
    return _in_settings(
        inputs, "GTS", lambda gain: gain >= 0.018 - SAME, lambda count, _: count >= 3, "0.018 or more below"
    )


def c10(inputs: ArtefactInputs) -> Verdict:
    """C10: on CIFAR-10 its largest gap is at most ``little``; at the largest radii it beats PGD and DF."""
    models = named(attacked_models(inputs), "CIFAR-10")
    ours, _ = _ours_and_others(models)
    estimate = bootstrap(lambda standing: _gap_statistic("max")(standing)[ours], standing_of(models))
    largest = np.cumsum([len(model.radii) for model in models]) - 1
    parts = [at_most("largest gap on CIFAR-10", *estimate.ends, bound=inputs.settings["little"])]
    for attack in ("PGD-10k", "DF"):
        other = _columns(models).index(attack)
        standing = standing_of(models)[:, largest].astype(float)
        difference = bootstrap(lambda sample: sample.mean(), standing[..., other] - standing[..., ours])
        parts.append(direction(f"at the largest radii, {attack} minus ours", *difference.ends))
    return all_of(*parts)


def c11(inputs: ArtefactInputs) -> Verdict:
    """C11: on the l2-trained CIFAR-10 model PGD overestimates at the largest radius by more than ``much``."""
    (model,) = named(attacked_models(inputs), "CIFAR-10", "l2-at")
    return _stronger([model], OURS, "PGD-10k", at_least=model.radii[-1], threshold=inputs.settings["much"])


def c12(inputs: ArtefactInputs) -> Verdict:
    """C12: DF has the largest mean gap everywhere and the largest gap on MNIST; elsewhere PGD-1 has the largest."""
    parts = []
    for dataset in SETS:
        models = named(attacked_models(inputs), dataset)
        names = _columns(models)
        for summary, loser in (("mean", "DF"), ("max", "DF" if dataset == "MNIST" else "PGD-1")):
            position = names.index(loser)
            parts.append(
                holds_in_resamples(
                    f"{dataset}, {loser} has the largest {summary} gap",
                    bootstrap(_gap_statistic(summary), standing_of(models)),
                    lambda gap, position=position: gap[position] >= gap.max() - SAME,  # type: ignore[misc]
                )
            )
    return all_of(*parts)


def c13(inputs: ArtefactInputs) -> Verdict:
    """C13: on the provably robust MNIST models it is strictly best in 19 of 20 settings."""
    return _in_settings(
        inputs, "MNIST", lambda gain: gain > SAME, lambda count, all_: count >= all_ - 1, "strictly best"
    )


def c14(inputs: ArtefactInputs) -> Verdict:
    """C14: on the provably robust CIFAR-10 models it is best or tied in all settings."""
    return _in_settings(inputs, "CIFAR-10", lambda gain: gain >= -SAME, operator.eq, "best or tied")


def c15(inputs: ArtefactInputs) -> Verdict:
    """C15: its largest advantage over the best competitor on the provable MNIST models exceeds ``much``."""
    models = named(attacked_models(inputs), "MNIST")
    estimate = bootstrap(lambda sample: _advantage(models)(sample).max(), standing_of(models))
    return direction("largest advantage", *estimate.ends, threshold=inputs.settings["much"])


def c16(inputs: ArtefactInputs) -> Verdict:
    """C16: on linf-KW MNIST at 2.5 CW overestimates by more than ``much``."""
    (model,) = named(attacked_models(inputs), "MNIST", "linf-KW")
    difference = paired_share_difference(model.stands("CW-10k", 2.5), model.stands(OURS, 2.5))
    return direction(
        "robust accuracy at 2.5, CW-10k minus ours", *difference, threshold=inputs.settings["much"]
    )


def c17(inputs: ArtefactInputs) -> Verdict:
    """C17: on the large models it is within ``near`` of PGD in every setting, and DF is worse in every setting."""
    models = named(attacked_models(inputs), "CIFAR-10")
    names = _columns(models)
    ours, pgd, deepfool = (names.index(name) for name in (OURS, "PGD-1k", "DF"))
    standing = standing_of(models)
    furthest = bootstrap(
        lambda sample: np.abs(sample.mean(0)[:, ours] - sample.mean(0)[:, pgd]).max(), standing
    )
    behind = bootstrap(lambda sample: sample.mean(0)[:, deepfool] - sample.mean(0)[:, ours], standing)
    return all_of(
        at_most("largest difference to PGD-1k", *furthest.ends, bound=inputs.settings["near"]),
        holds_in_resamples(
            "DF is worse in every setting", behind, lambda difference: (difference > SAME).all()
        ),
    )


def c18(inputs: ArtefactInputs) -> Verdict:
    """C18: restarts lower the accuracy of the linf-trained MNIST model at 2 by more than that of any CIFAR-10 model."""
    models = attacked_models(inputs)
    (trained,) = named(models, "MNIST", "linf-at")
    gain = trained.stands("PGD-1", 2.0).astype(float) - trained.stands("PGD-10k", 2.0)
    cifar = named(models, "CIFAR-10")
    names = _columns(cifar)
    standing = standing_of(cifar).astype(float)
    gains = standing[..., names.index("PGD-1")] - standing[..., names.index("PGD-10k")]
    estimate = bootstrap(lambda one, other: one.mean() - other.mean(0).max(), gain, gains)
    return direction("gain by restarts, MNIST minus the largest on CIFAR-10", *estimate.ends)


def c19(inputs: ArtefactInputs) -> Verdict:
    """C19: ten times the iterations of CW change no robust accuracy by more than ``little``."""
    parts = []
    for dataset in SETS:
        models = named(attacked_models(inputs), dataset)
        names = _columns(models)
        short, long = names.index("CW-10k"), names.index("CW-100k")
        estimate = bootstrap(
            lambda sample, short=short, long=long: np.abs(
                sample.mean(0)[:, short] - sample.mean(0)[:, long]
            ).max(),
            standing_of(models),
        )
        parts.append(at_most(f"{dataset}, largest change", *estimate.ends, bound=inputs.settings["little"]))
    return all_of(*parts)


def c23(inputs: ArtefactInputs) -> Verdict:
    """C23: forward passes per image rank DF, PGD-10k for one radius, CW-100k, linear region attack."""
    (model,) = attacked_models(inputs)
    passes = np.stack(
        [
            model.result.rows(procedure)["queries"].to_numpy(dtype=float)
            for procedure in ("deepfool", f"pgd-{model.radii[0]}", "cw-100k", "lra")
        ],
        1,
    )
    estimate = bootstrap(lambda sample: sample.mean(0), passes)
    return holds_in_resamples(
        f"passes {_listed(estimate.value)} rise", estimate, lambda cost: (np.diff(cost) > 0).all()
    )


def c25(inputs: ArtefactInputs) -> Verdict:
    """C25: the predecessor needs a commercial solver."""
    return not_testable("The predecessor of the attack relies on a commercial solver that is not used here.")


def c26(inputs: ArtefactInputs) -> Verdict:
    """C26: its mean advantage is larger on the linf-trained MNIST model than on the two others."""
    models = named(attacked_models(inputs), "MNIST", "linf-at", "plain", "l2-at")
    statistics = [_advantage([model]) for model in models]
    estimate = bootstrap(
        lambda samples: (
            statistics[0](samples[0]).mean()
            - max(statistics[1](samples[1]).mean(), statistics[2](samples[2]).mean())
        ),
        [model.standing() for model in models],
    )
    return direction("mean advantage on linf-at minus the larger of the others'", *estimate.ends)


def c27(inputs: ArtefactInputs) -> Verdict:
    """C27: at radius 1 the trained CIFAR-10 models are less robust than the MNIST models trained alike."""
    models = attacked_models(inputs)
    return all_of(
        *(
            direction(
                f"{kind}, robust accuracy at 1, MNIST minus CIFAR-10",
                *_between(named(models, "MNIST", kind)[0], named(models, "CIFAR-10", kind)[0], OURS, 1.0),
            )
            for kind in ("l2-at", "linf-at")
        )
    )


def c28(inputs: ArtefactInputs) -> Verdict:
    """C28: no robust accuracy rises with the radius."""
    rises = sum(
        int((np.diff(model.standing().mean(0), axis=0) > SAME).sum()) for model in attacked_models(inputs)
    )
    return equals("rises of a robust accuracy from one radius to the next", rises, 0, tolerance=0)


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{value:.3g}" for value in values)
