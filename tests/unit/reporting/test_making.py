"""The jobs that make artefacts and check claims."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gauntlet.analysis.verdicts import Verdict
from gauntlet.errors import ConfigurationError
from gauntlet.reporting.making import check_claims, criterion, find_function, make_artefact, write_claims

CHAPTER = "hardening"


def test_the_claims_of_a_work_become_a_table_of_verdicts(
    invented_work: str, claims_spec: dict[str, Any], tmp_path: Path
) -> None:
    write_claims(check_claims(claims_spec), tmp_path / "claims.csv", tmp_path / "claims.md")
    found = pd.read_csv(tmp_path / "claims.csv")
    assert list(found.columns) == [
        "claim",
        "source",
        "statement",
        "reduced",
        "criterion",
        "decision",
        "reason",
        "numbers",
        "scale",
        "artefacts",
    ]
    assert list(found["claim"]) == ["c1", "c2", "c3", "c4"]
    assert list(found["decision"]) == ["supported", "contradicted", "supported", "not testable"]
    assert list(found["source"]) == ["C1", "C2", "C3", "C4"]
    assert found["criterion"].iloc[0] == "More images of the hardened model withstand PGD."
    assert list(found["artefacts"].fillna("")) == ["table-1 figure-1", "table-1 figure-1", "", ""]
    assert found["reason"].iloc[3] == "the images cannot be had"
    numbers = json.loads(found["numbers"].iloc[0])
    assert numbers["hardened minus natural, low"] > 0
    markdown = (tmp_path / "claims.md").read_text(encoding="utf-8").splitlines()
    assert len(markdown) == 6
    assert r"Smoothing \| hurts. Judged at this scale: Smoothing \| hurts one network." in markdown[3]
    assert "Judged at this scale" not in markdown[2]


def test_a_claim_that_cannot_be_tested_at_a_scale_is_not_judged(
    invented_work: str, claims_spec: dict[str, Any]
) -> None:
    """The check would fail if it were called."""
    claims_spec["claims"][1] |= {"check": "claims.failing", "untestable": "30 of 10,000 iterations"}
    found = check_claims(claims_spec)
    assert list(found.loc[1, ["decision", "reason"]]) == ["not testable", "30 of 10,000 iterations"]


def test_a_check_that_fails_names_its_claim(invented_work: str, claims_spec: dict[str, Any]) -> None:
    claims_spec["claims"][1]["check"] = "claims.failing"
    with pytest.raises(RuntimeError, match=r"claim c2 of invented2020.*nothing to divide by"):
        check_claims(claims_spec)


def test_a_check_must_return_a_verdict(
    invented_work: str, claims_spec: dict[str, Any], published: str
) -> None:
    claims_spec["claims"][0] |= {"check": "tables.robust_accuracy", "published": [published]}
    with pytest.raises(TypeError, match=r"claim c1 .* returned a Table"):
        check_claims(claims_spec)


def test_numbers_that_json_cannot_hold_become_null(
    invented_work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules[f"gauntlet.works.{invented_work}.{CHAPTER}.claims"]
    verdict = Verdict("inconclusive", "r", {"x": float("inf"), "y": 1.0})
    monkeypatch.setattr(module, "endless", lambda inputs: verdict, raising=False)
    claim = {
        "work": invented_work,
        "chapter": CHAPTER,
        "name": "endless",
        "source": "C5",
        "statement": "s",
        "check": "claims.endless",
        "scale": "demo",
        "reduced": "",
        "untestable": "",
        "missing": None,
        "artefacts": [],
    }
    assert json.loads(check_claims({"claims": [claim]})["numbers"].iloc[0]) == {"x": None, "y": 1.0}


def test_an_unknown_function_is_named_with_the_nearest(invented_work: str) -> None:
    module = sys.modules[f"gauntlet.works.{invented_work}.{CHAPTER}.figures"]
    module.queries.__module__, before = module.__name__, module.queries.__module__
    try:
        with pytest.raises(ConfigurationError, match=r"did you mean queries\?"):
            find_function(invented_work, CHAPTER, "figures.querys")
    finally:
        module.queries.__module__ = before
    with pytest.raises(
        ConfigurationError, match=r"has no module gauntlet\.works\.invented2020\.hardening\.nowhere"
    ):
        find_function(invented_work, CHAPTER, "nowhere.make")


def spec_of(work: str, make: str, kind: str) -> dict[str, Any]:
    return {
        "work": work,
        "chapter": CHAPTER,
        "name": f"{kind}-1",
        "kind": kind,
        "title": "T",
        "make": make,
        "scale": "demo",
    }


def test_an_artefact_of_the_wrong_kind_is_refused(invented_work: str, tmp_path: Path) -> None:
    for make, kind in (
        ("tables.wrong_kind", "table"),
        ("figures.similarity", "table"),
        ("tables.many_rows", "figure"),
    ):
        with pytest.raises(TypeError, match=f"{kind}-1 is a {kind}, but {make} returned"):
            make_artefact(spec_of(invented_work, make, kind), {})


def test_an_artefact_that_fails_is_named_with_the_cause(invented_work: str) -> None:
    with pytest.raises(
        RuntimeError, match=r"invented2020: table-1 could not be made: nothing to divide by"
    ) as caught:
        make_artefact(spec_of(invented_work, "tables.failing", "table"), {})
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_criterion_tells_the_claims_own_settings() -> None:
    def check() -> None:
        """RayS leaves at most {share} of what {rivals} leave,
        and more than {points} points fewer.
        """

    settings = {"share": 2 / 3, "rivals": ["HSJA", "OPT"], "points": {"TRADES": 5}}
    expected = "RayS leaves at most 0.6667 of what HSJA, OPT leave, and more than TRADES: 5 points fewer."
    assert criterion(check, settings) == expected
