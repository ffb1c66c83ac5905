"""Verdicts, and the jobs that make artefacts and check claims."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gauntlet.errors import ConfigurationError, DataError
from gauntlet.reporting.claims import Verdict, all_of, at_most, direction, equals, not_testable, within
from gauntlet.reporting.inputs import load_inputs
from gauntlet.reporting.making import check_claims, find_function, make_artefact, write_claims


@pytest.mark.parametrize(
    ("low", "high", "threshold", "decision"),
    [
        (0.1, 0.3, 0.0, "supported"),
        (-0.3, -0.1, 0.0, "contradicted"),
        (-0.1, 0.3, 0.0, "inconclusive"),
        (0.0, 0.3, 0.0, "inconclusive"),
        (0.1, 0.3, 0.2, "inconclusive"),
        (0.1, 0.15, 0.2, "contradicted"),
    ],
)
def test_a_direction_is_decided_by_its_interval(
    low: float, high: float, threshold: float, decision: str
) -> None:
    verdict = direction("gap", (low + high) / 2, low, high, threshold=threshold)
    assert verdict.decision == decision
    assert verdict.numbers == {"gap": (low + high) / 2, "gap, low": low, "gap, high": high}
    assert verdict.reason.startswith(f"gap: {(low + high) / 2:.4g} [{low:.4g}, {high:.4g}]")


@pytest.mark.parametrize(
    ("low", "high", "decision"), [(1, 5, "supported"), (4, 6, "inconclusive"), (6, 7, "contradicted")]
)
def test_a_bound_is_kept_where_the_whole_interval_keeps_it(low: float, high: float, decision: str) -> None:
    assert at_most("rate", (low + high) / 2, low, high, bound=5).decision == decision


@pytest.mark.parametrize(
    ("low", "high", "decision"),
    [(-1, 1, "supported"), (-3, 1, "inconclusive"), (3, 4, "contradicted"), (-9, -3, "contradicted")],
)
def test_a_range_holds_where_the_whole_interval_lies_in_it(low: float, high: float, decision: str) -> None:
    assert within("gap", (low + high) / 2, low, high, between=(-2, 2)).decision == decision


def test_a_number_without_sampling_error_is_right_or_wrong() -> None:
    assert equals("factor", 26.8628, 26.8629, tolerance=1e-3).decision == "supported"
    assert equals("factor", 26.8628, 27.0, tolerance=1e-3).decision == "contradicted"


@pytest.mark.parametrize(
    ("parts", "decision"),
    [
        (["supported", "supported"], "supported"),
        (["supported", "inconclusive"], "inconclusive"),
        (["inconclusive", "contradicted", "supported"], "contradicted"),
        (["supported", "not testable"], "supported"),
        (["not testable", "not testable"], "not testable"),
    ],
)
def test_the_weakest_part_decides_a_claim_of_several(parts: list[Any], decision: str) -> None:
    joined = all_of(*(Verdict(part, f"Part {i}.", {f"n{i}": float(i)}) for i, part in enumerate(parts)))
    assert joined.decision == decision
    assert joined.reason == " ".join(f"Part {i}." for i in range(len(parts)))
    assert joined.numbers == {f"n{i}": float(i) for i in range(len(parts))}


def test_what_cannot_be_tested_says_why() -> None:
    assert not_testable("no data") == Verdict("not testable", "no data")


def test_the_claims_of_a_work_become_a_table_of_verdicts(
    invented_work: str, claims_spec: dict[str, Any], tmp_path: Path
) -> None:
    write_claims(check_claims(claims_spec), tmp_path / "claims.csv", tmp_path / "claims.md")
    found = pd.read_csv(tmp_path / "claims.csv")
    assert list(found.columns) == ["claim", "statement", "decision", "reason", "numbers", "scale"]
    assert list(found["claim"]) == ["c1", "c2", "c3", "c4"]
    assert list(found["decision"]) == ["supported", "contradicted", "supported", "not testable"]
    assert found["reason"].iloc[3] == "the images cannot be had"
    numbers = json.loads(found["numbers"].iloc[0])
    assert numbers["hardened minus natural, low"] > 0
    markdown = (tmp_path / "claims.md").read_text(encoding="utf-8").splitlines()
    assert len(markdown) == 6
    assert r"Smoothing \| hurts." in markdown[3]


def test_a_check_that_fails_names_its_claim(invented_work: str, claims_spec: dict[str, Any]) -> None:
    claims_spec["claims"][1]["check"] = "failing"
    with pytest.raises(RuntimeError, match=r"claim c2 of invented2020.*nothing to divide by"):
        check_claims(claims_spec)


def test_a_check_must_return_a_verdict(
    invented_work: str, claims_spec: dict[str, Any], published: str
) -> None:
    claims_spec["claims"][0] |= {"check": "robust_accuracy", "published": [published]}
    with pytest.raises(TypeError, match=r"claim c1 .* returned a Table"):
        check_claims(claims_spec)


def test_numbers_that_json_cannot_hold_become_null(
    invented_work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules[f"gauntlet.works.{invented_work}.claims"]
    verdict = Verdict("inconclusive", "r", {"x": float("inf"), "y": 1.0})
    monkeypatch.setattr(module, "endless", lambda inputs: verdict, raising=False)
    spec = {
        "work": invented_work,
        "scale": "demo",
        "claims": [{"name": "endless", "statement": "s", "missing": None}],
    }
    assert json.loads(check_claims(spec)["numbers"].iloc[0]) == {"x": None, "y": 1.0}


def test_an_unknown_function_is_named_with_the_nearest(invented_work: str) -> None:
    module = sys.modules[f"gauntlet.works.{invented_work}.artefacts"]
    module.queries.__module__, before = module.__name__, module.queries.__module__
    try:
        with pytest.raises(ConfigurationError, match=r"did you mean queries\?"):
            find_function(invented_work, "querys", "artefacts")
    finally:
        module.queries.__module__ = before
    with pytest.raises(ConfigurationError, match=r"has no module gauntlet\.works\.invented2020\.nowhere"):
        find_function(invented_work, "nowhere.make", "artefacts")


def test_a_function_may_name_its_own_module(invented_work: str) -> None:
    assert find_function(invented_work, "claims.factor", "artefacts").__name__ == "factor"


def spec_of(work: str, make: str, kind: str) -> dict[str, Any]:
    return {"work": work, "name": f"{kind}-1", "kind": kind, "title": "T", "make": make, "scale": "demo"}


def test_an_artefact_of_the_wrong_kind_is_refused(invented_work: str, tmp_path: Path) -> None:
    for make, kind in (("wrong_kind", "table"), ("similarity", "table"), ("many_rows", "figure")):
        with pytest.raises(TypeError, match=f"{kind}-1 is a {kind}, but {make} returned"):
            make_artefact(spec_of(invented_work, make, kind), {})


def test_an_artefact_that_fails_is_named_with_the_cause(invented_work: str) -> None:
    with pytest.raises(
        RuntimeError, match=r"invented2020: table-1 could not be made: nothing to divide by"
    ) as caught:
        make_artefact(spec_of(invented_work, "failing", "table"), {})
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_published_files_are_joined_and_name_their_file(tmp_path: Path) -> None:
    for name, row in (("table_1", "a,1"), ("text", "b,2")):
        (tmp_path / f"{name}.csv").write_text(f"key,value\n{row}\n", encoding="utf-8")
    files = [str(tmp_path / "table_1.csv"), str(tmp_path / "text.csv")]
    inputs = load_inputs({"work": "w", "name": "n", "scale": "demo", "published": files})
    assert inputs.published.to_numpy().tolist() == [["a", 1, "table_1.csv"], ["b", 2, "text.csv"]]
    with pytest.raises(DataError, match=r"absent\.csv"):
        load_inputs({"work": "w", "name": "n", "scale": "demo", "published": [str(tmp_path / "absent.csv")]})
