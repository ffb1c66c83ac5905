"""Scales, foreach and placeholders."""

from __future__ import annotations

import pytest

from gauntlet.configuration.expansion import at_scale, insert_presets, refuse_placeholders, unfold
from gauntlet.errors import ConfigurationError


def test_the_chosen_scale_is_taken_at_any_depth():
    value = {
        "a": {"demo": 1, "small": 2, "full": 3},
        "b": [{"demo": {"c": {"demo": 4, "small": 5, "full": 6}}, "small": 7, "full": 8}],
    }
    assert at_scale(value, "demo") == {"a": 1, "b": [{"c": 4}]}
    assert at_scale(value, "full") == {"a": 3, "b": [8]}


@pytest.mark.parametrize(
    ("written", "demo", "small"),
    [({"demo": 1, "full": 3}, 1, 3), ({"small": 2, "full": 3}, 2, 2), ({"full": 3}, 3, 3)],
)
def test_a_scale_that_is_left_out_has_the_value_of_the_next_larger_one(written, demo, small):
    assert [at_scale(written, scale) for scale in ("demo", "small", "full")] == [demo, small, 3]


def test_a_value_by_scale_without_full_is_named_with_its_key():
    with pytest.raises(ConfigurationError, match="lacks full") as caught:
        at_scale({"training": {"epochs": {"demo": 1, "small": 3}}}, "demo")
    assert caught.value.key == "training.epochs"


def test_a_preset_may_hold_presets_and_placeholders_and_is_replaced_key_by_key():
    presets = {"net": {"name": "cnn", "layers": {"preset": "layers"}}, "layers": [1, "{width}"]}
    value = {"small": {"preset": "net"}, "wide": [{"preset": "net", "layers": [9], "bias": False}]}
    assert insert_presets(value, presets) == {
        "small": {"name": "cnn", "layers": [1, "{width}"]},
        "wide": [{"name": "cnn", "layers": [9], "bias": False}],
    }


def test_a_preset_that_is_no_mapping_takes_no_further_keys():
    with pytest.raises(ConfigurationError, match="only a preset that is a mapping"):
        insert_presets({"steps": {"preset": "few", "more": 1}}, {"few": 3})


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
    unfolded = unfold(entries, "models")
    assert [(name, entry["width"], entry["path"]) for name, entry in unfolded.items()] == [
        ("m-1-a", 1, "x/a/1"),
        ("m-1-b", 1, "x/b/1"),
        ("m-5-a", 5, "x/a/5"),
        ("m-5-b", 5, "x/b/5"),
    ]


def test_bindings_that_are_text_or_numbers_become_labels_and_own_labels_go_before_them():
    entries = {
        "m-{width}": {
            "foreach": {"width": [1], "net": [{"name": "cnn"}]},
            "net": "{net}",
            "labels": {"title": "of width {width}"},
        }
    }
    assert unfold(entries, "models") == {
        "m-1": {"net": {"name": "cnn"}, "labels": {"width": 1, "title": "of width 1"}}
    }


def test_a_key_with_two_variables_binds_pairs():
    entries = {"attack-{norm}": {"foreach": {"norm, eps": [["linf", 0.1], ["l2", 0.5]]}, "eps": "{eps}"}}
    unfolded = unfold(entries, "procedures")
    assert {name: entry["eps"] for name, entry in unfolded.items()} == {"attack-linf": 0.1, "attack-l2": 0.5}


def test_rows_bind_variables_by_name_beside_other_axes():
    rows = [{"norm": "linf", "eps": 0.1, "steps": 3}, {"norm": "l2", "eps": 0.5, "steps": 4}]
    entries = {"{norm}-{seed}": {"foreach": {"rows": rows, "seed": [0, 1]}, "eps": "{eps}"}}
    unfolded = unfold(entries, "procedures")
    assert [(name, entry["eps"]) for name, entry in unfolded.items()] == [
        ("linf-0", 0.1),
        ("linf-1", 0.1),
        ("l2-0", 0.5),
        ("l2-1", 0.5),
    ]


def test_a_nested_foreach_keeps_its_own_variables():
    entries = {
        "e-{m}": {
            "foreach": {"m": ["x"]},
            "procedures": {"p-{s}": {"foreach": {"s": [1, 2]}, "steps": "{s}", "of": "{m}"}},
        }
    }
    (entry,) = unfold(entries, "evaluations").values()
    procedures = unfold(entry["procedures"], "procedures")
    assert {name: (each["steps"], each["of"]) for name, each in procedures.items()} == {
        "p-1": (1, "x"),
        "p-2": (2, "x"),
    }


def test_an_entry_that_is_null_at_this_scale_does_not_exist():
    assert unfold({"a": None, "b": {"x": 1}}, "models") == {"b": {"x": 1, "labels": {}}}


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ({"same": {"foreach": {"w": [1, 2]}}}, "duplicate name"),
        ({"Not A Name": {}}, "not a usable name"),
        ({"a": {"foreach": {"w": 3}}}, "must be a list"),
        ({"a": {"foreach": {"n, e": [["linf"]]}}}, "does not fit"),
        ({"a": {"foreach": {"n, e, s": [["linf", 1, 2]]}}}, "too many columns"),
        ({"a": {"foreach": {"rows": [{"n": 1}, {"e": 1}]}}}, "does not fit the others"),
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
