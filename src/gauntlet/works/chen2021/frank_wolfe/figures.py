"""Figures of chapter 2 (chen2021, section 2.5)."""

from __future__ import annotations

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.reporting.artefacts import Figure
from gauntlet.works.chen2021.layout import success_curves


def figure_2_1(inputs: ArtefactInputs) -> Figure:
    """Figure 2.1: attack success rate against the number of queries."""
    return success_curves(
        inputs,
        "data",
        inputs.results.values("method"),
        "Success rate of targeted black-box attacks after so many queries. Hollow markers: published end points; "
        "the published curves themselves are not given in numbers.",
    )
