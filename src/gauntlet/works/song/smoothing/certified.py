"""Columns of Table 5.1, and what every table of certificates says about its noise draws (song, section 5.1)."""

from __future__ import annotations

from gauntlet.analysis.certificates import dissent_allowed, largest_radius
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.results import Results

RADII = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
"""The columns of Table 5.1 after ACR and ACC."""

LEAST_DISSENT = 0.5
"""Below this share of the dissenting votes that a radius allows, the number of draws decides about the accuracy."""


def in_printed_order(inputs: ArtefactInputs) -> list[str]:
    """Return the models that were certified in the order of the printed table."""
    certified = inputs.results.values("model")
    return [model for model in inputs.published["model"].unique() if model in certified]


def limit(results: Results) -> float:
    """Return the largest radius that unanimous votes certify at one noise level."""
    return largest_radius(*_draws(results))


def is_limited(results: Results, radius: float) -> bool:
    """Return whether the number of draws costs a certificate at a radius most of the dissent it allows."""
    return dissent_allowed(radius, *_draws(results)) < LEAST_DISSENT


def _draws(results: Results) -> tuple[float, int, float]:
    return results.setting("sigma"), results.setting("n"), results.setting("alpha")


def described(results: Results) -> str:
    """Return how many images of which data set were certified, and with how many draws."""
    return (
        f"{len(results.correct)} test images of {results.label('dataset')}, "
        f"{results.setting('n'):,} noise draws each, failure probability {results.setting('alpha'):g}"
    )
