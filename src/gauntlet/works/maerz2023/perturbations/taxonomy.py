"""Tables 1.1, 1.2 and 2.1: where the work's attacks and defences stand among the others."""

from __future__ import annotations

import pandas as pd

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.attacks.fixed_budget.named_instances import NAMED_INSTANCES
from gauntlet.reporting.artefacts import Table


def marked(inputs: ArtefactInputs) -> Table:
    """Tables 1.1 and 1.2: the dimensions of threat models or of defences, with a cross where the work's two stand."""
    first, second = inputs.settings["columns"]
    rows = [
        {
            "dimension": dimension["name"],
            "value": value,
            first: "×" if value == dimension["first"] else "",
            second: "×" if value == dimension["second"] else "",
        }
        for dimension in inputs.settings["dimensions"]
        for value in dimension["values"]
    ]
    return Table(pd.DataFrame(rows), inputs.settings["caption"])


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
