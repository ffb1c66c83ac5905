"""Setting that a method reports: the one that the print corresponds to, or one chosen on images of its own.

The work (chen2021, section 2.5) speaks of a grid search for every method and prints neither grid nor choice. Where its
iterations and distortions give a setting away, that one is reported. The rule of our search, most successes and then
fewest iterations, is another: it prefers long steps, by which MI-FGSM becomes FGSM.
"""

from __future__ import annotations

import pandas as pd

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.results import Results


def settled(inputs: ArtefactInputs, grid: Results) -> Results:
    """Return the procedure of a method's grid that the print corresponds to; the chosen one where none is known."""
    of_role = inputs.settings.get("printed", {}).get(grid.label("role")) or {}
    setting = of_role.get(grid.label("method"))
    return grid.one(**setting) if setting else chosen(grid, inputs.settings["tuning"])


def chosen(grid: Results, tuning: int) -> Results:
    """Return the procedure of a method's grid that does best on the first ``tuning`` images."""

    def merit(procedure: Results) -> tuple[float, float]:
        rows = procedure.rows.iloc[:tuning]
        success = rows["success"].astype(bool)
        iterations = rows["iterations"].where(success, float(procedure.settings["steps"]))
        return float(success.mean()), -float(iterations.mean())

    return max((procedure for _, procedure in grid.groups("procedure")), key=merit)


def reported(procedure: Results, column: str, tuning: int) -> pd.Series:
    """Return a column for the images that did not choose the setting."""
    return procedure.column(column).iloc[tuning:]
