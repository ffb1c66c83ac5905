"""A made-up world in which every claim of the work holds, and ways to change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gauntlet.measures.gradient_similarity import cosine_column
from gauntlet.works.maerz2023.perturbations.observations import (
    ALL_SCHEMES,
    GRADIENT,
    NINE,
    NOISES,
    SCHEMES,
    Scheme,
    procedure,
)
from gauntlet.works.maerz2023.perturbations.similarity import similarity_name

Written = tuple[pd.DataFrame, dict[str, Any], dict[str, np.ndarray]]
PUBLISHED = Path(__file__).parents[4] / "config" / "published" / "maerz2023"
EPS = {
    "linf": 3 / 255, "linf-double": 6 / 255, "l2-same": 3 / 255, "l2-volume": 0.316, "l2-nested": 0.652,
    "l1-same": 3 / 255, "l1-volume": 13.3, "l1-nested": 36.1,
}  # fmt: skip
RADII = {
    "natural": tuple(EPS), "natural-released": tuple(EPS), "natural-replicate": ("linf",),
    "madry-linf-4": ("linf",), "locus-linf-2": ("linf",), "madry-linf-8": ("linf-double",),
    "locus-linf-4": ("linf-double",), "madry-l2-3": ("l2-volume",),
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """What the networks would answer; every field can be replaced.

    Attributes:
        images: number of images.
        level: median loss of a natural model under gradient attacks, by radius.
        defended: loss of defended models under gradient attacks.
        steps: factor on the natural loss by number of steps.
        top: share of images that stay among the first two classes, by radius.
        decay_top: overrides ``top`` at linf, by decay.
        noise_rank: rank of the true class under noise.
        defended_top1: share of correct images of defended models, by decay.
        distortion: linf, l2 and l1 length of the perturbation, by radius.
        zeros: images whose confidence is exactly 0 after 16 steps, by decay.
        inner, outer: cosine between unguided versions, and between an unguided and an attacked one.
        cosine: cosine to the 16-step gradient on natural models, by number of steps.
        defended_cosine: the same on defended models.
        double: factor on natural cosines at twice the radius.
        scheme_gain: what other schemes add to a cosine.
    """

    images: int = 100
    level: Mapping[str, float] = field(
        default_factory=lambda: {
            "linf": 18.0, "linf-double": 25.0, "l2-same": 0.12, "l2-volume": 13.0, "l2-nested": 19.0,
            "l1-same": 0.11, "l1-volume": 15.0, "l1-nested": 23.0,
        }
    )  # fmt: skip
    defended: float = 1.3
    steps: Mapping[str, float] = field(
        default_factory=lambda: {"1": 0.5, "2": 0.8, "4": 1.0, "8": 1.1, "16": 1.2}
    )
    top: Mapping[str, float] = field(
        default_factory=lambda: {
            "linf": 0.1,
            "l2-volume": 0.4,
            "l1-volume": 0.4,
            "l2-nested": 0.12,
            "l1-nested": 0.12,
        }
    )
    decay_top: Mapping[str, float] = field(default_factory=lambda: {"constant": 0.4})
    noise_rank: int = 0
    gradient_rank: Mapping[str, int] = field(default_factory=dict)
    defended_top1: Mapping[str, float] = field(default_factory=dict)
    distortion: Mapping[str, tuple[float, float, float]] = field(
        default_factory=lambda: {
            "linf": (0.0118, 2.9, 966.0), "l2-volume": (0.064, 1.5, 380.0), "l1-volume": (0.19, 1.8, 448.0)
        }
    )  # fmt: skip
    zeros: Mapping[str, int] = field(default_factory=lambda: {"harmonic": 6})
    inner: float = 0.8
    outer: float = 0.08
    cosine: Mapping[str, float] = field(default_factory=lambda: {"1": 0.15, "2": 0.2, "4": 0.35, "8": 0.45})
    defended_cosine: Mapping[str, float] = field(
        default_factory=lambda: {"1": 0.7, "2": 0.75, "4": 0.85, "8": 0.92}
    )
    double: float = 0.8
    scheme_gain: float = 0.02

    def but(self, **changes: Any) -> World:
        """Return the world with some fields replaced; entries of a mapping are merged."""
        merged = {
            name: {**getattr(self, name), **value} if isinstance(value, Mapping) else value
            for name, value in changes.items()
        }
        return replace(self, **merged)

    def columns(self, model: str, radius: str, perturbation: str, scheme: Scheme) -> dict[str, np.ndarray]:
        """Return the columns of one attacked version of every image."""
        position = (np.arange(self.images) + 0.5) / self.images
        spread = 0.9 + 0.2 * position
        natural = model.startswith("natural")
        attacked = perturbation in GRADIENT
        if not attacked:
            loss = (0.1 if perturbation == "clean" else 0.15) * spread + (0.0 if natural else 0.3)
            rank = np.full(self.images, 0 if perturbation == "clean" else self.noise_rank)
        elif natural:
            loss = self.level[radius] * self.steps[perturbation] * spread
            share = self.top.get(radius, 0.1)
            if radius == "linf":
                share = self.decay_top.get(scheme.decay, share)
            rank = np.where(position < share, 1, 4)
            rank = np.full(self.images, self.gradient_rank[radius]) if radius in self.gradient_rank else rank
        else:
            loss = self.defended * spread
            rank = np.where(position < self.defended_top1.get(scheme.decay, 0.5), 0, 1)
        confidence = np.exp(-loss)
        if natural and radius == "linf" and perturbation == "16":
            confidence[: self.zeros.get(scheme.decay, 0)] = 0
        columns = {"cross_entropy": loss, "rank": rank.astype(float), "confidence": confidence}
        if radius in self.distortion:
            columns |= {
                norm: value * spread
                for norm, value in zip(("linf", "l2", "l1"), self.distortion[radius], strict=True)
            }
        return columns

    def cosines(self, model: str, radius: str, scheme: Scheme) -> dict[str, np.ndarray]:
        """Return the columns of the similarity procedure."""
        jitter = 0.01 * (np.arange(self.images) / self.images - 0.5)
        columns = {}
        for first, second in combinations(NINE, 2):
            attacked = (first in GRADIENT) + (second in GRADIENT)
            if attacked == 0:
                value = self.inner
            elif attacked == 1:
                value = self.outer
            else:
                table = self.cosine if model.startswith("natural") else self.defended_cosine
                value = table[first]
                if model.startswith("natural") and radius == "linf-double":
                    value *= self.double
                value += self.scheme_gain if scheme != SCHEMES[0] else 0.0
            for scope in ("all", "first_tensor"):
                columns[cosine_column(scope, first, second)] = np.clip(value + jitter, -1, 1)
        return columns

    def evaluation(self, name: str, similarity: bool = False) -> Written:
        """Return the rows of an evaluation, its manifest and the images that it kept."""
        settings: dict[str, dict[str, Any]] = {"clean": {"name": "clean"}}
        parts = [("clean", self.columns(name, "linf", "clean", SCHEMES[0]))]
        for radius in RADII[name]:
            norm = radius.partition("-")[0]
            for perturbation in (*NOISES, *GRADIENT):
                for scheme in ALL_SCHEMES if perturbation in GRADIENT else SCHEMES[:1]:
                    key = procedure(radius, perturbation, scheme)
                    settings[key] = {"norm": norm, "eps": EPS[radius]}
                    parts.append((key, self.columns(name, radius, perturbation, scheme)))
            if similarity and norm == "linf":
                for scheme in SCHEMES:
                    key = similarity_name(radius, scheme)
                    settings[key] = {"variants": {"16": {"norm": norm, "eps": EPS[radius]}}}
                    parts.append((key, self.cosines(name, radius, scheme)))
        frame = pd.concat(
            [
                pd.DataFrame({"procedure": key, "index": np.arange(self.images), **columns})
                for key, columns in parts
            ],
            ignore_index=True,
        )
        manifest = {
            "specification": {"model": f"maerz-{name}", "dataset": "made-up", "procedures": settings},
            "selection": {"samples": self.images, "skipped": [3, 5]},
        }
        return frame, manifest, {}


@pytest.fixture
def world() -> World:
    """The world in which every claim holds."""
    return World()
