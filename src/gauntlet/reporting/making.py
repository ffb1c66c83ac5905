"""Make one artefact, or check the claims of one work: find the work's function, call it, write the result."""

from __future__ import annotations

import importlib
import inspect
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from gauntlet.analysis.inputs import load_inputs
from gauntlet.analysis.results import EvaluationTable
from gauntlet.analysis.verdicts import Verdict, not_testable
from gauntlet.errors import ConfigurationError, GauntletError, did_you_mean
from gauntlet.reporting.artefacts import Figure, Table
from gauntlet.reporting.formatting import escape_markdown
from gauntlet.reporting.provenance import provenance_of
from gauntlet.reporting.writers import write_figure, write_table
from gauntlet.runtime.files import atomic_path, write_text
from gauntlet.runtime.job import log

CLAIM_COLUMNS = (
    "claim", "source", "statement", "reduced", "criterion", "decision", "reason", "numbers", "scale", "artefacts",
)  # fmt: skip


def find_function(work: str, chapter: str, name: str) -> Callable[..., Any]:
    """Return the function ``<module>.<function>`` of a chapter of a work.

    Raises:
        ConfigurationError: there is no such module or function; the message offers near names.
    """
    module, _, function = name.rpartition(".")
    place = f"gauntlet.works.{work}.{chapter}.{module}"
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
    if spec["kind"] == "figure":
        # Functions of a work draw with matplotlib's defaults, which this import sets.
        import gauntlet.reporting.style  # noqa: F401

    function = find_function(spec["work"], spec["chapter"], spec["make"])
    inputs = load_inputs(spec)
    try:
        artefact = function(inputs)
    except GauntletError:
        raise
    except Exception as error:
        raise RuntimeError(f"{spec['work']}: {spec['name']} could not be made: {error}") from error
    if not isinstance(artefact, Table if spec["kind"] == "table" else Figure):
        returned = type(artefact).__name__
        raise TypeError(
            f"{spec['work']}: {spec['name']} is a {spec['kind']}, but {spec['make']} returned a {returned}"
        )
    provenance = replace(
        provenance_of(inputs),
        entry=f"config/works/{spec['work']}/{spec['chapter']}.yaml",
        function=f"gauntlet.works.{spec['work']}.{spec['chapter']}.{spec['make']}",
        own=tuple(spec["own"]),
        published=tuple(f"config/published/{spec['work']}/{Path(file).name}" for file in spec["published"]),
    )
    stand_ins = [note for note in [provenance.stand_ins()] if note]
    warned = (f"Unusual data: {warning}." for warning in provenance.warnings)
    notes = (*stand_ins, *artefact.notes, *warned)
    artefact = replace(artefact, notes=notes)
    if isinstance(artefact, Table):
        write_table(artefact, provenance, outputs)
    else:
        write_figure(artefact, provenance, outputs)


def check_claims(spec: Mapping[str, Any]) -> pd.DataFrame:
    """Check the claims of a work.

    Args:
        spec: ``claims``: per claim what `load_inputs` takes, with ``chapter``, ``source``, ``check`` (the
            chapter's function), ``reduced`` (what is judged at this scale in place of the statement),
            ``untestable`` (why nothing can be judged at this scale), ``missing`` (why its inputs cannot be had) and
            ``artefacts`` (the tables and figures that show what it is judged on).

    Returns:
        One row per claim: its name and number in the specification, what it says, what was judged in its place,
        what counts as support (see `criterion`; empty for a claim that is not testable at this scale), the decision
        with its reason, the numbers that decided, as JSON, and the artefacts that show them.

    Raises:
        RuntimeError: a check failed; the message names the claim.
    """
    rows = []
    read: dict[Path, EvaluationTable] = {}
    for claim in spec["claims"]:
        check = (
            None if claim["untestable"] else find_function(claim["work"], claim["chapter"], claim["check"])
        )
        verdict = _verdict(claim, check, read)
        log(f"{claim['name']}: {verdict.decision}")
        numbers = {key: _finite(value) for key, value in verdict.numbers.items()}
        rows.append(
            {
                **{key: claim[key] for key in ("source", "statement", "reduced", "scale")},
                "claim": claim["name"],
                "criterion": criterion(check, claim.get("settings", {})) if check else "",
                "decision": verdict.decision,
                "reason": verdict.reason,
                "numbers": json.dumps(numbers),
                "artefacts": " ".join(claim["artefacts"]),
            }
        )
    return pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))


def write_claims(verdicts: pd.DataFrame, csv: str | Path, markdown: str | Path) -> None:
    """Write the verdicts of a work as csv and as a Markdown table."""
    with atomic_path(csv) as temporary:
        verdicts.to_csv(temporary, index=False, lineterminator="\n")
    lines = ["| claim | statement | verdict | reason | criterion |", "| :--- | :--- | :--- | :--- | :--- |"]
    for row in verdicts.itertuples():
        judged = f"{row.statement} Judged at this scale: {row.reduced!s}" if row.reduced else row.statement
        cells = (row.claim, judged, f"**{row.decision}**", row.reason, row.criterion)
        lines.append(f"| {' | '.join(escape_markdown(str(cell)) for cell in cells)} |")
    write_text(markdown, "\n".join(lines) + "\n")


def criterion(check: Callable[..., Any], settings: Mapping[str, Any]) -> str:
    """Return what counts as support: the docstring of a check, with the claim's settings for ``{name}``."""
    text = " ".join((inspect.getdoc(check) or "").split())
    return re.sub(r"\{(\w+)\}", lambda found: _written(settings[found[1]]), text)


def _written(setting: Any) -> str:
    if isinstance(setting, Mapping):
        return "; ".join(f"{key}: {_written(value)}" for key, value in setting.items())
    if isinstance(setting, list):
        return ", ".join(map(_written, setting))
    return f"{setting:.4g}" if isinstance(setting, float) else str(setting)


def _verdict(
    claim: Mapping[str, Any], check: Callable[..., Any] | None, read: dict[Path, EvaluationTable]
) -> Verdict:
    if check is None or claim.get("missing"):
        return not_testable(claim.get("missing") or claim["untestable"])
    try:
        verdict = check(load_inputs(claim, read))
    except GauntletError:
        raise
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
