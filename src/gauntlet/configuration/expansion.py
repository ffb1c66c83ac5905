"""Turn what a work's file says into plain entries: choose the scale, unfold ``foreach``, fill in names."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gauntlet.errors import ConfigurationError, did_you_mean

SCALES = ("demo", "small", "full")
"""The scales at which the same DAG runs, from minutes to the published size."""

_SCALES = frozenset(SCALES)

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""Placeholder that ``foreach`` fills in: a name in braces."""

ROWS = "rows"
"""The key of a ``foreach`` whose entries are mappings, each binding several variables."""

NONE = "none"
"""In place of the list of a ``foreach``: there are no entries at this scale. An emptied list is an error."""

_MOST_COLUMNS = 2

_NAME = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)*")


def at_scale(value: Any, scale: str, key: str = "") -> Any:
    """Choose one scale in every ``{demo: ..., small: ..., full: ...}`` inside a value.

    A scale that is left out has the value of the next larger one, so that ``full`` must be there.

    Raises:
        ConfigurationError: a mapping by scale lacks ``full`` or has other keys beside the scales.
    """
    if isinstance(value, dict):
        if not _SCALES.isdisjoint(value):
            others = [str(name) for name in value if name not in SCALES]
            if others or SCALES[-1] not in value:
                problem = "a value by scale has another key" if others else "a value by scale lacks full"
                raise ConfigurationError(
                    problem,
                    key=key,
                    found=", ".join(map(str, value)),
                    valid=f"{', '.join(SCALES)}; full at least",
                )
            chosen = next(name for name in SCALES[SCALES.index(scale) :] if name in value)
            return at_scale(value[chosen], scale, key)
        return {
            name: at_scale(entry, scale, f"{key}.{name}" if key else str(name))
            for name, entry in value.items()
        }
    if isinstance(value, list):
        return [at_scale(entry, scale, f"{key}[{position}]") for position, entry in enumerate(value)]
    return value


def insert_presets(value: Any, presets: Mapping[str, Any], key: str = "") -> Any:
    """Replace every ``{preset: <name>, ...}`` inside a value by the preset; keys beside it replace the preset's own.

    Args:
        value: as written, its scales already chosen.
        presets: by name, at the same scale.
        key: path of the value, for messages.

    Raises:
        ConfigurationError: an unknown preset, or keys beside one that is no mapping.
    """
    if isinstance(value, dict):
        filled = {
            name: insert_presets(entry, presets, f"{key}.{name}" if key else str(name))
            for name, entry in value.items()
        }
        if "preset" not in filled:
            return filled
        name = filled.pop("preset")
        if name not in presets:
            raise ConfigurationError(
                "unknown preset", key=key, found=name, valid=did_you_mean(str(name), map(str, presets))
            )
        preset = insert_presets(presets[name], presets, key)
        if not filled:
            return preset
        if not isinstance(preset, Mapping):
            raise ConfigurationError(
                "only a preset that is a mapping can be changed",
                key=key,
                found=", ".join(filled),
                valid="preset alone",
            )
        return {**preset, **filled}
    if isinstance(value, list):
        return [insert_presets(entry, presets, f"{key}[{position}]") for position, entry in enumerate(value)]
    return value


def unfold(entries: Any, key: str) -> dict[str, Any]:
    """Expand the ``foreach`` of every entry of a section into one entry per combination.

    What ``foreach`` bound stays with the entry as its ``labels``, as far as it is text, a number or true or false.

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
        body = {name: value for name, value in entry.items() if name not in ("foreach", "labels")}
        own = entry.get("labels") or {}
        if not isinstance(own, Mapping):
            raise ConfigurationError("must be a mapping", key=f"{path}.labels", found=repr(own))
        for binding in _bindings(entry.get("foreach", {}), f"{path}.foreach"):
            name = str(_fill(str(pattern), binding))
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
            bound = {label: value for label, value in binding.items() if isinstance(value, (str, int, float))}
            unfolded[name] = {**_fill(body, binding), "labels": {**bound, **_fill(own, binding)}}
    return unfolded


def _bindings(foreach: Any, key: str) -> Iterator[dict[str, Any]]:
    """Yield every combination of a ``foreach``: the product of its lists; ``rows`` binds several variables at once."""
    if not isinstance(foreach, Mapping):
        raise ConfigurationError("must map variables to lists", key=key, found=repr(foreach))
    axes: list[list[dict[str, Any]]] = []
    for variables, values in foreach.items():
        path = f"{key}.{variables}"
        if values == NONE:
            return
        if not isinstance(values, list):
            raise ConfigurationError("must be a list", key=path, found=repr(values))
        if not values:
            raise ConfigurationError(
                "an empty list makes no entry at all",
                key=path,
                found="[]",
                valid=f"one value at least; or {NONE}, where no entry is meant",
            )
        axes.append(_rows(values, path) if variables == ROWS else _columns(str(variables), values, path))
    for combination in itertools.product(*axes):
        yield {name: value for row in combination for name, value in row.items()}


def _rows(values: list[Any], key: str) -> list[dict[str, Any]]:
    """Return the rows of ``rows``, mappings that bind the same variables."""
    for value in values:
        if not isinstance(value, Mapping) or set(value) != set(values[0]):
            raise ConfigurationError(
                "a row does not fit the others",
                key=key,
                found=repr(value),
                valid=f"a mapping with {', '.join(values[0]) if isinstance(values[0], Mapping) else 'variables'}",
            )
    return [dict(value) for value in values]


def _columns(variables: str, values: list[Any], key: str) -> list[dict[str, Any]]:
    """Return the bindings of one variable, or of two that are written ``"a, b": [[..., ...], ...]``."""
    names = [name.strip() for name in variables.split(",")]
    if len(names) == 1:
        return [{names[0]: value} for value in values]
    if len(names) > _MOST_COLUMNS:
        raise ConfigurationError(
            "too many columns to tell apart", key=key, valid=f"{ROWS}, a list of mappings with named keys"
        )
    rows = []
    for value in values:
        if not isinstance(value, list) or len(value) != len(names):
            raise ConfigurationError(
                "a row does not fit its variables", key=key, found=repr(value), valid=f"{len(names)} values"
            )
        rows.append(dict(zip(names, value, strict=True)))
    return rows


def _fill(value: Any, binding: Mapping[str, Any]) -> Any:
    """Replace the placeholders of a value; a string that is one placeholder takes the variable's type.

    Inside a nested ``foreach`` the variables of that one are left for it to fill.
    """
    if isinstance(value, str):
        if "{" not in value:
            return value
        whole = PLACEHOLDER.fullmatch(value)
        if whole and whole[1] in binding:
            return binding[whole[1]]

        def text(match: re.Match[str]) -> str:
            return str(binding[match[1]]) if match[1] in binding else match[0]

        return PLACEHOLDER.sub(text, value)
    if isinstance(value, dict):
        return {_fill(name, binding): _fill(entry, binding) for name, entry in value.items()}
    if isinstance(value, list):
        return [_fill(entry, binding) for entry in value]
    return value


def refuse_placeholders(value: Any, key: str, known: list[str]) -> None:
    """Raise ConfigurationError if a placeholder was left unfilled in a value."""
    if isinstance(value, str):
        match = PLACEHOLDER.search(value)
        if match:
            raise ConfigurationError(
                "unknown placeholder", key=key, found=match[0], valid=did_you_mean(match[1], known)
            )
    elif isinstance(value, dict):
        for name, entry in value.items():
            refuse_placeholders(entry, f"{key}.{name}", known)
    elif isinstance(value, list):
        for entry in value:
            refuse_placeholders(entry, key, known)
