"""Tables 1.1, 1.2 and 2.1: where the work's attacks and defences stand among the others."""

from __future__ import annotations

import pandas as pd

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.attacks.fixed_budget.named_instances import NAMED_INSTANCES
from gauntlet.reporting.artefacts import Table

# Dimension, its possible values, and those that gradient attacks (G) and BOBYQA (B) take.
THREATS = (
    ("knowledge", ("white box", "black box"), "white box", "black box"),
    ("goal", ("untargeted", "targeted"), "untargeted", "targeted"),
    ("constraint", ("bounded in a p-norm", "other"), "bounded in a p-norm", "bounded in a p-norm"),
    ("applicability", ("individual image", "universal"), "individual image", "individual image"),
    ("order of derivatives", ("zeroth", "first", "second"), "first", "zeroth"),
)
# Dimension, its possible values, and those that adversarial training (A) and smoothing (S) take.
DEFENCES = (
    ("time of application", ("proactive", "reactive"), "proactive", "reactive"),
    ("guarantee", ("empirical", "certified"), "empirical", "certified"),
    ("specificity", ("attack-agnostic", "attack-specific"), "attack-agnostic", "attack-agnostic"),
)


def table_1_1(inputs: ArtefactInputs) -> Table:
    """Table 1.1: the threat model of the two attacks of the work."""
    return _marked(
        THREATS,
        ("gradient attacks (G)", "BOBYQA (B)"),
        "Threat models, with the place of the two kinds of attack that the work studies.",
    )


def table_1_2(inputs: ArtefactInputs) -> Table:
    """Table 1.2: categories of defences."""
    return _marked(
        DEFENCES,
        ("adversarial training (A)", "smoothing (S)"),
        "Categories of defences, with the place of the two that the work attacks.",
    )


def _marked(
    rows: tuple[tuple[str, tuple[str, ...], str, str], ...], columns: tuple[str, str], caption: str
) -> Table:
    """Write one row per value, with a cross where a column takes it."""
    cells = [
        {
            "dimension": dimension,
            "value": value,
            columns[0]: "×" if value == first else "",
            columns[1]: "×" if value == second else "",
        }
        for dimension, values, first, second in rows
        for value in values
    ]
    return Table(pd.DataFrame(cells), caption)


def table_2_1(inputs: ArtefactInputs) -> Table:
    """Table 2.1: the attacks of the literature as instances of Algorithm 1."""
    starts = {
        "none": "0",
        "uniform": "uniform in the ball",
        "gaussian": "N(0, sigma²)",
        "gaussian_sign": "sign of a Gaussian",
    }
    aims = {"none": "none", "samples": "chosen", "least_likely": "least likely class"}
    rows = [
        {
            "name": name,
            "norm": row.norm,
            "step_length": row.step_rule,
            "steps": "> 1" if row.several_steps else "1",
            "random_start": starts[row.random_start],
            "target": aims[row.target],
            "references": ", ".join(map(str, row.references)),
        }
        for name, row in NAMED_INSTANCES.items()
    ]
    return Table(
        pd.DataFrame(rows),
        "Attacks of the literature as instances of the template of Algorithm 1. References are numbers of the "
        "work's bibliography.",
        notes=(
            "The table prints no target for the two R-FGSM attacks that have one by their names. Reference 95 "
            "itself uses a step of 1.25 eps with clipping.",
        ),
    )
