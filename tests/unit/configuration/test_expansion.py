"""Scales, foreach and placeholders."""

from __future__ import annotations

import pytest

from gauntlet.configuration.expansion import at_scale, refuse_placeholders, unfold
from gauntlet.errors import ConfigurationError


def test_the_chosen_scale_is_taken_at_any_depth():
    value = {
        "a": {"demo": 1, "small": 2, "full": 3},
        "b": [{"demo": {"c": {"demo": 4, "small": 5, "full": 6}}, "small": 7, "full": 8}],
    }
    assert at_scale(value, "demo") == {"a": 1, "b": [{"c": 4}]}
    assert at_scale(value, "full") == {"a": 3, "b": [8]}


def test_a_missing_scale_is_named_with_its_key():
    with pytest.raises(ConfigurationError, match="lacks a scale") as caught:
        at_scale({"training": {"epochs": {"demo": 1, "full": 3}}}, "demo")
    assert caught.value.key == "training.epochs"
    assert caught.value.valid == "exactly demo, small, full"


def test_a_scale_beside_other_keys_is_refused():
    with pytest.raises(ConfigurationError, match="another key"):
        at_scale({"demo": 1, "small": 2, "full": 3, "epochs": 4}, "demo")


def test_foreach_unfolds_the_product_and_fills_names_and_values():
    entries = {
        "m-{width}-{p}": {
            "foreach": {"width": [1, 5], "p": ["a", "b"]},
            "width": "{width}",
            "path": "x/{p}/{width}",
        }
    }
    assert unfold(entries, "models") == {
        "m-1-a": {"width": 1, "path": "x/a/1"},
        "m-1-b": {"width": 1, "path": "x/b/1"},
        "m-5-a": {"width": 5, "path": "x/a/5"},
        "m-5-b": {"width": 5, "path": "x/b/5"},
    }


def test_a_key_with_commas_binds_the_columns_of_its_rows():
    entries = {"attack-{norm}": {"foreach": {"norm, eps": [["linf", 0.1], ["l2", 0.5]]}, "eps": "{eps}"}}
    assert unfold(entries, "procedures") == {"attack-linf": {"eps": 0.1}, "attack-l2": {"eps": 0.5}}


def test_a_nested_foreach_keeps_its_own_variables():
    entries = {
        "e-{m}": {
            "foreach": {"m": ["x"]},
            "procedures": {"p-{s}": {"foreach": {"s": [1, 2]}, "steps": "{s}", "of": "{m}"}},
        }
    }
    (entry,) = unfold(entries, "evaluations").values()
    assert unfold(entry["procedures"], "procedures") == {
        "p-1": {"steps": 1, "of": "x"},
        "p-2": {"steps": 2, "of": "x"},
    }


def test_an_entry_that_is_null_at_this_scale_does_not_exist():
    assert unfold({"a": None, "b": {"x": 1}}, "models") == {"b": {"x": 1}}


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ({"same": {"foreach": {"w": [1, 2]}}}, "duplicate name"),
        ({"Not A Name": {}}, "not a usable name"),
        ({"a": {"foreach": {"w": 3}}}, "must be a list"),
        ({"a": {"foreach": {"n, e": [["linf"]]}}}, "does not fit"),
        ({"a": 3}, "must be a mapping"),
    ],
)
def test_malformed_entries_are_refused_with_their_reason(entries, problem):
    with pytest.raises(ConfigurationError, match=problem):
        unfold(entries, "models")


def test_an_unfilled_placeholder_is_an_error():
    with pytest.raises(ConfigurationError, match="unknown placeholder") as caught:
        refuse_placeholders({"a": [{"b": "x-{wdith}"}]}, "models.m", ["width"])
    assert caught.value.found == "{wdith}"
    assert "width" in caught.value.valid
