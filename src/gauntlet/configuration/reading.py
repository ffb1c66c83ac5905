"""Read YAML so that a name twice is an error, a syntax error names its place, and a number is what it looks like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from gauntlet.errors import ConfigurationError

# The parser in C reads the works' files about ten times faster; a build without it has the same grammar.
_Base: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MOST_VALUES = 1_000_000
"""Values that a file may hold, anchors counted where they are used: a few lines of them could fill the memory."""

_NUMBERS = {
    # Without YAML 1.1's base 60, by which 1:30 is 90, and its octal numbers, by which 010 is 8.
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(?:0|[1-9][0-9_]*)$|0x[0-9a-fA-F]+$"),
    "tag:yaml.org,2002:float": re.compile(
        r"[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?$|[-+]?\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?$"
        r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
    ),
}


class _Loader(_Base):
    """Refuses a mapping that has a key twice; plain YAML would silently keep the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, Any] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                first, again = seen[key].start_mark.line + 1, key_node.start_mark.line + 1
                raise ConfigurationError(
                    "duplicate name",
                    key=str(key),
                    found=f"line {again}, and before on line {first}",
                    valid="unique names",
                )
            seen[key] = key_node
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, _NUMBERS.get(tag, pattern)) for tag, pattern in resolvers]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()  # type: ignore[attr-defined]
}
_Loader.add_constructor(
    "tag:yaml.org,2002:map",
    lambda loader, node: loader.construct_mapping(node, deep=True),
)


@lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    """Return what a text says. Every scale is read from the same files, so what they say is kept; do not change it."""
    return yaml.load(text, Loader=_Loader)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping, which is not to be changed: the next reader gets the same.

    Raises:
        ConfigurationError: the file is absent, is no text or YAML, has a duplicate name, is not a mapping, or holds
            numbers or nested values that nobody means.
    """
    try:
        content = _parsed(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError("the file does not exist", file=path) from None
    except OSError as error:
        raise ConfigurationError(f"the file cannot be read: {error.strerror}", file=path) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            "the file is not text in UTF-8", file=path, found=f"byte {error.start}", valid="UTF-8"
        ) from None
    except RecursionError:
        raise ConfigurationError("values are nested too deeply", file=path) from None
    except ConfigurationError as error:
        raise ConfigurationError(
            error.problem, file=path, key=error.key, found=error.found, valid=error.valid
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else None
        raise ConfigurationError(
            f"not valid YAML: {getattr(error, 'problem', error)}", file=path, found=where
        ) from None
    except ValueError as error:  # Of a number with thousands of digits, or a date that is none.
        raise ConfigurationError(f"not a usable value: {str(error).partition(';')[0]}", file=path) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError("the top level must be a mapping", file=path, found=type(content).__name__)
    if _count(content, {}) > _MOST_VALUES:
        raise ConfigurationError(f"the file holds more than {_MOST_VALUES:,} values", file=path)
    return content


def _count(value: Any, known: dict[int, int]) -> int:
    """Count the values in a value; one that stands in several places counts in each of them, but is seen once."""
    if not isinstance(value, (Mapping, list)):
        return 1
    if id(value) not in known:
        known[id(value)] = _MOST_VALUES + 1  # Until it is known: of a value inside itself.
        entries = value.values() if isinstance(value, Mapping) else value
        known[id(value)] = 1 + sum(_count(entry, known) for entry in entries)
    return known[id(value)]
