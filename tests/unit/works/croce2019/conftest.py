"""Made-up evaluations in which each attack finds every image's distance, times a factor of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gauntlet.configuration import load_catalogue

CONFIG = Path(__file__).parents[4] / "config"

Written = tuple[pd.DataFrame, dict[str, Any], dict[str, np.ndarray]]
RESTARTS = {"PGD-1": 1, "PGD-1k": 1000, "PGD-10k": 10_000}
PROCEDURES = {"CW-10k": "cw-10k", "CW-100k": "cw-100k", "DF": "deepfool", "ours": "lra"}

# The factor by which an attack overestimates the distance, by evaluation; what is missing is "all".
USUAL = {"PGD-1": 1.3, "PGD-10k": 1.18, "CW-10k": 1.1, "CW-100k": 1.1, "DF": 1.5, "ours": 1.0}
SPECIAL: dict[str, dict[str, float]] = {
    "mnist-plain": {"DF": 1.8},
    "mnist-linf-at": {
        "PGD-1": 9.0, "PGD-10k": 2.0, "CW-10k": 4.0, "CW-100k": 4.0, "DF": 9.0, "ours": 1.0
    },
    "mnist-l2-at": {"PGD-10k": 0.9, "DF": 1.8},
    "cifar-plain": {"PGD-1": 2.5, "PGD-10k": 2.47, "CW-10k": 1.02, "CW-100k": 1.02, "DF": 1.8},
    "cifar-l2-at": {"PGD-1": 1.5, "PGD-10k": 1.47, "CW-10k": 1.02, "CW-100k": 1.02, "DF": 2.0},
    "cifar-linf-at": {"PGD-1": 1.5, "PGD-10k": 1.47, "CW-10k": 1.02, "CW-100k": 1.02, "DF": 2.0},
    "gts-plain": {"PGD-1": 2.2, "DF": 1.8},
    "gts-l2-at": {"PGD-1": 1.5, "DF": 1.8},
    "gts-linf-at": {"PGD-1": 1.5, "DF": 1.8},
    "provable-mnist-linf-kw": {"CW-10k": 3.0},
    "large-plain": {"PGD-1k": 1.0},
    "large-linf-at": {"PGD-1k": 1.0},
}  # fmt: skip
LEVELS = {"mnist-plain": 1.2, "mnist-l2-at": 2.2, "mnist-linf-at": 1.4}


@cache
def radii_of(name: str) -> list[float]:
    """Return the radii that PGD is run at in an evaluation, as configured."""
    entry = load_catalogue(CONFIG, {"scale": "full", "works": "croce2019"}).evaluation("croce2019", name)
    return [float(each["eps"]) for each in entry.procedures.values() if each["name"] == "pgd_with_restarts"]


@dataclass(frozen=True)
class World:
    """What the made-up evaluations say; the defaults make every claim true.

    Attributes:
        images: number of images.
        factors: by evaluation, then attack: found over true distance.
        levels: scale of the true distances (0.3 to 2.7 times it), by evaluation; 1.3 for the others.
        passes: forward passes per image by procedure.
        finals: final distance of the searches, by ``<evaluation>/<procedure>``; 1 for the others.
        early: what a search with this parameter still has above its final distance early on.
        within: distance of the solution over that of the start, in the pictures of runs.
    """

    images: int = 400
    factors: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: SPECIAL)
    levels: Mapping[str, float] = field(default_factory=lambda: LEVELS)
    passes: Mapping[str, float] = field(
        default_factory=lambda: {"deepfool": 30, "pgd-1.0": 900, "cw-100k": 5000, "lra": 90000}
    )
    finals: Mapping[str, float] = field(default_factory=lambda: {"sweeps-mnist/gamma-1": 2.0})
    early: Mapping[str, float] = field(default_factory=lambda: {"q-1.0": 0.05, "q-0.6": 0.2})
    within: float = 0.5

    def but(self, **changes: Any) -> World:
        """Return the world with some fields replaced; entries of a mapping are merged."""
        merged = {
            name: {**getattr(self, name), **value} if isinstance(value, Mapping) else value
            for name, value in changes.items()
        }
        return replace(self, **merged)

    def frames(self, name: str) -> tuple[dict[str, Any], list[pd.DataFrame]]:
        """Return procedures and rows of an evaluation."""
        if name.startswith("sweeps"):
            return self._sweeps(name)
        if name.startswith("path"):
            return {"path": {"name": "linear_region_path"}}, [self._path()]
        position = (np.arange(self.images) + 0.5) / self.images
        radii = radii_of(name)
        # Radii of GTS and CIFAR-10 are smaller than those of MNIST; so are distances.
        scale = 1 if radii[-1] > 2 else radii[-1] / 3
        distance = scale * self.levels.get(name, 1.3) * (0.3 + 2.4 * position)
        factors = {**USUAL, **self.factors.get(name, {})}
        factors.setdefault("PGD-1k", factors["PGD-10k"])
        common = {"index": np.arange(self.images), "label": 0, "target": -1, "correct": True}
        settings: dict[str, Any] = {}
        rows = []
        for eps in radii:
            key = f"pgd-{eps}"
            restart = np.full(self.images, -1)
            for attack in sorted(RESTARTS, key=lambda each: -RESTARTS[each]):
                restart = np.where(distance * factors[attack] <= eps, RESTARTS[attack], restart)
            settings[key] = {"name": "pgd_with_restarts", "eps": eps}
            queries = self.passes.get(key, 1.0)
            rows.append(pd.DataFrame({"procedure": key, **common, "restart": restart, "queries": queries}))
        for attack, key in PROCEDURES.items():
            settings[key] = {"name": key, "settings": {"steps": 1000 if attack == "CW-100k" else 100}}
            columns = {
                "success": True,
                "l2": distance * factors[attack],
                "queries": self.passes.get(key, 1.0),
            }
            rows.append(pd.DataFrame({"procedure": key, **common, **columns}))
        return settings, rows

    def _sweeps(self, name: str) -> tuple[dict[str, Any], list[pd.DataFrame]]:
        numbers = [0, 1, 5, 15, 50]
        position = (np.arange(40) + 0.5) / 40
        settings, rows = {}, []
        names = [f"q-{q}" for q in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)] + [f"gamma-{g}" for g in range(1, 10)]
        for key in names:
            final = self.finals.get(f"{name}/{key}", 1.0) * (0.8 + 0.4 * position)
            behind = self.early.get(key, 0.1)
            excess = {0: 1.0, 1: behind + 0.3, 5: behind, 15: self.early.get("late", 0.01), 50: 0.0}
            settings[key] = {
                "name": "linear_region",
                "checkpoints": numbers,
                "sampling": "uniform" if key == "q-0.5" else "biased",
            }
            columns = {f"l2_after_{number}": final * (1 + excess[number]) for number in numbers}
            common = {"index": np.arange(40), "target": -1, "correct": True}
            rows.append(pd.DataFrame({"procedure": key, **common, **columns}))
        return settings, rows

    def _path(self) -> pd.DataFrame:
        start = 2 + 0.1 * np.arange(6)
        distances = [2 * start, start, 0.8 * start, 0.6 * start, 0.5 * start, self.within * start]
        columns = {f"distance_{number}": values for number, values in enumerate(distances)}
        for number in range(len(distances)):
            columns |= {f"first_{number}": np.full(6, 1), f"second_{number}": np.full(6, 0)}
        columns |= dict.fromkeys(("start_margin", "solution_margin", "violation"), np.zeros(6))
        return pd.DataFrame(
            {"procedure": "path", "index": np.arange(6), "label": 0, "target": -1, "correct": True, **columns}
        )

    def evaluation(self, name: str) -> Written:
        """Return the rows of an evaluation, its manifest and the images that it kept."""
        settings, rows = self.frames(name)
        specification = {
            "model": f"croce-{name}",
            "dataset": "made-up",
            "procedures": settings,
            "keep_images": 6,
        }
        strip = np.tile(np.linspace(0, 1, 4 * 6, dtype=np.float32), (6, 1, 4, 1))
        images = {"clean": strip[..., :4], "path": strip} if name.startswith("path") else {}
        seconds = dict.fromkeys(settings, 0.5 * self.images)
        manifest = {"specification": specification, "procedure_seconds": seconds}
        return pd.concat(rows, ignore_index=True), manifest, images


@pytest.fixture(scope="session")
def world() -> World:
    """The world in which the claims hold."""
    return World()
