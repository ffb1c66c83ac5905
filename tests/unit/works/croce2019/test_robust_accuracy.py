"""Gaps to the best attack, against the published Table 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gauntlet.works.croce2019.linear_regions.robust_accuracy import gaps

PUBLISHED = Path(__file__).parents[4] / "config" / "published" / "croce2019"


def test_the_published_tables_2_to_4_give_the_36_numbers_of_the_published_table_1():
    cells = pd.concat([pd.read_csv(PUBLISHED / f"table_{number}.csv") for number in (2, 3, 4)])
    cells = cells[cells["eps"] > 0]
    printed = pd.read_csv(PUBLISHED / "table_1.csv")
    assert len(printed) == 36
    for data, of_data in cells.groupby("dataset"):
        accuracy = of_data.set_index(["model", "eps", "attack"])["value"].unstack()  # noqa: PD010
        assert len(accuracy) == 15
        behind = gaps(accuracy.to_numpy())
        for statistic, computed in (("mean", behind.mean(0)), ("max", behind.max(0))):
            rows = printed[(printed["dataset"] == data) & printed["metric"].str.startswith(statistic)]
            # Printed with four decimals.
            expected = rows.set_index("attack")["value"].loc[list(accuracy.columns)]
            np.testing.assert_allclose(computed, expected, atol=5.1e-5)


def test_a_gap_is_the_distance_from_the_lowest_accuracy_of_the_setting():
    assert gaps(np.array([[0.5, 0.2], [0.1, 0.2]])) == pytest.approx(np.array([[0.3, 0.0], [0.0, 0.1]]))
