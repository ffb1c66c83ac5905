"""The smallest distance after so many queries or iterations, on a logarithmic grid."""

from __future__ import annotations

import torch
from torch import Tensor

MARKS_PER_DECADE = 8


def trace_marks(limit: int) -> list[int]:
    """Return the counts at which a trace is read: eight per decade up to ``limit``, and ``limit`` itself.

    The marks of a smaller limit are among those of a larger one, except for the limit.
    """
    marks: list[int] = []
    exponent = 0
    while (mark := round(10 ** (exponent / MARKS_PER_DECADE))) < limit:
        if mark not in marks:
            marks.append(mark)
        exponent += 1
    return [*marks, limit]


class Trace:
    """The smallest value that each image had reached at each mark, infinity before the first.

    Args:
        marks: increasing counts (of queries, or of iterations).
        like: one number per image ``[N]``, of the type and on the device of the values.
    """

    def __init__(self, marks: list[int], like: Tensor) -> None:
        self.marks = marks
        self._marks = torch.tensor(marks, device=like.device)
        self._values = like.new_full((len(like), len(marks)), torch.inf)

    def note(self, rows: Tensor, positions: Tensor, values: Tensor) -> None:
        """Note that the images ``rows`` reached ``values`` at the counts ``positions`` (all ``[n]``)."""
        reached = torch.where(self._marks >= positions[:, None], values[:, None], torch.inf)
        self._values[rows] = torch.minimum(self._values[rows], reached)

    def columns(self, prefix: str) -> dict[str, Tensor]:
        """Return one column per mark, ``<prefix>_<mark>``."""
        return {f"{prefix}_{mark}": self._values[:, place] for place, mark in enumerate(self.marks)}
