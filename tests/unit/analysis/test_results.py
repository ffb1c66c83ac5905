"""Results: selected by label, aligned by sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gauntlet.analysis.results import Results

ResultsOf = Callable[..., Results]


@pytest.fixture
def results(results_of: ResultsOf) -> Results:
    """Two models under a clean pass and PGD at two radii; the second has its samples in another order and one more."""

    def procedures(shift: float, index: list[int]) -> dict[str, dict[str, Any]]:
        return {
            "clean": {"columns": {"confidence": [shift + i for i in index]}, "index": index},
            **{
                f"pgd-{number}": {
                    "columns": {"loss": [10 * number + shift + i for i in index]},
                    "labels": {"attack": "PGD", "radius": number / 10},
                    "settings": {"steps": 10, "eps": number / 10},
                    "index": index,
                }
                for number in (1, 2)
            },
        }

    return results_of(
        {"plain": procedures(0.0, [4, 2, 7]), "robust": procedures(0.5, [2, 4, 7, 9])},
        {"plain": {"model": "plain"}, "robust": {"model": "AT", "training_radius": 0.3}},
    )


def test_labels_select_procedures(results: Results) -> None:
    assert len(results) == 6
    assert len(results.where(model="AT")) == 3
    assert len(results.where(model="AT", attack="PGD")) == 2
    assert len(results.where(radius=[0.1, 0.2])) == 4
    assert len(results.where(radius={0.2}, model=("plain", "AT"))) == 2
    assert len(results.where(attack=None)) == 2, "a label that is missing is asked for by None"
    assert len(results.where(model="TRADES")) == 0, "what was not run is no error"


def test_an_unknown_label_is_named_with_the_nearest(results: Results) -> None:
    for ask in (lambda: results.where(modle="AT"), lambda: results.values("modle")):
        with pytest.raises(KeyError, match=r"modle.*model"):
            ask()


def test_values_keep_the_order_of_the_configuration(results: Results) -> None:
    assert results.values("model") == ["plain", "AT"]
    assert results.values("radius") == [0.1, 0.2]
    assert results.values("training_radius") == [0.3]


def test_groups_have_each_combination_once_in_order(results: Results) -> None:
    keys = [key for key, _ in results.groups("model", "radius")]
    assert keys == [("plain", 0.1), ("plain", 0.2), ("AT", 0.1), ("AT", 0.2)], "clean has no radius"
    assert [(key, len(found)) for key, found in results.groups("radius")] == [(0.1, 2), (0.2, 2)]
    assert [key for key, _ in results.groups("training_radius")] == [0.3]


def test_one_procedure_is_asked_for(results: Results) -> None:
    assert results.one(model="AT", radius=0.2).label("procedure") == "pgd-2"
    with pytest.raises(LookupError, match="plain/pgd-1, plain/pgd-2"):
        results.one(model="plain", attack="PGD")
    with pytest.raises(LookupError, match=r"radius=0\.7; found none of plain/clean"):
        results.one(radius=0.7)
    with pytest.raises(LookupError, match="2 values"):
        results.label("model")


def test_columns_are_aligned_by_sample_and_lose_what_one_lacks(results: Results) -> None:
    losses = results.where(radius=0.1).by_sample("loss", "model")
    assert list(losses.columns) == ["plain", "AT"]
    assert losses.index.get_level_values("index").tolist() == [4, 2, 7]
    np.testing.assert_allclose(losses["AT"] - losses["plain"], 0.5)
    assert results.where(radius=0.7).by_sample("loss", "model").empty


def test_a_column_that_was_never_filled_is_unknown_for_every_sample(results: Results) -> None:
    queries = results.one(model="plain", radius=0.1).column("queries_to_success")
    assert len(queries) == 3 and queries.isna().all()


def test_the_frame_has_labels_as_columns(results: Results) -> None:
    frame = results.where(attack="PGD").frame
    assert len(frame) == 2 * 3 + 2 * 4
    assert frame.groupby(["model", "radius"], sort=False)["loss"].mean().tolist() == pytest.approx(
        [10 + 13 / 3, 20 + 13 / 3, 16.0, 26.0]
    )
    assert frame.loc[frame["model"] == "plain", "training_radius"].isna().all()


def test_a_setting_is_given_where_all_procedures_share_it(results: Results) -> None:
    attacks = results.where(attack="PGD")
    assert attacks.setting("steps") == 10
    with pytest.raises(LookupError, match="eps"):
        attacks.setting("eps")
    with pytest.raises(LookupError, match="steps"):
        results.setting("steps")
