"""Made-up evaluations in which each attack finds every image's distance, times a factor of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gauntlet.works.matyasko2020.primal_dual.minimal_norms import ATTACKS, NORMS, Attack

Written = tuple[pd.DataFrame, dict[str, Any], dict[str, np.ndarray]]
RADII = (1, 2, 3, 4, 5)
LADDER = {1: 1, 10: 2, 100: 4}
LADDER_DAA = {1: 1, 50: 3}
VICTIMS = tuple(f"{data}-{kind}" for data in ("mnist", "cifar") for kind in ("plain", "linf-at", "l2-at"))
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
        for norm in NORMS:
            for attack in ATTACKS[norm]:
                if attack.in_ball != name.endswith("-fixed") or f"{norm}-{attack.key}" in self.left_out:
                    continue
                make = self._in_ball if attack.in_ball else self._minimal
                for procedure, entry, columns in make(victim, norm, attack):
                    settings[procedure] = entry
                    rows.append(
                        pd.DataFrame({"procedure": procedure, **self._common(), "success": True, **columns})
                    )
        return settings, rows

    def _common(self) -> dict[str, Any]:
        number = np.arange(self.images)
        return {"index": number, "label": number % 10, "correct": number % 10 != 9, "prediction": 3}

    def _minimal(self, victim: str, norm: str, attack: Attack) -> list[tuple[str, dict[str, Any], Any]]:
        procedure, distance = f"{norm}-{attack.key}", self.distance(victim, norm)
        measured = "pixels" if norm == "l0" else norm
        share = self.failing.get(f"{victim} {procedure}", 0.0)
        columns: dict[str, Any] = {"success": np.arange(self.images) < (1 - share) * self.images}
        if not attack.restarts:
            columns[measured] = distance * self.factor(victim, norm, attack.name)
        for printed in attack.restarts:
            sizes = distance * self.factor(victim, norm, f"{attack.name}-{printed}")
            columns[f"{norm}_after_{LADDER[printed]}"] = sizes
            columns[measured] = sizes
        entry: dict[str, Any] = {"name": attack.key, "steps": self.steps}
        if attack.key in ("pdgd", "pdpgd"):
            columns |= {
                f"{norm}_at_0.1": distance * 1.5, f"{norm}_at_0.5": np.full(self.images, np.inf),
                f"{norm}_at_1": distance * 1.2, "step_size": np.float32(0.1),
            }  # fmt: skip
            entry |= {
                "step_sizes": [0.1, 0.5, 1.0], "direction": "auto", "restarts": 4, "start_radius": 0.5,
                "updates": "simultaneous",
            }  # fmt: skip
        return [(procedure, entry, columns)]

    def _in_ball(self, victim: str, norm: str, attack: Attack) -> list[tuple[str, dict[str, Any], Any]]:
        distance, made = self.distance(victim, norm), []
        ladder = LADDER_DAA if attack.key == "daa" else LADDER
        for number, eps in enumerate(RADII, 1):
            if attack.key == "pixel":
                found = distance * self.factor(victim, norm, "Pixel") <= min(eps, self.stall)
                made.append((f"l0-pixel-{number}", {"name": "one_pixel", "pixels": eps}, {"success": found}))
                continue
            for divisor, worse in DIVISORS.items():
                restart = np.full(self.images, -1)
                labels = {ladder[printed]: f"{attack.name}-{printed}" for printed in attack.restarts}
                for here, label in sorted((labels or {1: attack.name}).items(), reverse=True):
                    restart = np.where(
                        distance * worse * self.factor(victim, norm, label) <= eps, here, restart
                    )
                entry = {"name": attack.key, "eps": eps, "steps": 100}
                made.append((f"{norm}-{attack.key}-{number}-{divisor}", entry, {"restart": restart}))
        return made

    def evaluation(self, name: str) -> Written:
        """Return the rows of an evaluation, its manifest and the images that it kept."""
        settings, rows = self.frames(name)
        specification = {"model": name, "dataset": "made-up", "procedures": settings, "keep_images": 40}
        images = np.tile(np.linspace(0, 1, 40, dtype=np.float32)[:, None, None, None], (1, 1, 4, 4))
        kept = {"clean": images, **dict.fromkeys(settings, images / 2)}
        return pd.concat(rows, ignore_index=True), {"specification": specification}, kept


@pytest.fixture
def world() -> World:
    """The world in which the claims hold."""
    return World()


@pytest.fixture
def settings() -> dict[str, Any]:
    """The settings that all artefacts and claims share."""
    return {
        "ladder": [list(row) for row in LADDER.items()],
        "ladder-daa": [list(row) for row in LADDER_DAA.items()],
    }


@pytest.fixture
def with_fixed() -> Callable[..., list[str]]:
    """Return a function that adds the evaluations of attacks in a ball to names of models."""
    return lambda *names: [*names, *(f"{name}-fixed" for name in names)]


@pytest.fixture
def victims() -> tuple[str, ...]:
    """All six models."""
    return VICTIMS
