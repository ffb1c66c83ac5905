"""Validate a value read from YAML and explain its first mistake in one message."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gauntlet.configuration.expansion import SCALES
from gauntlet.errors import ConfigurationError, did_you_mean
from gauntlet.setting_types import misread_boolean

M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], value: Any, file: Path, prefix: str) -> M:
    """Validate a value and turn the first pydantic error into one message."""
    try:
        read = model.model_validate(value)
        if found := misread_boolean(value, read):
            raise ConfigurationError(
                "the value cannot be used",
                file=file,
                key=".".join(filter(None, (prefix, found))),
                found="true or false",
                valid="a number",
            )
        return read
    except ValidationError as error:
        first = error.errors()[0]
        parts = [str(part) for part in first["loc"]]
        cause = first.get("ctx", {}).get("error")
        key = ".".join(filter(None, [prefix, *parts]))
        if isinstance(cause, ConfigurationError):
            key = f"{key}.{cause.key}" if cause.key else key
            raise ConfigurationError(
                cause.problem, file=file, key=key, found=cause.found, valid=cause.valid
            ) from None
        if first["type"] == "extra_forbidden":
            raise ConfigurationError(
                "unknown key",
                file=file,
                key=key,
                found=parts[-1],
                valid=did_you_mean(parts[-1], _keys_at(model, parts[:-1])),
            ) from None
        if first["type"] == "missing":
            raise ConfigurationError("a value is missing", file=file, key=key) from None
        if parts == ["scale"]:
            raise ConfigurationError(
                "unknown scale", file=file, key=key, found=first["input"], valid=f"one of {', '.join(SCALES)}"
            ) from None
        raise ConfigurationError(
            "the value cannot be used",
            file=file,
            key=key,
            found=repr(first["input"])[:200],
            valid=first["msg"],
        ) from None


def _keys_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """Return the keys that a model accepts at a path inside it, as far as plain models lead."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})

    def resolve(node: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" in node:
            return resolve(definitions[node["$ref"].rsplit("/", 1)[1]])
        for choice in node.get("anyOf", []):
            if choice.get("type") != "null":
                return resolve(choice)
        return node

    node: Mapping[str, Any] = schema
    for part in path:
        node = resolve(node)
        node = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
        if not isinstance(node, Mapping):
            return []
    return list(resolve(node).get("properties", {}))
