"""Versions of an image, clean, noisy and attacked, and what was recorded of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gauntlet.analysis.results import Results
from gauntlet.reporting.numerals import radius_text
from gauntlet.setting_types import ORDER

Version = str | int
"""``clean``, a kind of noise, or the number of an attack's steps; the label ``perturbation`` of the configuration."""

NOISES = ("gauss", "unif", "bound")
STEPS = (1, 2, 4, 8, 16)
SEVEN: tuple[Version, ...] = ("unif", "bound", *STEPS)
"""The perturbations that the accuracies of Tables 4.3 and 4.4 average over."""
NINE: tuple[Version, ...] = ("clean", *NOISES, *STEPS)
"""Every version of an image that section 4.2.2 compares, in the order of the figures."""

NOISE_NAMES = {"gauss": "Gauss", "unif": "uniform", "bound": "boundary"}
NORM_SYMBOLS = {"linf": r"$\ell_\infty$", "l2": r"$\ell_2$", "l1": r"$\ell_1$"}


def version_name(version: Version) -> str:
    """Return a version as a legend shows it."""
    if version in STEPS:
        return f"{version} step" + ("s" if version != 1 else "")
    return NOISE_NAMES.get(str(version), str(version))


class Scheme(NamedTuple):
    """Decay of the step lengths, and whether a tenth of every step is random (Algorithm 4)."""

    decay: str
    randomized: bool

    def __str__(self) -> str:
        """Return the scheme as a legend or a table shows it."""
        return f"{self.decay}, {'randomized' if self.randomized else 'deterministic'}"


DECAYS = ("constant", "harmonic", "geometric")
ALL_SCHEMES = tuple(Scheme(decay, randomized) for decay in DECAYS for randomized in (False, True))
SCHEMES = ALL_SCHEMES[2:]
"""The four schemes of Tables 4.3 to 4.6."""
HARMONIC = SCHEMES[0]


def values(
    model: Results, column: str, ball: str, versions: Iterable[Version] = STEPS, scheme: Scheme = HARMONIC
) -> np.ndarray:
    """Return a column for several versions of every image, ``[images, versions]``, by the image's index."""
    found = []
    for version in versions:
        labels = {} if version == "clean" else {"ball": ball}
        if version in STEPS:
            labels |= scheme._asdict()
        found.append(model.one(perturbation=version, **labels).column(column).sort_index())
    return np.stack(found, axis=1).astype(float)


def pooled(
    model: Results,
    column: str,
    ball: str,
    versions: Sequence[Version] = STEPS,
    schemes: Iterable[Scheme] = SCHEMES,
) -> np.ndarray:
    """Return a column over several schemes side by side, ``[images, schemes * versions]``."""
    return np.concatenate([values(model, column, ball, versions, scheme) for scheme in schemes], axis=1)


def in_top(
    model: Results, k: int, ball: str, versions: Iterable[Version] = STEPS, scheme: Scheme = HARMONIC
) -> np.ndarray:
    """Return, as 0 or 1, for which images fewer than ``k`` classes are more likely than the true one."""
    return (values(model, "rank", ball, versions, scheme) < k).astype(float)


def accuracy_by_image(
    model: Results,
    k: int,
    ball: str,
    versions: Sequence[Version] = SEVEN,
    schemes: Sequence[Scheme] = SCHEMES,
) -> np.ndarray:
    """Return the top-k accuracy averaged over perturbations and schemes, a number per image."""
    return np.mean([in_top(model, k, ball, versions, scheme).mean(1) for scheme in schemes], axis=0)


def as_printed(attacks: Results) -> dict[str, Any]:
    """Return norm and radius of the published attack that ours stand for."""
    return {"attack_norm": ORDER[attacks.label("norm")], "attack_eps": attacks.label("printed_eps")}


def radius_heading(attacks: Results) -> str:
    """Return norm and radius for a heading, such as ``l2, eps = 2.209 (T)``."""
    rule = attacks.label("rule")
    norm, eps = NORM_SYMBOLS[attacks.label("norm")], radius_text(attacks.label("eps"))
    return f"{norm}, $\\epsilon$ = {eps}" + (f" (${rule}$)" if rule else "")


def images_text(model: Results) -> str:
    """Return how many images of which data set an artefact shows."""
    return (
        f"{len(model.one(perturbation='clean').rows)} correctly classified images of {model.label('dataset')}"
    )


def histogram(sample: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the share of the values in every bin; the last bin includes its upper edge, NaN is in none."""
    counts, _ = np.histogram(sample[~np.isnan(sample)], edges)
    return counts / len(sample)
