"""Single numbers as text. Imports nothing heavy, because the kernel of every page needs it."""

from __future__ import annotations

import math

ABSENT = "–"
"""Sign for an absent value."""

SIGNIFICANT = 4


def format_number(value: float, decimals: int | None = None) -> str:
    """Format a number with a fixed number of decimals, or with four significant digits."""
    if math.isnan(value):
        return ABSENT
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if decimals is not None:
        text = f"{value:.{decimals}f}"
    elif value == 0:
        return "0"
    elif 1e-4 <= abs(value) < 1e7:
        text = f"{value:.{max(0, SIGNIFICANT - 1 - math.floor(math.log10(abs(value))))}f}"
    else:
        text = f"{value:.{SIGNIFICANT - 1}e}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def duration(seconds: float) -> str:
    """Write a duration in the unit that suits it: ``0.4 s``, ``12 s``, ``3 min``, ``2.5 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def percent(probability: float) -> str:
    """Return a probability in percent."""
    return f"{100 * probability:.2f} %"


def radius_text(eps: float) -> str:
    """Return a radius in 255ths where that is a small whole number, else with four significant digits."""
    steps = eps * 255
    if abs(steps - round(steps)) < 1e-6 and 0 < round(steps) < 128:
        return f"{round(steps)}/255"
    return f"{eps:.4g}"
