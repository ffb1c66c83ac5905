"""JSON schemas of the configuration files, so that an editor completes keys and underlines mistakes.

The schema of a chapter's file is looser than its grammar where the file says more than one thing at once: any value
may be written by scale, as a preset, as a fraction, or as the placeholder of a ``foreach``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from gauntlet.configuration.expansion import PLACEHOLDER, SCALES
from gauntlet.configuration.grammar import ChapterFile, UserSettings, WorkFile
from gauntlet.contracts import ARCHITECTURES, DEFENCES, PROCEDURES
from gauntlet.datasets.settings import DatasetSettings
from gauntlet.registry import Registry
from gauntlet.runtime.files import write_json

ENTRIES = ("ModelEntry", "EvaluationEntry", "ArtefactEntry", "ClaimEntry")
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def write_schemas(folder: Path) -> list[Path]:
    """Write the schemas of config.yaml, datasets.yaml and the works' and chapters' files into ``folder``."""
    datasets = TypeAdapter(dict[str, DatasetSettings]).json_schema()
    schemas = {
        "config": UserSettings.model_json_schema(),
        "datasets": datasets,
        "work": WorkFile.model_json_schema(),
        "chapter": chapter_schema(),
    }
    written = []
    for name, schema in schemas.items():
        file = folder / f"{name}.schema.json"
        write_json(file, {"$schema": DIALECT, **schema})
        written.append(file)
    return written


def chapter_schema() -> dict[str, Any]:
    """Return the schema of a chapter's file."""
    schema = ChapterFile.model_json_schema()
    definitions = schema.pop("$defs")
    registries: dict[str, Registry[Any]] = {
        "architecture": ARCHITECTURES,
        "defence": DEFENCES,
        "procedure": PROCEDURES,
    }
    for kind, registry in registries.items():
        definitions[kind] = {
            "anyOf": [_component(name, entry, definitions) for name, entry in registry.schemas().items()]
        }
    models, evaluations = (
        definitions["ModelEntry"]["properties"],
        definitions["EvaluationEntry"]["properties"],
    )
    models["architecture"] = {"$ref": "#/$defs/architecture"}
    models["defence"] = {"$ref": "#/$defs/defence"}
    del evaluations["procedure_labels"]  # written as labels of each procedure
    evaluations["procedures"]["additionalProperties"] = {"$ref": "#/$defs/procedure"}
    loose = {name: _loosen(definition) for name, definition in definitions.items()}
    for name in ENTRIES:
        loose[name]["properties"] |= {"foreach": {"type": "object"}, "labels": {"type": "object"}}
        loose[name].pop("required", None)
    loosened = _loosen(schema)
    loosened["properties"]["definitions"] = {"description": "anything; a place for YAML anchors"}
    return {**loosened, "$defs": loose}


def _component(name: str, schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Add the name to a component's settings, and let a procedure unfold by ``foreach``."""
    definitions.update(schema.pop("$defs", {}))
    schema["properties"] = {
        "name": {"const": name},
        "foreach": {"type": "object"},
        "labels": {"type": "object"},
        **schema.get("properties", {}),
    }
    schema["required"] = ["name", *schema.get("required", [])]
    return schema


def _loosen(node: Any) -> Any:
    """Let every property also be a placeholder, a fraction, a preset or a value by scale; tie components."""
    if isinstance(node, list):
        return [_loosen(entry) for entry in node]
    if not isinstance(node, Mapping):
        return node
    if "component" in node:
        # A setting that is itself a component; only the schema of the whole file knows its definition.
        return {"$ref": f"#/$defs/{node['component']}"}
    loose = {
        key: _loosen(entry)
        for key, entry in node.items()
        if key not in ("properties", "const", "enum", "default")
    }
    loose |= {key: node[key] for key in ("const", "enum", "default") if key in node}
    if "properties" in node:
        loose["properties"] = {name: _by_scale(_loosen(entry)) for name, entry in node["properties"].items()}
    for entries in ("items", "additionalProperties"):
        if isinstance(node.get(entries), Mapping):
            loose[entries] = _by_scale(_loosen(node[entries]))
    return loose


def _by_scale(schema: dict[str, Any]) -> dict[str, Any]:
    if "const" in schema:
        return schema
    annotations: dict[str, Any] = {
        key: schema[key] for key in ("description", "title", "default") if key in schema
    }
    scales = dict.fromkeys(SCALES, True)
    text = {"type": "string", "pattern": PLACEHOLDER.pattern + r"|^\s*-?[\d.]+\s*/\s*[\d.]+\s*$"}
    by_scale = {
        "type": "object",
        "properties": scales,
        "required": [SCALES[-1]],
        "additionalProperties": False,
    }
    preset = {"type": "object", "properties": {"preset": {"type": "string"}}, "required": ["preset"]}
    return {**annotations, "anyOf": [schema, text, by_scale, preset]}
