"""Made-up evaluations in which each attack finds every image's distance, times a factor of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

Runs = list[tuple[str, dict[str, Any], dict[str, Any]]]
Written = tuple[pd.DataFrame, dict[str, Any], dict[str, np.ndarray]]
RADII = (1, 2, 3, 4, 5)
NORMS = ("linf", "l2", "l1", "l0")
ALL = (1, 10, 100)
# By norm: each attack's key in the names of procedures, its name in tables, its numbers of restarts.
MINIMIZING: dict[str, tuple[tuple[str, str, tuple[int, ...]], ...]] = {
    "linf": (("df", "DF", ()), ("bb", "B&B", ()), ("fab", "FAB", ALL), ("pdpgd", "PDPGD", ALL)),
    "l2": (
        ("df", "DF", ()), ("cw", "C&W", ()), ("ddn", "DDN", ()), ("bb", "B&B", ()), ("fab", "FAB", ALL),
        ("pdgd", "PDGD", ALL),
    ),
    "l1": (
        ("sf", "SparseFool", ()), ("ead", "EAD", ()), ("bb", "B&B", ()), ("fab", "FAB", ALL),
        ("pdpgd", "PDPGD", ALL),
    ),
    "l0": (("jsma", "JSMA", ()), ("bb", "B&B", ()), ("pdpgd", "PDPGD", ALL)),
}  # fmt: skip
IN_BALL: dict[str, tuple[tuple[str, str, tuple[int, ...]], ...]] = {
    "linf": (("daa", "DAA", (1, 50)), ("pgd", "PGD", ALL)),
    "l2": (("pgd", "PGD", ALL), ("margin", "PGD, margin loss", ())),
    "l1": (("pgd", "PGD", ALL),),
    "l0": (("pixel", "Pixel", ()),),
}
DIVISORS = {5: 1.0, 25: 1.3}
"""What the step size is the radius' part of, and the factor by which such a run is worse."""

# By how much an attack overestimates the distance. In a model of its own where it matters to a claim.
USUAL = {
    "linf DF": 2.5, "linf B&B": 1.1, "linf DAA-1": 1.5, "linf DAA-50": 1.3,
    "linf PGD-1": 1.1, "linf PGD-10": 1.08, "linf PGD-100": 1.06,
    "linf FAB-1": 1.2, "linf FAB-10": 1.1, "linf FAB-100": 1.08,
    "linf PDPGD-1": 1.05, "linf PDPGD-10": 1.02, "linf PDPGD-100": 1.0,
    "l2 DF": 2.5, "l2 C&W": 1.08, "l2 DDN": 1.06, "l2 B&B": 1.12, "l2 PGD, margin loss": 1.1,
    "l2 PGD-1": 1.1, "l2 PGD-10": 1.08, "l2 PGD-100": 1.06,
    "l2 FAB-1": 1.3, "l2 FAB-10": 1.2, "l2 FAB-100": 1.1,
    "l2 PDGD-1": 1.05, "l2 PDGD-10": 1.02, "l2 PDGD-100": 1.0,
    "l1 SparseFool": 1.9, "l1 EAD": 1.12, "l1 B&B": 1.3,
    "l1 PGD-1": 1.4, "l1 PGD-10": 1.4, "l1 PGD-100": 1.4,
    "l1 FAB-1": 1.6, "l1 FAB-10": 1.5, "l1 FAB-100": 1.4,
    "l1 PDPGD-1": 1.2, "l1 PDPGD-10": 1.05, "l1 PDPGD-100": 1.0,
    "l0 JSMA": 4.0, "l0 Pixel": 1.2, "l0 B&B": 2.4,
    "l0 PDPGD-1": 1.5, "l0 PDPGD-10": 1.2, "l0 PDPGD-100": 1.0,
}  # fmt: skip
TRAINED_CIFAR = {"linf DAA-50": 2.5, "linf DAA-1": 2.6, "l2 PGD-1": 2.2, "l2 PGD-10": 2.1, "l2 PGD-100": 2.0}
TRAINED_CIFAR |= {"l2 C&W": 1.06, "l2 DDN": 1.08}
SPECIAL: dict[str, dict[str, float]] = {
    "mnist-plain": {"l0 B&B": 0.95},
    "mnist-linf-at": {
        "linf DAA-50": 1.03, "linf FAB-1": 1.4, "linf FAB-10": 1.35, "linf FAB-100": 1.3,
        "l2 B&B": 1.2, "l2 DDN": 1.3, "l2 C&W": 1.4, "l2 FAB-1": 1.7, "l2 FAB-10": 1.6, "l2 FAB-100": 1.5,
        "l1 EAD": 2.3, "l1 B&B": 2.5, "l1 SparseFool": 4.0, "l1 FAB-1": 2.6, "l1 FAB-10": 2.4, "l1 FAB-100": 2.2,
        "l1 PDPGD-1": 1.7,
    },
    "cifar-linf-at": TRAINED_CIFAR,
    "cifar-l2-at": TRAINED_CIFAR,
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """What the made-up evaluations say; the defaults make every claim true.

    Attributes:
        images: number of images, every tenth of which is misclassified.
        factors: by model, then norm and column: found over true distance.
        levels: scale of the true distances (0.5 to 6.5 times it), by model and norm; 1 for the others.
        failing: share of images, the hardest ones, on which an attack fails, by model and procedure.
        stall: radius from which on the pixel attack finds nothing new.
        steps: iterations of the primal-dual attacks.
        left_out: procedures that were not run.
    """

    images: int = 400
    factors: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: SPECIAL)
    levels: Mapping[str, float] = field(
        default_factory=lambda: {"mnist-linf-at l1": 0.3, "mnist-linf-at l0": 0.5}
    )
    failing: Mapping[str, float] = field(
        default_factory=lambda: {"mnist-linf-at l2-df": 0.24, "mnist-linf-at l1-sf": 0.18}
    )
    stall: float = 2.5
    steps: int = 500
    left_out: tuple[str, ...] = ()

    def but(self, **changes: Any) -> World:
        """Return the world with some fields replaced; entries of a mapping are merged, those of a model too."""
        merged = {}
        for name, value in changes.items():
            old = getattr(self, name)
            if name == "factors":
                value = {key: {**old.get(key, {}), **value.get(key, {})} for key in {**old, **value}}
            elif isinstance(value, Mapping):
                value = {**old, **value}
            merged[name] = value
        return replace(self, **merged)

    def factor(self, victim: str, norm: str, label: str) -> float:
        """Return by how much a column overestimates."""
        return {**USUAL, **self.factors.get(victim, {})}[f"{norm} {label}"]

    def distance(self, victim: str, norm: str) -> np.ndarray:
        """Return the true distances."""
        position = (np.arange(self.images) + 0.5) / self.images
        return self.levels.get(f"{victim} {norm}", 1.0) * (0.5 + 6 * position)

    def frames(self, name: str) -> tuple[dict[str, Any], list[pd.DataFrame]]:
        """Return procedures and rows of an evaluation."""
        victim = name.removesuffix("-fixed")
        settings: dict[str, Any] = {}
        rows = []
        in_ball = name.endswith("-fixed")
        for norm in NORMS:
            for key, attack, restarts in (IN_BALL if in_ball else MINIMIZING)[norm]:
                if f"{norm}-{key}" in self.left_out:
                    continue
                make = self._in_ball if in_ball else self._minimal
                for procedure, entry, columns in make(victim, norm, key, attack, restarts):
                    settings[procedure] = entry
                    rows.append(
                        pd.DataFrame({"procedure": procedure, **self._common(), "success": True, **columns})
                    )
        return settings, rows

    def own_labels(self, evaluation: str, procedure: str) -> dict[str, Any]:
        """Return the radii of this world, which are 1 to 5 in every norm."""
        return {"radius": int(procedure.split("-")[2])} if evaluation.endswith("-fixed") else {}

    def _common(self) -> dict[str, Any]:
        number = np.arange(self.images)
        return {
            "index": number,
            "label": number % 10,
            "target": -1,
            "correct": number % 10 != 9,
            "prediction": 3,
        }

    def _minimal(self, victim: str, norm: str, key: str, attack: str, restarts: tuple[int, ...]) -> Runs:
        procedure, distance = f"{norm}-{key}", self.distance(victim, norm)
        measured = "pixels" if norm == "l0" else norm
        share = self.failing.get(f"{victim} {procedure}", 0.0)
        columns: dict[str, Any] = {"success": np.arange(self.images) < (1 - share) * self.images}
        if not restarts:
            columns[measured] = distance * self.factor(victim, norm, attack)
        for number in restarts:
            sizes = distance * self.factor(victim, norm, f"{attack}-{number}")
            columns |= {f"{norm}_after_{number}": sizes, measured: sizes}
        entry: dict[str, Any] = {"name": key, "steps": self.steps}
        if key in ("pdgd", "pdpgd"):
            columns |= {
                f"{norm}_at_0.1": distance * 1.5, f"{norm}_at_0.5": np.full(self.images, np.inf),
                f"{norm}_at_1": distance * 1.2, "step_size": np.float32(0.1),
            }  # fmt: skip
            entry |= {
                "step_sizes": [0.1, 0.5, 1.0], "direction": "auto", "restarts": 4, "start_radius": 0.5,
                "updates": "simultaneous",
            }  # fmt: skip
        return [(procedure, entry, columns)]

    def _in_ball(self, victim: str, norm: str, key: str, attack: str, restarts: tuple[int, ...]) -> Runs:
        distance, made = self.distance(victim, norm), []
        for number, eps in enumerate(RADII, 1):
            if key == "pixel":
                found = distance * self.factor(victim, norm, "Pixel") <= min(eps, self.stall)
                made.append((f"l0-pixel-{number}", {"name": "one_pixel", "pixels": eps}, {"success": found}))
                continue
            for divisor, worse in DIVISORS.items():
                restart = np.full(self.images, -1)
                columns = {each: f"{attack}-{each}" for each in restarts} or {1: attack}
                for each, column in sorted(columns.items(), reverse=True):
                    found = distance * worse * self.factor(victim, norm, column) <= eps
                    restart = np.where(found, each, restart)
                entry = {"name": key, "eps": eps, "steps": 100}
                made.append((f"{norm}-{key}-{number}-{divisor}", entry, {"restart": restart}))
        return made

    def model(self, name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Return history and manifest of a model."""
        return pd.DataFrame({"epoch": [1, 2, 3], "test_accuracy": [0.5, 0.9, np.nan]}), {}

    def evaluation(self, name: str) -> Written:
        """Return the rows of an evaluation, its manifest and the images that it kept."""
        settings, rows = self.frames(name)
        specification = {"model": name, "dataset": "made-up", "procedures": settings, "keep_images": 40}
        images = np.tile(np.linspace(0, 1, 40, dtype=np.float32)[:, None, None, None], (1, 1, 4, 4))
        kept = {"clean": images, **dict.fromkeys(settings, images / 2)}
        return pd.concat(rows, ignore_index=True), {"specification": specification}, kept


@pytest.fixture(scope="session")
def world() -> World:
    """The world in which the claims hold."""
    return World()
