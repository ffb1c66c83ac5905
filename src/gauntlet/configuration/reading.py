"""Read YAML so that a duplicate name is an error and a syntax error names its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from gauntlet.errors import ConfigurationError

# The parser in C reads the works' files about ten times faster; a build without it has the same grammar.
_Base: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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


_Loader.add_constructor(
    "tag:yaml.org,2002:map",
    lambda loader, node: loader.construct_mapping(node, deep=True),
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping.

    Raises:
        ConfigurationError: the file is absent, is not YAML, has a duplicate name or is not a mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError:
        raise ConfigurationError("the file does not exist", file=path) from None
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
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError("the top level must be a mapping", file=path, found=type(content).__name__)
    return content
