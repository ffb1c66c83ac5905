"""Types of settings: radii, norms, fractions. They validate and convert what a YAML file holds."""

from __future__ import annotations

import re
from functools import reduce
from operator import truediv
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

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


Number = Annotated[float, BeforeValidator(parse_number)]
"""A float that may be written as a fraction."""

Radius = Annotated[float, BeforeValidator(parse_number), Field(gt=0, allow_inf_nan=False)]
"""A positive radius in pixel scale ([0, 1])."""

PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
Share = Annotated[float, BeforeValidator(parse_number), Field(ge=0, le=1)]
"""A number in [0, 1]."""
