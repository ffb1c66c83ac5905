"""Choice of a method's setting on images of its own (chen2021, section 2.5).

The work speaks of a grid search for every method; the rule, most successes and then fewest iterations, is ours.
"""

from __future__ import annotations

import pandas as pd

from gauntlet.analysis.results import Results


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
