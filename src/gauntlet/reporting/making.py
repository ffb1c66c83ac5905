"""Make one artefact, or check the claims of one work: find the work's function, call it, write the result."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gauntlet.errors import ConfigurationError, did_you_mean
from gauntlet.reporting.artefacts import Figure, Table
from gauntlet.reporting.claims import Verdict, not_testable
from gauntlet.reporting.formatting import escape_markdown
from gauntlet.reporting.inputs import load_inputs
from gauntlet.reporting.provenance import provenance_of
from gauntlet.reporting.writers import write_figure, write_table
from gauntlet.runtime.files import atomic_path, write_text
from gauntlet.runtime.job import say

CLAIM_COLUMNS = ("claim", "statement", "decision", "reason", "numbers", "scale")


def find_function(work: str, name: str, module: str) -> Callable[..., Any]:
    """Return the function ``name`` of ``gauntlet.works.<work>.<module>``; ``name`` may bring its own module.

    Raises:
        ConfigurationError: there is no such module or function; the message offers near names.
    """
    *path, function = name.split(".")
    place = ".".join(["gauntlet", "works", work, *(path or [module])])
    try:
        found = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not place.startswith(error.name):
            raise
        raise ConfigurationError(f"{work} has no module {place}", found=name) from error
    if not callable(getattr(found, function, None)):
        choices = [
            key
            for key, value in vars(found).items()
            if callable(value) and getattr(value, "__module__", None) == place and not key.startswith("_")
        ]
        raise ConfigurationError(
            f"{place} has no such function", found=function, valid=did_you_mean(function, choices)
        )
    return getattr(found, function)


def make_artefact(spec: Mapping[str, Any], outputs: Mapping[str, str | Path]) -> None:
    """Make one table or figure and write its files.

    Args:
        spec: what `load_inputs` takes, with ``kind`` (table or figure) and ``make``, the work's function.
        outputs: target files by suffix, and the sidecar as ``meta``.

    Raises:
        TypeError: the function returned another kind than the artefact's name promises.
        RuntimeError: the function failed; the message names the artefact.
    """
    # Functions of a work draw with matplotlib's defaults, which this import sets.
    import gauntlet.reporting.style  # noqa: F401

    function = find_function(spec["work"], spec["make"], "artefacts")
    inputs = load_inputs(spec)
    try:
        artefact = function(inputs)
    except Exception as error:
        raise RuntimeError(f"{spec['work']}: {spec['name']} could not be made: {error}") from error
    if not isinstance(artefact, Table if spec["kind"] == "table" else Figure):
        returned = type(artefact).__name__
        raise TypeError(
            f"{spec['work']}: {spec['name']} is a {spec['kind']}, but {spec['make']} returned a {returned}"
        )
    provenance = provenance_of(inputs)
    if isinstance(artefact, Table):
        write_table(artefact, provenance, outputs)
    else:
        write_figure(artefact, provenance, outputs)


def check_claims(spec: Mapping[str, Any]) -> pd.DataFrame:
    """Check the claims of a work.

    Args:
        spec: ``work``, ``scale`` and ``claims``: per claim what `load_inputs` takes beyond these two, with
            ``statement``, ``check`` (the work's function) and ``missing`` (why its inputs cannot be had).

    Returns:
        One row per claim: ``claim, statement, decision, reason, numbers`` (as JSON) and ``scale``.

    Raises:
        RuntimeError: a check failed; the message names the claim.
    """
    rows = []
    for claim in spec["claims"]:
        verdict = _verdict({"work": spec["work"], "scale": spec["scale"], **claim})
        say(f"{claim['name']}: {verdict.decision}")
        numbers = {key: _finite(value) for key, value in verdict.numbers.items()}
        rows.append(
            (
                claim["name"],
                claim["statement"],
                verdict.decision,
                verdict.reason,
                json.dumps(numbers),
                spec["scale"],
            )
        )
    return pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))


def write_claims(verdicts: pd.DataFrame, csv: str | Path, markdown: str | Path) -> None:
    """Write the verdicts of a work as csv and as a Markdown table."""
    with atomic_path(csv) as temporary:
        verdicts.to_csv(temporary, index=False, lineterminator="\n")
    lines = ["| claim | statement | verdict | reason |", "| :--- | :--- | :--- | :--- |"]
    for row in verdicts.itertuples():
        cells = (row.claim, row.statement, f"**{row.decision}**", row.reason)
        lines.append(f"| {' | '.join(escape_markdown(str(cell)) for cell in cells)} |")
    write_text(markdown, "\n".join(lines) + "\n")


def _verdict(claim: Mapping[str, Any]) -> Verdict:
    if claim.get("missing"):
        return not_testable(claim["missing"])
    check = find_function(claim["work"], claim.get("check") or claim["name"], "claims")
    try:
        verdict = check(load_inputs(claim))
    except Exception as error:
        raise RuntimeError(
            f"claim {claim['name']} of {claim['work']} could not be checked: {error}"
        ) from error
    if not isinstance(verdict, Verdict):
        raise TypeError(
            f"claim {claim['name']} of {claim['work']}: the check returned a {type(verdict).__name__}"
        )
    return verdict


def _finite(value: Any) -> float | None:
    """Return a number that JSON can hold, or None."""
    number = float(value)
    return number if math.isfinite(number) else None
