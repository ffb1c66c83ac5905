"""Turn what a work's file says into plain entries: choose the scale, unfold ``foreach``, fill in names."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gauntlet.errors import ConfigurationError, did_you_mean

SCALES = ("demo", "small", "full")
"""The scales at which the same DAG runs, from minutes to the published size."""

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""What ``foreach`` fills in: a name in braces."""

_NAME = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)*")


def at_scale(value: Any, scale: str, key: str = "") -> Any:
    """Choose one scale in every ``{demo: ..., small: ..., full: ...}`` inside a value.

    Raises:
        ConfigurationError: a mapping by scale lacks a scale or has other keys beside them.
    """
    if isinstance(value, Mapping):
        named = [name for name in value if name in SCALES]
        if named:
            missing = [name for name in SCALES if name not in value]
            others = [str(name) for name in value if name not in SCALES]
            if missing or others:
                problem = "a value by scale lacks a scale" if missing else "a value by scale has another key"
                raise ConfigurationError(
                    problem, key=key, found=", ".join(map(str, value)), valid=f"exactly {', '.join(SCALES)}"
                )
            return at_scale(value[scale], scale, key)
        return {
            name: at_scale(entry, scale, f"{key}.{name}" if key else str(name))
            for name, entry in value.items()
        }
    if isinstance(value, list):
        return [at_scale(entry, scale, f"{key}[{position}]") for position, entry in enumerate(value)]
    return value


def unfold(entries: Any, key: str) -> dict[str, Any]:
    """Expand the ``foreach`` of every entry of a section into one entry per combination.

    Args:
        entries: mapping from name to entry, scales already chosen. An entry that is null is left out.
        key: path of the section, for messages.

    Raises:
        ConfigurationError: a malformed ``foreach``, an unknown placeholder, a bad or duplicate name.
    """
    if entries is None:
        return {}
    if not isinstance(entries, Mapping):
        raise ConfigurationError(
            "must be a mapping from names to entries", key=key, found=type(entries).__name__
        )
    unfolded: dict[str, Any] = {}
    for pattern, entry in entries.items():
        if entry is None:
            continue
        path = f"{key}.{pattern}"
        if not isinstance(entry, Mapping):
            raise ConfigurationError("must be a mapping", key=path, found=repr(entry))
        body = {name: value for name, value in entry.items() if name != "foreach"}
        for binding in _bindings(entry.get("foreach", {}), f"{path}.foreach"):
            name = str(_fill(str(pattern), binding, path))
            if not _NAME.fullmatch(name):
                raise ConfigurationError(
                    "not a usable name",
                    key=path,
                    found=name,
                    valid="lower-case letters, digits, hyphens and dots",
                )
            if name in unfolded:
                raise ConfigurationError(
                    "duplicate name",
                    key=path,
                    found=name,
                    valid="a foreach whose variables all appear in the name",
                )
            unfolded[name] = _fill(body, binding, path)
    return unfolded


def _bindings(foreach: Any, key: str) -> Iterator[dict[str, Any]]:
    """Yield every combination of a ``foreach``; a key with commas binds the columns of its rows."""
    if not isinstance(foreach, Mapping):
        raise ConfigurationError("must map variables to lists", key=key, found=repr(foreach))
    axes: list[list[dict[str, Any]]] = []
    for variables, values in foreach.items():
        names = [name.strip() for name in str(variables).split(",")]
        if not isinstance(values, list):
            raise ConfigurationError("must be a list", key=f"{key}.{variables}", found=repr(values))
        rows = []
        for value in values:
            row = [value] if len(names) == 1 else value
            if not isinstance(row, list) or len(row) != len(names):
                raise ConfigurationError(
                    "a row does not fit its variables",
                    key=f"{key}.{variables}",
                    found=repr(value),
                    valid=f"{len(names)} values",
                )
            rows.append(dict(zip(names, row, strict=True)))
        axes.append(rows)
    for combination in itertools.product(*axes):
        yield {name: value for row in combination for name, value in row.items()}


def _fill(value: Any, binding: Mapping[str, Any], key: str) -> Any:
    """Replace the placeholders of a value; a string that is one placeholder takes the variable's type.

    Inside a nested ``foreach`` the variables of that one are left for it to fill.
    """
    if isinstance(value, str):
        whole = PLACEHOLDER.fullmatch(value)
        if whole and whole[1] in binding:
            return binding[whole[1]]

        def text(match: re.Match[str]) -> str:
            return str(binding[match[1]]) if match[1] in binding else match[0]

        return PLACEHOLDER.sub(text, value)
    if isinstance(value, Mapping):
        return {
            _fill(name, binding, key): _fill(entry, binding, f"{key}.{name}") for name, entry in value.items()
        }
    if isinstance(value, list):
        return [_fill(entry, binding, key) for entry in value]
    return value


def refuse_placeholders(value: Any, key: str, known: list[str]) -> None:
    """Raise ConfigurationError if a placeholder was left unfilled in a value."""
    if isinstance(value, str):
        match = PLACEHOLDER.search(value)
        if match:
            raise ConfigurationError(
                "unknown placeholder", key=key, found=match[0], valid=did_you_mean(match[1], known)
            )
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            refuse_placeholders(entry, f"{key}.{name}", known)
    elif isinstance(value, list):
        for entry in value:
            refuse_placeholders(entry, key, known)
