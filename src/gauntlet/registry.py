"""Named components: a class registers under its name, a YAML mapping with that name becomes an instance.

A component is a frozen dataclass with keyword-only fields (its settings) and a class variable ``name``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from gauntlet.errors import ConfigurationError, did_you_mean
from gauntlet.setting_types import misread_boolean

T = TypeVar("T")


class Registry(Generic[T]):
    """The components of one kind (procedures, defences, architectures), by name.

    Args:
        kind: what a component is called in messages.
        modules: imported on first look-up, so that their classes have registered themselves.
    """

    def __init__(self, kind: str, modules: Iterable[str]) -> None:
        self.kind = kind
        self._modules = tuple(modules)
        self._classes: dict[str, type[T]] = {}
        self._adapters: dict[str, TypeAdapter[T]] = {}
        self._loaded = False

    def register(self, cls: type[T]) -> type[T]:
        """Class decorator: make ``cls`` known under ``cls.name``; its unknown settings are refused."""
        name: str = cls.name  # type: ignore[attr-defined]
        if name in self._classes:
            raise ValueError(f"two components are named {name!r}: {self._classes[name]} and {cls}")
        cls.__pydantic_config__ = ConfigDict(extra="forbid", arbitrary_types_allowed=True)  # type: ignore[attr-defined]
        self._classes[name] = cls
        return cls

    def names(self) -> list[str]:
        """Every registered name, sorted."""
        self._load()
        return sorted(self._classes)

    def get(self, name: str) -> type[T]:
        """Return the class registered under ``name``; raises ConfigurationError for an unknown one."""
        self._load()
        if name not in self._classes:
            raise ConfigurationError(
                f"unknown {self.kind}", key="name", found=name, valid=did_you_mean(name, self._classes)
            )
        return self._classes[name]

    def adapter(self, name: str) -> TypeAdapter[T]:
        """Return the validator of the component ``name``."""
        if name not in self._adapters:
            self._adapters[name] = TypeAdapter(self.get(name))
        return self._adapters[name]

    def parse(self, specification: Any) -> T:
        """Build the component that ``{"name": ..., **settings}`` describes.

        Raises:
            ConfigurationError: unknown name or setting, or a value of the wrong kind; ``key`` is the path
                inside the specification.
        """
        if not isinstance(specification, Mapping):
            if hasattr(specification, "name"):
                return specification
            raise ConfigurationError(
                f"a {self.kind} is a mapping with a name", found=repr(specification), valid="{name: ..., ...}"
            )
        if not isinstance(specification.get("name"), str):
            raise ConfigurationError(
                f"a {self.kind} needs a name", key="name", valid=f"one of {', '.join(self.names())}"
            )
        settings = {key: value for key, value in specification.items() if key != "name"}
        adapter = self.adapter(specification["name"])
        try:
            return adapter.validate_python(settings)
        except ValidationError as error:
            raise _explain(error, settings, adapter, f"{self.kind} {specification['name']}") from None

    def dump(self, component: T) -> dict[str, Any]:
        """Write a component as the JSON mapping that ``parse`` reads, defaults included."""
        name: str = component.name  # type: ignore[attr-defined]
        return {"name": name, **self.adapter(name).dump_python(component, mode="json")}

    def normalize(self, specification: Any) -> dict[str, Any]:
        """Validate a specification and write it out with every default."""
        read = self.dump(self.parse(specification))
        if found := misread_boolean(specification, read):
            raise ConfigurationError(
                f"unusable setting of {self.kind} {read['name']}",
                key=found,
                found="true or false",
                valid="a number",
            )
        return read

    def schemas(self) -> dict[str, dict[str, Any]]:
        """Return each component's JSON schema, by name."""
        return {name: self.adapter(name).json_schema() for name in self.names()}

    def _load(self) -> None:
        if not self._loaded:
            self._loaded = True
            for module in self._modules:
                importlib.import_module(module)


def _explain(
    error: ValidationError, settings: Mapping[str, Any], adapter: TypeAdapter[Any], what: str
) -> ConfigurationError:
    """Turn the first pydantic error into one message with key, found and valid."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ConfigurationError):
        key = ".".join(filter(None, (key, cause.key)))
        return ConfigurationError(cause.problem, key=key, found=cause.found, valid=cause.valid)
    known = list(adapter.json_schema().get("properties", {}))
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        name = str(first["loc"][-1])
        return ConfigurationError(
            f"unknown setting of {what}", key=key, found=name, valid=did_you_mean(name, known)
        )
    if first["type"] in ("missing", "missing_keyword_only_argument", "missing_argument"):
        return ConfigurationError(f"{what} lacks a setting", key=key, valid=f"settings: {', '.join(known)}")
    return ConfigurationError(
        f"unusable setting of {what}", key=key, found=repr(first["input"]), valid=first["msg"]
    )
