"""Claims of chapter 5. Every check says in its docstring what counts as support."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from gauntlet.reporting.claims import Verdict, all_of, at_most, direction, equals
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.resampling import bootstrap, holds_in_resamples
from gauntlet.reporting.statistics import share
from gauntlet.works.matyasko2020.primal_dual.minimal_norms import (
    ATTACKS,
    NORMS,
    Victim,
    column_named,
    mean_sizes,
    minimizers_of,
    victims_of,
)
from gauntlet.works.matyasko2020.primal_dual.verdicts import (
    OURS,
    SAME,
    accuracy_gap,
    ahead,
    largest,
    lowest,
    means_of,
    ordered,
    ratio_at_most,
    sizes_of,
    smallest,
    title,
)

HARDER = slice(1, None)
"""All radii but the smallest."""


def _of(inputs: ArtefactInputs, prefix: str) -> list[Victim]:
    return [victim for name, victim in victims_of(inputs).items() if name.startswith(prefix)]


def _trained(inputs: ArtefactInputs, prefix: str = "") -> list[Victim]:
    return [victim for victim in _of(inputs, prefix) if victim.kind != "plain"]


def c1(inputs: ArtefactInputs) -> Verdict:
    """C1: PDPGD has the smallest mean linf norm on every MNIST model."""
    return all_of(*(smallest(victim, "linf") for victim in _of(inputs, "mnist")))


def c2(inputs: ArtefactInputs) -> Verdict:
    """C2: PDPGD has the smallest mean linf norm on every CIFAR-10 model."""
    return all_of(*(smallest(victim, "linf") for victim in _of(inputs, "cifar")))


def c3(inputs: ArtefactInputs) -> Verdict:
    """C3: PDPGD has the smallest mean l1 norm everywhere; on MNIST linf-AT it gains more than ``gain``."""
    victims = victims_of(inputs)
    masked = victims["mnist-linf-at"]
    others = [name for name in means_of(masked, "l1") if name != "PDPGD"]
    estimate = bootstrap(
        lambda sizes: 1 - (mean := mean_sizes(sizes))[0] / mean[1:].min(),
        sizes_of(masked, "l1", ["PDPGD", *others]),
    )
    return all_of(
        *(smallest(victim, "l1") for victim in victims.values()),
        direction(
            f"{title(masked, 'l1')}: share by which PDPGD's mean is below the runner-up's",
            *estimate.ends,
            threshold=inputs.settings["gain"],
        ),
    )


def c4(inputs: ArtefactInputs) -> Verdict:
    """C4: on MNIST linf-AT in l1 PDPGD-100 is lowest at every radius."""
    return lowest(victims_of(inputs)["mnist-linf-at"], "l1", "PDPGD-100")


def c5(inputs: ArtefactInputs) -> Verdict:
    """C5: on MNIST linf-AT in l1 PDPGD-1 beats FAB-10 at five radii and FAB-100 at four or more."""
    victim = victims_of(inputs)["mnist-linf-at"]
    return all_of(
        ahead(victim, "l1", "PDPGD-1", "FAB-10"), ahead(victim, "l1", "PDPGD-1", "FAB-100", least=4)
    )


def c6(inputs: ArtefactInputs) -> Verdict:
    """C6: on CIFAR linf-AT in l1 PDPGD-100 is lowest, PDPGD-10 beats EAD, and PDPGD-1 loses to EAD, everywhere."""
    victim = victims_of(inputs)["cifar-linf-at"]
    return all_of(
        lowest(victim, "l1", "PDPGD-100"),
        ahead(victim, "l1", "PDPGD-10", "EAD"),
        ahead(victim, "l1", "EAD", "PDPGD-1"),
    )


def c7(inputs: ArtefactInputs) -> Verdict:
    """C7: on CIFAR l2-AT in l1 PDPGD-10 beats EAD and FAB-100 at the four larger radii."""
    victim = victims_of(inputs)["cifar-l2-at"]
    return all_of(*(ahead(victim, "l1", "PDPGD-10", rival, radii=HARDER) for rival in ("EAD", "FAB-100")))


def c8(inputs: ArtefactInputs) -> Verdict:
    """C8: on CIFAR linf-AT in l1 EAD is nowhere above FAB-100, and its mean is not larger."""
    victim = victims_of(inputs)["cifar-linf-at"]
    return all_of(ahead(victim, "l1", "EAD", "FAB-100", level=True), ordered(victim, "l1", "EAD", "FAB"))


def c9(inputs: ArtefactInputs) -> Verdict:
    """C9: on every CIFAR-10 model PDPGD changes at most half of the pixels that B&B changes, on average."""
    return all_of(*(ratio_at_most(victim, "l0", "PDPGD", "B&B", 0.5) for victim in _of(inputs, "cifar")))


def c10(inputs: ArtefactInputs) -> Verdict:
    """C10: on CIFAR linf-AT in l0 PDPGD-100 is lowest at every radius; PDPGD-1 beats B&B at every one."""
    victim = victims_of(inputs)["cifar-linf-at"]
    return all_of(lowest(victim, "l0", "PDPGD-100"), ahead(victim, "l0", "PDPGD-1", "B&B"))


def c11(inputs: ArtefactInputs) -> Verdict:
    """C11: the pixel attack beats PDPGD-1 at 1 and 3 pixels on CIFAR linf-AT, but stalls from 5 pixels on.

    It stalls if from the third radius to the last it gains at most ``little``, and still leaves more than
    ``floor``; on both adversarially trained models.
    """
    victims = _trained(inputs, "cifar")
    parts = [
        ahead(victim, "l0", "Pixel", "PDPGD-1", radii=slice(0, 2))
        for victim in victims
        if victim.kind == "linf-AT"
    ]
    for victim in victims:
        standing = victim.stands("l0", column_named("l0", "Pixel"))
        gain = bootstrap(
            lambda sample: sample.mean(), standing[:, 2].astype(float) - standing[:, 4].astype(float)
        )
        name = title(victim, "l0")
        parts.append(
            at_most(f"{name}: gain of Pixel after 5 pixels", *gain.ends, bound=inputs.settings["little"])
        )
        parts.append(
            direction(f"{name}: left by Pixel", *share(standing[:, 4]), threshold=inputs.settings["floor"])
        )
    return all_of(*parts)


def c12(inputs: ArtefactInputs) -> Verdict:
    """C12: PDPGD has the smallest mean l0 on the trained MNIST models; on plain it is within ``close`` of B&B."""
    victims = victims_of(inputs)
    return all_of(
        *(smallest(victim, "l0") for victim in _trained(inputs, "mnist")),
        ratio_at_most(victims["mnist-plain"], "l0", "PDPGD", "B&B", 1 + inputs.settings["close"]),
    )


def c13(inputs: ArtefactInputs) -> Verdict:
    """C13: PDGD has the smallest mean l2 norm everywhere, gains most over FAB on MNIST linf-AT, and one run of it
    beats one run of FAB, B&B and DDN there."""
    victims = victims_of(inputs)
    masked = victims["mnist-linf-at"]
    gains = bootstrap(
        lambda *samples: np.array([1 - np.divide(*mean_sizes(sample)) for sample in samples]),
        *(
            sizes_of(victim, "l2", ["PDGD", "FAB"])
            for victim in (masked, *(each for each in victims.values() if each is not masked))
        ),
    )
    listed = ", ".join(f"{100 * gain:.1f}" for gain in gains.value)
    return all_of(
        *(smallest(victim, "l2") for victim in victims.values()),
        holds_in_resamples(
            f"gains over FAB in percent, MNIST linf-AT first, {listed}: the first is largest",
            gains,
            lambda gain: gain[0] > gain[1:].max(),
        ),
        *(ahead(masked, "l2", "PDGD-1", rival) for rival in ("FAB-1", "B&B", "DDN")),
    )


def c14(inputs: ArtefactInputs) -> Verdict:
    """C14: on CIFAR linf-AT the primal-dual attack is lowest in linf and l2 at all radii but the smallest."""
    victim = victims_of(inputs)["cifar-linf-at"]
    return all_of(
        lowest(victim, "linf", "PDPGD-100", first=1), lowest(victim, "l2", "PDGD-100", first=1)
    )  # fmt: skip


def c15(inputs: ArtefactInputs) -> Verdict:
    """C15: on CIFAR linf-AT at the smallest radius the good attacks differ by at most ``near``.

    Good are C&W, DDN, FAB-100, PGD-100 and the primal-dual attacks with all restarts.
    """
    victim = victims_of(inputs)["cifar-linf-at"]
    parts = []
    for norm, good in (
        ("linf", ("PGD-100", "FAB-100", "PDPGD-100")),
        ("l2", ("C&W", "DDN", "PGD-100", "FAB-100", "PDGD-100")),
    ):
        standing = np.stack([victim.stands(norm, column_named(norm, label))[:, 0] for label in good], 1)
        spread = bootstrap(lambda sample: np.ptp(sample.mean(0)), standing.astype(float))
        parts.append(
            at_most(
                f"{title(victim, norm)}: spread at the smallest radius",
                *spread.ends,
                bound=inputs.settings["near"],
            )
        )
    return all_of(*parts)


def c16(inputs: ArtefactInputs) -> Verdict:
    """C16: on every adversarially trained model DF has the largest mean in linf and in l2."""
    return all_of(*(largest(victim, norm, "DF") for victim in _trained(inputs) for norm in ("linf", "l2")))


def c17(inputs: ArtefactInputs) -> Verdict:
    """C17: on MNIST linf-AT l2 DeepFool and SparseFool fail on more than ``clear`` of the images, every other
    attack that minimizes the norm on at most ``rare``."""
    victim = victims_of(inputs)["mnist-linf-at"]
    parts = []
    for norm in NORMS:
        for column in minimizers_of(norm):
            if not victim.runs(norm, column):
                continue
            failed = share(~np.isfinite(victim.sizes(norm, column)[victim.correct]))
            name = f"{norm} {column.attack.name} fails on"
            masked = (norm, column.attack.name) in (("l2", "DF"), ("l1", "SparseFool"))
            parts.append(
                direction(name, *failed, threshold=inputs.settings["clear"])
                if masked
                else at_most(name, *failed, bound=inputs.settings["rare"])
            )
    return all_of(*parts)


def c18(inputs: ArtefactInputs) -> Verdict:
    """C18: mean l2 norms rise in the order B&B, DDN, C&W, DF on MNIST linf-AT, and DDN, C&W, B&B on the others."""
    return all_of(
        *(
            ordered(victim, "l2", *(("B&B", "DDN", "C&W", "DF") if victim.kind == "linf-AT" else ("DDN", "C&W", "B&B")))
            for victim in _of(inputs, "mnist")
        )
    )  # fmt: skip


def c19(inputs: ArtefactInputs) -> Verdict:
    """C19: on the trained CIFAR-10 models C&W has the smallest mean l2 of DF, C&W, DDN and B&B, DDN the next."""
    parts = []
    for victim in _trained(inputs, "cifar"):
        parts.append(ordered(victim, "l2", "C&W", "DDN", "B&B"))
        parts.append(ordered(victim, "l2", "DDN", "DF"))
    return all_of(*parts)


def c20(inputs: ArtefactInputs) -> Verdict:
    """C20: on MNIST linf-AT DAA-50 is below PGD-100 at every radius."""
    return ahead(victims_of(inputs)["mnist-linf-at"], "linf", "DAA-50", "PGD-100")


def c21(inputs: ArtefactInputs) -> Verdict:
    """C21: on the trained CIFAR-10 models DAA-50 leaves more than PGD-1, by ``much``, at all radii but the smallest."""
    return _leaves_more(inputs, "linf", "DAA-50", "PGD-1", HARDER)


def _leaves_more(inputs: ArtefactInputs, norm: str, weaker: str, stronger: str, radii: slice) -> Verdict:
    """Judge on every trained CIFAR-10 model whether one attack leaves more than another, by ``much``."""
    return all_of(
        *(
            direction(
                f"{title(victim, norm)}: {weaker} minus {stronger}",
                *accuracy_gap(victim, norm, weaker, stronger, radii),
                threshold=inputs.settings["much"],
            )
            for victim in _trained(inputs, "cifar")
        )
    )


def c22(inputs: ArtefactInputs) -> Verdict:
    """C22: on MNIST linf-AT FAB-100 leaves more than PGD-100 at the two largest linf radii, on average."""
    victim = victims_of(inputs)["mnist-linf-at"]
    gap = accuracy_gap(victim, "linf", "FAB-100", "PGD-100", slice(3, None))
    return direction(f"{title(victim, 'linf')}: FAB-100 minus PGD-100", *gap)


def c23(inputs: ArtefactInputs) -> Verdict:
    """C23: on the trained CIFAR-10 models at the largest l2 radius PGD-100 leaves more than FAB-1, by ``much``."""
    return _leaves_more(inputs, "l2", "PGD-100", "FAB-1", slice(4, None))


def c24(inputs: ArtefactInputs) -> Verdict:
    """C24: MNIST linf-AT needs smaller perturbations than l2-AT in l1 (by EAD) and l0 (by PDPGD)."""
    victims = victims_of(inputs)
    weak, strong = victims["mnist-linf-at"], victims["mnist-l2-at"]
    parts = []
    for norm, name in (("l1", "EAD"), ("l0", "PDPGD")):
        difference = bootstrap(
            lambda pair: np.subtract(*(mean_sizes(sizes)[0] for sizes in pair)),
            [sizes_of(victim, norm, [name]) for victim in (strong, weak)],
        )
        parts.append(direction(f"MNIST, {norm}, mean of {name}: l2-AT minus linf-AT", *difference.ends))
    return all_of(*parts)


def c25(inputs: ArtefactInputs) -> Verdict:
    """C25: no robust accuracy rises with restarts, and those of l1 PDPGD gain more on MNIST linf-AT than elsewhere.

    The gain is that of 100 restarts over one, averaged over the radii; elsewhere are the other MNIST models.
    """
    victims = _of(inputs, "mnist")
    rises = sum(_rises(victim, norm) for victim in victims for norm in NORMS)
    masked = [victim for victim in victims if victim.kind == "linf-AT"]
    others = [victim for victim in victims if victim.kind != "linf-AT"]
    gains = bootstrap(
        lambda *samples: samples[0].mean() - max(sample.mean() for sample in samples[1:]),
        *(_gain(victim) for victim in (*masked, *others)),
    )
    return all_of(
        equals("rises of a robust accuracy with restarts", rises, 0, tolerance=0),
        direction("gain by restarts in l1, MNIST linf-AT minus the larger of the others", *gains.ends),
    )


def _gain(victim: Victim) -> np.ndarray:
    few, many = (
        victim.stands("l1", column_named("l1", f"PDPGD-{number}")).astype(float) for number in (1, 100)
    )
    return few - many


def _rises(victim: Victim, norm: str) -> int:
    """Count the radii and attacks at which more restarts leave more images."""
    count = 0
    for attack in ATTACKS[norm]:
        accuracy = [
            victim.stands(norm, column_named(norm, f"{attack.name}-{number}")).mean(0)
            for number in attack.restarts
        ]
        count += sum(int((more > fewer + SAME).sum()) for fewer, more in pairwise(accuracy))
    return count


def c26(inputs: ArtefactInputs) -> Verdict:
    """C26: one run of a primal-dual attack has as many iterations as PGD at five radii, to within a tenth."""
    parts = []
    for victim in victims_of(inputs).values():
        assert victim.fixed is not None
        played = victim.minimal.specification["procedures"]
        climbed = victim.fixed.specification["procedures"]
        for norm in ("linf", "l2", "l1"):
            ours = played[f"{norm}-{OURS[norm].lower()}"]["steps"]
            steps = {
                name.split("-")[2]: entry["steps"]
                for name, entry in climbed.items()
                if name.startswith(f"{norm}-pgd-")
            }
            parts.append(
                equals(
                    f"{title(victim, norm)}: iterations over those of PGD",
                    ours / sum(steps.values()),
                    1,
                    tolerance=0.1,
                )
            )
    return all_of(*parts)
