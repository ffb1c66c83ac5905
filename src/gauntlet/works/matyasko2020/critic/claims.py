"""Checks of chapter 4's claims K16 to K25 and K29."""

from __future__ import annotations

import numpy as np

from gauntlet.analysis.bootstrap import bootstrap_means_over_seeds, mean, paired_difference
from gauntlet.analysis.comparisons import holds, ordered
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most, not_testable
from gauntlet.works.matyasko2020.critic.relative_sizes import (
    ATTACKS,
    DEFENCES,
    by_defence,
    relative_sizes,
)


def the_critic_defence_is_the_most_robust(inputs: ArtefactInputs) -> Verdict:
    """On each network and under each attack, mean relative sizes rise in the stated order of the defences."""
    order = inputs.settings["order"]
    return all_of(
        _over_trainings(inputs, network, f"rho of {ATTACKS[attack]} on {network}")
        or ordered(
            f"rho of {ATTACKS[attack]} on {network}",
            bootstrap_means_over_seeds(by_defence(inputs.results.where(network=network), order, attack)),
            [DEFENCES[defence] for defence in order],
        )
        for network in inputs.results.values("network")
        for attack in ATTACKS
        if attack in inputs.results.values("attack")
    )


def the_critic_gains_clearly_over_the_next(inputs: ArtefactInputs) -> Verdict:
    """On each network the mean relative size under C&W is above {ratio} times that of the next best defence."""
    settings = inputs.settings
    pair = [settings["better"], settings["worse"]]
    names = [DEFENCES[defence] for defence in pair]
    return all_of(
        _over_trainings(inputs, network, f"C&W on {network}")
        or above(
            f"rho of C&W on {network}, {names[0]} over {names[1]}",
            bootstrap_means_over_seeds(
                by_defence(inputs.results.where(network=network), pair, "CarliniWagner")
            )
            .map(lambda values: values[0] / values[1])
            .interval(),
            settings["ratio"],
        )
        for network in inputs.results.values("network")
    )


def cw_is_closest_and_confidence_costs_most(inputs: ArtefactInputs) -> Verdict:
    """For each network and defence mean relative sizes rise in the order C&W, DeepFool, high confidence."""
    attacks = inputs.settings["attacks"]
    return all_of(
        ordered(
            f"rho on {network}, {DEFENCES[defence]}",
            bootstrap_means_over_seeds(
                np.stack(
                    [
                        np.stack(
                            [relative_sizes(results.where(run=run), attack) for attack in attacks],
                            axis=1,
                        )
                        for run in results.values("run")
                    ]
                )
            ),
            [ATTACKS[attack] for attack in attacks],
        )
        for (network, defence), results in inputs.results.groups("network", "defence")
    )


def the_critic_costs_clean_accuracy(inputs: ArtefactInputs) -> Verdict:
    """On each network the error on the evaluated images is larger than that of each other defence.

    On the networks that the claim names it is also smaller than without defence.
    """
    order = inputs.settings["order"]
    parts = []
    for network in inputs.results.values("network"):
        missing = _over_trainings(inputs, network, f"error on {network}")
        if missing:
            parts.append(missing)
            continue
        errors = bootstrap_means_over_seeds(
            np.stack([_errors(inputs, network, defence) for defence in order], axis=2)
        )
        listed = ", ".join(f"{DEFENCES[d]} {100 * e:.2f} %" for d, e in zip(order, errors.value, strict=True))
        below = network in inputs.settings["below_undefended"]

        def stated(values: np.ndarray, below: bool = below) -> bool:
            return bool(values[-1] > values[1:-1].max() and (not below or values[-1] < values[0]))

        parts.append(holds(f"errors on {network}: {listed}", errors, stated))
    return all_of(parts)


def confidence_costs_more_under_the_critic(inputs: ArtefactInputs) -> Verdict:
    """On each network rho of high confidence over rho at the boundary is larger under the critic than without."""
    boundary, defended = inputs.settings["boundary"], inputs.settings["defended"]
    parts = []
    for network in inputs.results.values("network"):
        missing = _over_trainings(inputs, network, f"high confidence on {network}")
        if missing:
            parts.append(missing)
            continue
        runs = np.concatenate(
            [
                by_defence(inputs.results.where(network=network), ["none", defended], attack)
                for attack in (boundary, "high_confidence")
            ],
            axis=2,
        )
        gain = bootstrap_means_over_seeds(runs).map(
            lambda values: values[3] / values[1] - values[2] / values[0]
        )
        parts.append(
            above(
                f"high confidence over {ATTACKS[boundary]} on {network}, critic less no defence",
                gain.interval(),
            )
        )
    return all_of(parts)


def boundary_images_leave_the_network_unsure(inputs: ArtefactInputs) -> Verdict:
    """The mean confidence in boundary images is at most {unsure}, and those in test images and in confident adversarial
    images are more than {far} above it."""
    clean, boundary, sure = (
        _confidence(inputs.results.one(sheet=sheet)) for sheet in ("clean", "boundary", "sure")
    )
    far = inputs.settings["far"]
    return all_of(
        at_most("mean confidence at the boundary", mean(boundary), inputs.settings["unsure"]),
        above("test images less boundary", paired_difference(clean, boundary), far),
        above("confident images less boundary", paired_difference(sure, boundary), far),
    )


def needs_people(inputs: ArtefactInputs) -> Verdict:
    """Shares of labels that people give; other classifiers are no people, and their labels decide nothing here."""
    return not_testable("The study asked people.")


def no_numbers(inputs: ArtefactInputs) -> Verdict:
    """The work states it without a number, and nothing here is compared."""
    return not_testable("The work gives no number.")


def _over_trainings(inputs: ArtefactInputs, network: str, name: str) -> Verdict | None:
    """Return the verdict where a way of training would be judged by a single training, else None."""
    runs = inputs.results.where(network=network).values("run")
    return (
        None
        if len(runs) > 1
        else not_testable(f"{name}: one training of each defence tells nothing of a way to train.")
    )


def _errors(inputs: ArtefactInputs, network: str, defence: str) -> np.ndarray:
    """Return whether each image is misclassified unperturbed, ``[runs, images]``."""
    found = inputs.results.where(network=network, defence=defence)
    return np.stack([~each.correct.to_numpy() for _, each in found.groups("run")]).astype(float)


def _confidence(results: Results) -> np.ndarray:
    """Return the probability of the predicted class, ``[images]``."""
    return results.column("prediction_confidence").to_numpy(dtype=float)
