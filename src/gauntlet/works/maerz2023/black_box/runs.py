"""What the BOBYQA attack found: runs by model and radius, and intervals for pairs that share an image.

The names of the evaluations and procedures in the work's configuration are read here and nowhere else. A pair is
an image with a target class; several pairs may have one image (maerz2023, section 4.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gauntlet.reporting.inputs import ArtefactInputs, EvaluationResult
from gauntlet.reporting.statistics import Interval, share

RADII = ("3", "6", "9")
"""The radii of the work in 255ths; they name procedures also where another radius is meant."""

DEFENCES = {"natural": "Natural", "madry": "MadryLab", "locus": "LocusLab", "salman": "HadiSalman"}
"""Names of the models in the configuration and in the work, in the order of its tables."""

ATTACK, NOISELESS, CORNERS = "bobyqa", "noiseless", "corners"
"""The attack, the attack without noise in the queries, and one draw of random corners of the ball."""


@dataclass(frozen=True)
class Run:
    """One model under one procedure at one radius.

    Attributes:
        defence: name of the model as in ``DEFENCES``.
        radius: name of the radius as in ``RADII``.
        result: the evaluation that it is part of.
        procedure: name of the procedure in it.
        pairs: columns ``success``, ``queries_to_success`` (NaN for never), ``queries`` and so on, one row per
            attacked pair, by ``index`` (the image) and ``target``. A pair whose clean image is misclassified
            was not attacked.
    """

    defence: str
    radius: str
    result: EvaluationResult
    procedure: str
    pairs: pd.DataFrame

    @property
    def eps(self) -> float:
        """The linf radius in pixel scale."""
        return float(self.result.specification["procedures"][self.procedure]["eps"])

    @property
    def budget(self) -> int:
        """Queries that a pair may cost, at most."""
        return int(self.result.specification["procedures"][self.procedure]["budget"])

    @property
    def passed_over(self) -> int:
        """How many images or pairs were left out because the model misclassifies the clean image."""
        rows = self.result.frame["procedure"] == self.procedure
        return len(self.result.manifest["selection"]["skipped"]) + int(rows.sum()) - len(self.pairs)

    @property
    def images(self) -> np.ndarray:
        """The image of each pair."""
        return self.pairs.index.get_level_values("index").to_numpy()

    @property
    def costs(self) -> np.ndarray:
        """Queries until success of each pair, NaN for never."""
        return self.pairs["queries_to_success"].to_numpy(dtype=float)

    def rate(self, queries: float | None = None) -> Interval:
        """Return the share of pairs that succeed, within some queries or within the budget."""
        # A comparison with NaN is false: what never succeeds does not at any number of queries.
        hits = self.costs <= (self.budget if queries is None else queries)
        return share(hits, clusters=self.images)


def runs(inputs: ArtefactInputs, kind: str = ATTACK, *, released: bool = False) -> dict[tuple[str, str], Run]:
    """Return the runs of one kind of procedure by defence and radius, in the order of the work's tables.

    Args:
        inputs: with evaluations ``bobyqa-<defence>...``, those of the released pairs ending in ``-released``.
        kind: what the procedures' names begin with.
        released: whether the pairs of the released code are wanted.
    """
    found: dict[tuple[str, str], Run] = {}
    for name, result in inputs.evaluations.items():
        if name.endswith("-released") != released:
            continue
        defence = name.split("-")[1]
        for radius in RADII:
            procedure = f"{kind}-{radius}"
            if procedure in result.specification["procedures"]:
                rows = result.rows(procedure)
                pairs = rows[rows["correct"].astype(bool)].set_index(["index", "target"])
                if "queries_to_success" not in pairs:  # no pair succeeded, or the procedure asks no queries
                    pairs["queries_to_success"] = np.nan
                found[defence, radius] = Run(defence, radius, result, procedure, pairs)
    order = [(defence, radius) for defence in DEFENCES for radius in RADII]
    return {key: found[key] for key in order if key in found}


def matched(several: Sequence[Run]) -> tuple[list[pd.DataFrame], np.ndarray]:
    """Return the pairs that all runs attacked, one frame per run in one order, and the image of each pair."""
    common = several[0].pairs.index
    for run in several[1:]:
        common = common.intersection(run.pairs.index)
    common = common.sort_values()
    return [run.pairs.loc[common] for run in several], common.get_level_values("index").to_numpy()


def spent(pairs: pd.DataFrame, budget: int) -> np.ndarray:
    """Return the queries until success of each pair; a failure counts as the whole budget."""
    return pairs["queries_to_success"].fillna(budget).to_numpy(dtype=float)
