from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gauntlet.configuration.schema import work_schema


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for entry in node.values():
            yield from references(entry)
    elif isinstance(node, list):
        for entry in node:
            yield from references(entry)


def test_every_reference_of_the_schema_leads_to_a_definition():
    """Also that of a setting which is itself a component, such as the attack of adversarial training."""
    schema = work_schema()
    found = set(references(schema))
    assert "#/$defs/procedure" in found
    assert {name.removeprefix("#/$defs/") for name in found} <= set(schema["$defs"])
