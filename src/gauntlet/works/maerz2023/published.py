"""Look up published numbers: the work writes norms, radii and switches in several ways."""

from __future__ import annotations

from typing import Any

import pandas as pd

from gauntlet.analysis.results import Results
from gauntlet.setting_types import ORDER, parse_number


def norm_name(value: Any) -> str:
    """Return the name of the norm that the work writes as ``inf``, ``2`` or ``1``."""
    return {order: norm for norm, order in ORDER.items()}[float(value)]


def printed_number(published: pd.DataFrame, **conditions: Any) -> float:
    """Return the number of the first published row that meets every condition; NaN where there is none."""
    keep = pd.Series(True, index=published.index)
    for column, wanted in conditions.items():
        keep &= published[column].map(_plain) == _plain(wanted)
    return float(published.loc[keep, "value"].iloc[0]) if keep.any() else float("nan")


def as_printed(attacks: Results) -> dict[str, Any]:
    """Return norm and radius of the published attack that ours stand for."""
    return {"attack_norm": ORDER[attacks.label("norm")], "attack_eps": attacks.label("printed_eps")}


def _plain(value: Any) -> str:
    """Return a value as text, so that equal things compare equal however they are typed."""
    text = str(value).strip().lower()
    try:
        return f"{float(parse_number(text)):.10g}"
    except ValueError:
        return text
