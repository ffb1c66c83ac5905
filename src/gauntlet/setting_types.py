"""Types of settings: radii, norms, fractions. They validate and convert what a YAML file holds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import reduce
from operator import truediv
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

Norm = Literal["linf", "l2", "l1"]
"""A norm in which a perturbation is measured or bounded."""

ORDER: dict[str, float] = {"linf": float("inf"), "l2": 2.0, "l1": 1.0, "l0": 0.0}
"""The p of each norm's name."""

_FRACTION = re.compile(r"\s*(-?\d+(?:\.\d+)?)((?:\s*/\s*\d+(?:\.\d+)?)+)\s*")


def parse_number(value: Any) -> Any:
    """Turn ``"8/255"`` (or ``"8/255/10"``, from the left) into its float; leave everything else as it is."""
    if isinstance(value, str):
        match = _FRACTION.fullmatch(value)
        divisors = [float(part) for part in match[2].split("/")[1:]] if match else [0.0]
        if match and all(divisors):
            return reduce(truediv, divisors, float(match[1]))
    return value


def misread_boolean(written: Any, read: Any) -> str | None:
    """Return the key of a value that was written as true or false and read as a number; None if there is none.

    Pydantic takes true for 1, as Python does.

    Args:
        written: a mapping or a list as YAML has it.
        read: what became of it: a model, a mapping or a sequence, of which more may have been left out or added.
    """
    entries: Iterable[tuple[Any, Any, Any]] = ()
    if isinstance(written, dict):
        inner = read.get if isinstance(read, dict) else lambda name: getattr(read, str(name), None)
        entries = ((name, entry, inner(name)) for name, entry in written.items())
    elif isinstance(written, list) and isinstance(read, (list, tuple)):
        entries = ((place, *pair) for place, pair in enumerate(zip(written, read, strict=False)))
    for key, entry, became in entries:
        if isinstance(entry, bool):
            if not (became is None or isinstance(became, (bool, str))):
                return str(key)
        elif isinstance(entry, (dict, list)) and (found := misread_boolean(entry, became)):
            return f"{key}.{found}"
    return None


Number = Annotated[float, BeforeValidator(parse_number)]
"""A float that may be written as a fraction."""

Radius = Annotated[float, BeforeValidator(parse_number), Field(gt=0, allow_inf_nan=False)]
"""A positive radius in pixel scale ([0, 1])."""

MOST = 2**53
"""Largest whole number of a setting: beyond it not every whole number is a float."""

PositiveInt = Annotated[int, Field(gt=0, le=MOST)]
NonNegativeInt = Annotated[int, Field(ge=0, le=MOST)]
Share = Annotated[float, BeforeValidator(parse_number), Field(ge=0, le=1)]
"""A number in [0, 1]."""


def _without_parents(path: str) -> str:
    if ".." in PurePosixPath(path).parts or "\0" in path:
        raise ValueError("a path that does not lead out of its folder (no ..)")
    return path


def _below(path: str) -> str:
    if PurePosixPath(path).is_absolute() or not PurePosixPath(path).name:
        raise ValueError("a path below its folder")
    return _without_parents(path)


PathBelow = Annotated[str, AfterValidator(_below)]
"""A path below the folder that it is looked up in."""

DataPath = Annotated[str, AfterValidator(_without_parents)]
"""A path below the user's folder of data, or an absolute one."""
