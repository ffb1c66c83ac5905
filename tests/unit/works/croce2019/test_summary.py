from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from gauntlet.works.croce2019.linear_regions.summary import difference_to_best

PUBLISHED = Path(__file__).parents[4] / "config" / "published" / "croce2019"


def test_the_published_tables_2_to_4_give_the_36_numbers_of_the_published_table_1():
    cells = pd.concat([pd.read_csv(PUBLISHED / f"table_{number}.csv") for number in (2, 3, 4)])
    computed = difference_to_best(cells.rename(columns={"value": "robust_accuracy"}))
    assert (computed["settings"] == 15).all()
    published = pd.read_csv(PUBLISHED / "table_1.csv")
    short = published["metric"].str.split("_").str[0]
    wide = published.assign(short=short).pivot_table(
        index=["dataset", "attack"], columns="short", values="value"
    )
    assert wide.size == 36
    for row in computed.itertuples():
        for name in ("mean", "max"):
            # Printed with four decimals.
            assert getattr(row, name) == pytest.approx(wide.loc[(row.dataset, row.attack), name], abs=5.1e-5)


def test_a_setting_counts_its_distance_from_the_lowest_accuracy_and_clean_rows_do_not_count():
    cells = pd.DataFrame(
        [
            ("d", "m", 0.0, "a", 0.9),
            ("d", "m", 1.0, "a", 0.5),
            ("d", "m", 1.0, "b", 0.2),
            ("d", "m", 2.0, "a", 0.1),
            ("d", "m", 2.0, "b", 0.2),
        ],
        columns=["dataset", "model", "eps", "attack", "robust_accuracy"],
    )
    result = difference_to_best(cells).set_index("attack")
    assert result.loc["a", "mean"] == pytest.approx(0.15)
    assert result.loc["a", "max"] == pytest.approx(0.3)
    assert result.loc["b", "mean"] == pytest.approx(0.05)
    assert result.loc["b", "settings"] == 2
