"""Read the published numbers: the work writes norms, radii and switches in several ways."""

from __future__ import annotations

from typing import Any

import pandas as pd

from gauntlet.works.maerz2023.perturbations.observations import HARMONIC, Scheme

PUBLISHED_EPS = {
    "linf": "3/255", "linf-double": "6/255",
    "l2-same": "3/255", "l2-volume": "2.209", "l2-nested": "4.564",
    "l1-same": "3/255", "l1-volume": "651.5", "l1-nested": "1771",
}  # fmt: skip
"""The radius of ImageNet that each of our radii stands for."""

DEFENCES = {
    "natural": "Natural", "madry-linf-4": "MadryLab", "madry-linf-8": "MadryLab", "madry-l2-3": "MadryLab",
    "locus-linf-2": "LocusLab", "locus-linf-4": "LocusLab",
}  # fmt: skip
"""The name under which the work lists the model of each evaluation."""


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as mappings."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def norm_name(value: Any) -> str:
    """Turn ``inf``, ``2`` or ``1`` into the name of the norm."""
    return {float("inf"): "linf", 2.0: "l2", 1.0: "l1"}[float(value)]


def only_value(frame: pd.DataFrame, **conditions: Any) -> float:
    """Return the number of the one published row that meets every condition; NaN where there is none."""
    if frame.empty:
        return float("nan")
    keep = pd.Series(True, index=frame.index)
    for column, wanted in conditions.items():
        keep &= frame[column].map(_plain) == _plain(wanted)
    found = frame.loc[keep, "value"]
    return float(found.iloc[0]) if len(found) else float("nan")


def scheme_conditions(scheme: Scheme | None) -> dict[str, str]:
    """Say how the tables name a step scheme; None is their last row."""
    if scheme is None:
        return {"decay": "mean over the 4 schemes"}
    return {"decay": scheme.decay, "rand": str(scheme.randomized)}


def radius_conditions(radius: str) -> dict[str, Any]:
    """Say how the tables name a radius."""
    return {"attack_norm": radius.partition("-")[0].removeprefix("l"), "attack_eps": PUBLISHED_EPS[radius]}


def released_step_scheme(
    frame: pd.DataFrame, metric: str, steps: int, scheme: Scheme = HARMONIC, defence: str = "natural"
) -> float:
    """Return an accuracy of the author's plotting script (Figure 4.4 and what it leaves out), a fraction."""
    return only_value(
        frame, file="released_step_schemes.csv", defence=defence, metric=metric, steps=steps,
        decay=scheme.decay, rand=str(scheme.randomized),
    )  # fmt: skip


def _plain(value: Any) -> str:
    """Write a value so that equal things compare equal, however a reader typed them."""
    text = str(value).strip().lower()
    try:
        return f"{float(text):.10g}"
    except ValueError:
        return text
