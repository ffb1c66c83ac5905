"""A made-up world in which the claims of chapters 2 and 3 hold, and ways to change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

Written = tuple[pd.DataFrame, dict[str, Any], dict[str, np.ndarray]]
LIMIT = 10_000
TUNING = 20

ROBUST = {"adversarial-training": 0.54, "trades": 0.57, "sense": 0.425, "feature-scattering": 0.445,
          "adversarial-interpolation": 0.47}  # fmt: skip
"""Robust accuracy under RayS of each defence, about as published."""
OVER_RAYS = {
    "recognized": {
        "sign-opt": 0.31, "hsja": 0.22, "sign-hunter": -0.03, "square": -0.02, "pgd-20": -0.025, "cw-20": -0.02,
        "pgd-100": -0.03, "cw-100": -0.02,
    },
    "falsely": {
        "sign-opt": 0.41, "hsja": 0.2, "sign-hunter": 0.33, "square": 0.12, "pgd-20": 0.4, "cw-20": 0.22,
        "pgd-100": 0.38, "cw-100": 0.2,
    },
}  # fmt: skip
"""What each attack leaves more than RayS."""


def merged(old: Any, new: Any) -> Any:
    """Replace a value; of a mapping, only the entries that are given, level by level."""
    if not isinstance(new, Mapping):
        return new
    return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}


@dataclass(frozen=True)
class World:
    """What the attacks would do; every field can be replaced.

    Attributes:
        images: number of images; chapter 2's white-box attacks spend the first 20 of them on tuning.
        white_box: by method: success rate, mean iterations, distortion over eps.
        scores: by procedure: success rate, shortest and longest queries, seconds for all images.
        labels: by procedure: success rate, shortest and longest queries.
        over_rays: what attacks leave on top of RayS, by kind of defence.
        distances: mean distance over that of RayS, by attack.
        early: distance at a quarter of the limit over that at the end.
        filled: share of eps that white-box and score-based attacks use.
        again: queries that a second run of RayS takes more.
    """

    images: int = 600
    white_box: Mapping[str, tuple[float, float, float]] = field(
        default_factory=lambda: {
            "fgsm": (0.2, 1, 1.0), "pgd": (1.0, 6, 0.98), "mi-fgsm": (1.0, 5, 0.97), "fw": (1.0, 3, 0.5),
            "zero": (1.0, 3, 0.5),
        }
    )  # fmt: skip
    scores: Mapping[str, tuple[float, float, float, float]] = field(
        default_factory=lambda: {
            "nes": (0.88, 2500, 9000, 9.0), "bandits": (0.72, 30, 6000, 9.0), "nattack": (0.99, 5000, 9900, 9.0),
            "fw-sphere": (0.99, 500, 2500, 2.0), "fw-gaussian": (0.99, 500, 2500, 2.0),
        }
    )  # fmt: skip
    labels: Mapping[str, tuple[float, float, float]] = field(
        default_factory=lambda: {
            "opt": (0.14, 100, 4000), "opt-stopped": (0.1, 100, 2000), "sign-opt": (0.3, 2000, 9000),
            "hsja": (0.2, 500, 3000), "rays": (1.0, 30, 1500),
        }
    )  # fmt: skip
    hsja_on_imagenet: tuple[float, float, float] = (0.2, 5, 300)
    pgd: float = 1.0
    over_rays: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: OVER_RAYS)
    robust: Mapping[str, float] = field(default_factory=lambda: ROBUST)
    distances: Mapping[str, float] = field(default_factory=lambda: {"hsja": 1.6, "sign-opt": 5.2})
    early: float = 1.005
    filled: float = 1.0
    again: int = 0

    def but(self, **changes: Any) -> World:
        """Return the world with some fields replaced; entries of mappings are merged."""
        return replace(self, **{name: merged(getattr(self, name), value) for name, value in changes.items()})

    def position(self) -> np.ndarray:
        """Return evenly spread numbers in (0, 1), one per image, in an order that no tuning sees."""
        return np.random.default_rng(0).permutation((np.arange(self.images) + 0.5) / self.images)

    def procedures(self, name: str) -> dict[str, tuple[dict[str, Any], dict[str, np.ndarray]]]:
        """Return settings and columns of every procedure of an evaluation."""
        kind = name.partition("-")[0]
        if kind == "white":
            return dict(self._white_box(method) for method in self.white_box)
        if kind == "queries":
            return {key: self._queries(*each[:3]) for key, each in self.scores.items()}
        if kind == "labels":
            return self._labels(name)
        return self._robust(name.removeprefix("robust-"))

    def _white_box(self, method: str) -> tuple[str, tuple[dict[str, Any], dict[str, np.ndarray]]]:
        rate, iterations, filled = self.white_box[method]
        where = self.position()
        columns = {
            "success": where < rate,
            "iterations": np.where(where < rate, iterations + (where > 0.5) - (where < 0.1), 20),
            "linf": 0.3 * filled * (0.99 + 0.01 * where),
        }
        grid = {"fgsm": "", "fw": "-0.2-0.5", "zero": "-0.2-0.5"}.get(method, "-0.2")
        used: dict[str, Any] = {"name": "mi_fgsm", "eps": 0.3, "steps": 20, "step_size": 0.06}
        if method in ("fw", "zero"):
            used |= {"name": "frank_wolfe", "step_size": 0.2, "momentum": 0.5}
        return f"{method}{grid}", (used, columns)

    def _queries(
        self, rate: float, shortest: float, longest: float
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        where = self.position()
        queries = shortest + (longest - shortest) * where / max(rate, 1e-9)
        success = where < rate
        columns = {
            "queries_to_success": np.where(success, queries, np.nan),
            "success": success,
            "linf": np.full(self.images, 0.05),
            "prediction_confidence": where,
        }
        return {"eps": 0.3, "budget": LIMIT, "steps": 1}, columns

    def _labels(self, name: str) -> dict[str, tuple[dict[str, Any], dict[str, np.ndarray]]]:
        found = dict(self.labels)
        if name not in ("labels-mnist", "labels-cifar10"):
            found["hsja"] = self.hsja_on_imagenet
        made = {key: self._queries(*each) for key, each in found.items()}
        used, columns = self._queries(*found["rays"])
        made["rays-again"] = (
            used, {**columns, "queries_to_success": columns["queries_to_success"] + self.again}
        )  # fmt: skip
        made["pgd"] = ({"eps": 0.3}, {"success": self.position() < self.pgd})
        return made

    def _robust(self, defence: str) -> dict[str, tuple[dict[str, Any], dict[str, np.ndarray]]]:
        kind = "recognized" if defence in ("adversarial-training", "trades") else "falsely"
        where, base = self.position(), self.robust[defence]
        made = {}
        for attack, more in {"rays": 0.0, **self.over_rays[kind]}.items():
            left = where < base + more
            columns = {"success": ~left, "linf": np.full(self.images, 0.031 * self.filled)}
            if attack in ("rays", "hsja", "sign-opt"):
                # Robust images lie beyond eps = 0.031, the others within; means follow the robust share.
                distance = (0.02 + 0.022 * base) * self.distances.get(attack, 1.0)
                beyond, inside = 0.0311 + distance, 0.004
                columns["best_linf"] = np.where(left, beyond, inside)
                columns["iterations"] = np.full(self.images, 700)
                for mark in (100, 2000, LIMIT):
                    grown = 1.0 if mark == LIMIT else self.early if mark == 2000 else 3.0
                    columns[f"linf_at_query_{mark}"] = columns["best_linf"] * grown
                    columns[f"linf_at_iteration_{mark}"] = columns["best_linf"] * grown
            made[attack] = ({"eps": 0.031, "budget": LIMIT, "steps": 20}, columns)
        return made

    def evaluation(self, name: str) -> Written:
        """Return the rows of an evaluation, its manifest and the images that it kept."""
        procedures = self.procedures(name)
        order = np.arange(self.images)
        shared = {"index": order, "label": order % 10, "target": (order + 1) % 10, "correct": True}
        frame = pd.concat(
            [
                pd.DataFrame({"procedure": key, **shared, **columns})
                for key, (_, columns) in procedures.items()
            ],
            ignore_index=True,
        )
        manifest = {
            "specification": {
                "model": "made-up", "dataset": "mnist", "keep_images": 0,
                "procedures": {key: used for key, (used, _) in procedures.items()},
            },
            "procedure_seconds": {
                key: self.scores[key][3] if key in self.scores else 1.0 for key in procedures
            },
        }  # fmt: skip
        return frame, manifest, {}


@pytest.fixture(scope="session")
def world() -> World:
    """The world in which every claim holds."""
    return World()
