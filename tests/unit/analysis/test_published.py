"""Published numbers beside reproduced ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gauntlet.analysis.published import agreement, beside_published, published_value, side_by_side

OURS = pd.DataFrame(
    {
        "model": ["a", "b"],
        "eps": [8 / 255, 0.1],
        "reproduced": [50.0, 30.0],
        "ci_low": [45.0, 25.0],
        "ci_high": [55.0, 35.0],
        "samples": [100, 100],
    }
)
THEIRS = pd.DataFrame(
    {"model": ["a", "c"], "eps": ["8/255", "0.1"], "value": ["52.5", "99"], "note": ["", "x"]}
)


def test_every_row_of_both_sides_stays_once() -> None:
    found = beside_published(OURS, THEIRS, on=["model", "eps"])
    assert list(found["model"]) == ["a", "b", "c"]
    assert list(found.columns) == [
        *("model", "eps", "reproduced", "ci_low", "ci_high", "published", "difference", "samples")
    ]
    np.testing.assert_allclose(found["published"], [52.5, np.nan, 99.0])
    np.testing.assert_allclose(found["difference"], [-2.5, np.nan, np.nan])


def test_a_published_number_never_stands_among_the_reproduced_ones() -> None:
    found = beside_published(OURS, THEIRS, on=["model", "eps"])
    assert found.loc[found["model"] == "c", ["reproduced", "ci_low", "ci_high"]].isna().all(axis=None)
    assert not set(found["reproduced"].dropna()) & set(found["published"].dropna())
    everything_published = beside_published(OURS.iloc[:0], THEIRS, on=["model", "eps"])
    assert everything_published["reproduced"].isna().all()
    assert len(everything_published) == 2


def test_a_frame_that_brings_published_numbers_of_its_own_is_refused() -> None:
    with pytest.raises(ValueError, match="published"):
        beside_published(OURS.assign(published=1.0), THEIRS, on=["model", "eps"])


def test_units_are_converted_on_the_published_side() -> None:
    found = beside_published(OURS, THEIRS, on=["model", "eps"], scale=0.01)
    assert found["published"].iloc[0] == pytest.approx(0.525)
    assert found["reproduced"].iloc[0] == 50.0


def test_keys_that_occur_twice_are_refused() -> None:
    with pytest.raises(ValueError, match=r"published numbers are not unique.*a / 0.03137"):
        beside_published(OURS, pd.concat([THEIRS, THEIRS]), on=["model", "eps"])
    with pytest.raises(ValueError, match="reproduced numbers are not unique"):
        beside_published(pd.concat([OURS, OURS]), THEIRS, on=["model", "eps"])


def test_a_published_text_is_refused_and_a_missing_column_named() -> None:
    with pytest.raises(ValueError, match="ADAM"):
        beside_published(OURS, THEIRS.assign(value=["52.5", "ADAM"]), on=["model", "eps"])
    with pytest.raises(KeyError, match="attack"):
        beside_published(OURS, THEIRS, on=["model", "attack"])


def test_nothing_published_leaves_our_numbers_alone() -> None:
    found = beside_published(OURS, pd.DataFrame(), on=["model", "eps"])
    assert list(found["reproduced"]) == [50.0, 30.0]
    assert found["published"].isna().all()
    assert agreement(found) == {"published": 0, "reproduced": 0, "with_interval": 0, "inside": 0}


def test_one_published_number_is_found_by_its_keys() -> None:
    assert published_value(THEIRS, model="c", eps="0.1") == 99.0
    assert published_value(THEIRS, value="eps", model="a") == pytest.approx(8 / 255)
    with pytest.raises(LookupError, match="0 published numbers match model='z'"):
        published_value(THEIRS, model="z")
    assert np.isnan(published_value(THEIRS, model="z", absent=np.nan))


@pytest.mark.parametrize(
    ("column", "written", "asked"),
    [("norm", ["inf", "2"], np.inf), ("rand", ["true", "false"], True), ("eps", ["3/255", "0.1"], 3 / 255)],
)
def test_published_keys_are_equal_however_they_are_typed(column: str, written: list[str], asked: Any) -> None:
    printed = pd.DataFrame({column: written, "value": [1.0, 2.0]})
    assert published_value(printed, **{column: asked}) == 1.0


def test_agreement_counts_counterparts_and_those_inside_our_interval() -> None:
    theirs = pd.DataFrame({"model": ["a", "b", "c"], "eps": [8 / 255, 0.1, 0.1], "value": [52.5, 70, 99]})
    found = beside_published(OURS, theirs, on=["model", "eps"])
    assert agreement(found) == {"published": 3, "reproduced": 2, "with_interval": 2, "inside": 1}
    assert agreement(OURS) is None


def test_cells_hold_the_published_number_in_parentheses() -> None:
    long = pd.DataFrame(
        {
            "model": ["a", "a", "b"],
            "attack": ["x", "y", "x"],
            "norm": ["l2", "l2", "l2"],
            "reproduced": [1.0, np.nan, 3.0],
            "published": [1.5, 2.5, np.nan],
        }
    )
    flat = side_by_side(long, rows=["model"], columns=["attack"], decimals=1)
    assert flat.to_dict("list") == {"model": ["a", "b"], "x": ["1.0 (1.5)", "3.0"], "y": ["– (2.5)", ""]}
    grouped = side_by_side(long, rows=["model"], columns=["norm", "attack"], decimals=1)
    assert list(grouped.columns) == [("", "model"), ("l2", "x"), ("l2", "y")]
