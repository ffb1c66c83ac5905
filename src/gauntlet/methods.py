"""The page of all attacks, certificates, measures and defences, written from what is registered."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

from gauntlet.attacks.base import Attack
from gauntlet.attacks.libraries.foolbox import BASELINES, FoolboxAttack
from gauntlet.contracts import DEFENCES, PROCEDURES, Procedure, ThreatModel

HEAD = """# Methods

Every attack, certificate, measure and defence by the name that a configuration uses, with the work or paper it
comes from. `gauntlet methods` writes this page from the registries, and a test holds it to them. Settings are told
in each one's docstring and in the JSON schemas (`gauntlet schema`).
"""

KNOWLEDGE = {
    "white-box": "gradients",
    "scores": "logits",
    "labels": "the predicted class",
    "none": "nothing",
}


def methods_page() -> str:
    """Return the page as Markdown."""
    attacks, certificates, measures = [], [], []
    for name in PROCEDURES.names():
        kind = PROCEDURES.get(name)
        if issubclass(kind, Attack):
            attacks += list(_attack_rows(name, kind))
        elif kind.__module__.startswith("gauntlet.certification"):
            certificates.append(_row(name, kind))
        else:
            measures.append(_row(name, kind))
    defences = [_row(name, DEFENCES.get(name)) for name in DEFENCES.names()]
    families = ["fixed_budget", "minimum_norm", "score_based", "decision_based", "reference"]
    attacks.sort(key=lambda row: families.index(row[2]))
    plain = ("name", "what it does", "source")
    return "\n".join(
        [
            HEAD,
            "## Attacks\n",
            "A `fixed_budget` attack stays in a ball of a radius; a `minimum_norm` attack looks for the smallest "
            "perturbation; `score_based` and `decision_based` attacks ask the network a counted number of "
            "queries; `reference` is noise to compare attacks with. In l0, pixels are counted.\n",
            _table(("name", "what it does", "family", "norm", "sees", "source"), attacks),
            "## Certificates\n",
            _table(plain, certificates),
            "## Measures\n",
            _table(plain, measures),
            "## Defences\n",
            _table(plain, defences),
        ]
    )


def summary_of(kind: type) -> str:
    """Return the first line of a component's docstring, without its full stop."""
    return inspect.cleandoc(kind.__doc__ or "").partition("\n")[0].rstrip(".")


def source_of(kind: type) -> str:
    """Return the first sentence after ``Source:`` in a component's docstring."""
    found = re.search(
        r"^Source: (.*?)(?:\n\n|\Z)", inspect.cleandoc(kind.__doc__ or ""), re.DOTALL | re.MULTILINE
    )
    text = " ".join(found[1].split()) if found else ""
    return re.split(r"(?<! al)\. (?=[A-Z])", text)[0].rstrip(".")


def _row(name: str, kind: type) -> tuple[str, ...]:
    return (f"`{name}`", summary_of(kind), source_of(kind))


def _attack_rows(name: str, kind: type[Procedure]) -> Iterator[tuple[str, ...]]:
    """Yield a row per attack; Foolbox has one for each of its attacks."""
    if kind is FoolboxAttack:
        for baseline, plan in BASELINES.items():
            threats = [FoolboxAttack(attack=baseline).threat_model]
            yield (f"`foolbox`, attack: `{baseline}`", plan.summary, *_cells(threats), plan.paper)
        return
    threats = [threat for example in _examples(name) if (threat := example.threat_model)]
    yield (f"`{name}`", summary_of(kind), *_cells(threats), source_of(kind))


def _cells(threats: list[ThreatModel]) -> tuple[str, str, str]:
    """Return family, norms and knowledge of an attack from its threat models, one for each norm."""
    norms = ", ".join(threat.norm for threat in threats if threat.norm)
    return threats[0].family, norms, KNOWLEDGE[threats[0].knowledge]


def _examples(name: str) -> list[Procedure]:
    """Build a procedure with any settings, once for every norm that it can have."""
    schema = PROCEDURES.schemas()[name]
    required = {key: _any_value(schema["properties"][key]) for key in schema.get("required", ())}
    norms = schema["properties"].get("norm", {}).get("enum")
    variants = [{"norm": norm} for norm in norms] if norms else [{}]
    return [PROCEDURES.parse({"name": name, **required, **variant}) for variant in variants]


def _any_value(schema: dict[str, Any]) -> Any:
    return schema["enum"][0] if "enum" in schema else 1


def _table(columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = tuple(columns)
    lines = [" | ".join(cell.replace("|", "\\|") or "–" for cell in line) for line in (head, *rows)]
    lines.insert(1, " | ".join("---" for _ in head))
    return "".join(f"| {line} |\n" for line in lines)
