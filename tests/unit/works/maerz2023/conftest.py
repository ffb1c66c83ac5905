"""A made-up world in which every claim of the work holds, and ways to change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from gauntlet.configuration import Catalogue, load_catalogue
from gauntlet.measures.gradient_similarity import cosine_column
from gauntlet.works.maerz2023.versions import HARMONIC, NINE, STEPS

Written = tuple[pd.DataFrame, dict[str, Any], dict[str, np.ndarray]]
CONFIG = Path(__file__).parents[4] / "config"


@cache
def configured() -> Catalogue:
    """Return the work's configuration; the world gives rows to what it names."""
    return load_catalogue(CONFIG, {"scale": "demo", "works": "maerz2023"})


@dataclass(frozen=True)
class World:
    """What the networks would answer; every field can be replaced.

    Attributes:
        images: number of images.
        level: median loss of the natural model under gradient attacks, by ball.
        defended: loss of defended models under gradient attacks.
        steps: factor on the natural loss by number of steps.
        top: share of images that stay among the first two classes, by ball.
        decay_top: overrides ``top`` in the linf ball, by decay.
        noise_rank: rank of the true class under noise.
        defended_top1: share of correct images of defended models, by decay.
        distortion: linf, l2 and l1 length of the perturbation, by ball.
        decay_level: factor on the natural loss, by decay.
        zeros: images whose confidence is exactly 0 after 16 steps, by decay.
        inner, outer: cosine between unguided versions, and between an unguided and an attacked one.
        cosine: cosine to the 16-step gradient on natural models, by number of steps.
        defended_cosine: the same on defended models.
        double: factor on natural cosines at twice the radius.
        scheme_gain: what other schemes add to a cosine.
        only: leave out comparisons of gradients, or all else; for claims that do not need them.
    """

    images: int = 100
    level: Mapping[str, float] = field(
        default_factory=lambda: {
            "linf": 18.0, "linf-double": 25.0, "l2-same": 0.12, "l2-volume": 13.0, "l2-nested": 19.0,
            "l1-same": 0.11, "l1-volume": 15.0, "l1-nested": 23.0,
        }
    )  # fmt: skip
    defended: float = 1.3
    steps: Mapping[int, float] = field(default_factory=lambda: {1: 0.5, 2: 0.8, 4: 1.0, 8: 1.1, 16: 1.2})
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
    decay_level: Mapping[str, float] = field(default_factory=dict)
    zeros: Mapping[str, int] = field(default_factory=lambda: {"harmonic": 6})
    inner: float = 0.8
    outer: float = 0.08
    cosine: Mapping[int, float] = field(default_factory=lambda: {1: 0.15, 2: 0.2, 4: 0.35, 8: 0.45})
    defended_cosine: Mapping[int, float] = field(default_factory=lambda: {1: 0.7, 2: 0.75, 4: 0.85, 8: 0.92})
    double: float = 0.8
    scheme_gain: float = 0.02
    only: Literal["", "attacks", "comparisons"] = ""

    def but(self, **changes: Any) -> World:
        """Return the world with some fields replaced; entries of a mapping are merged."""
        merged = {
            name: {**getattr(self, name), **value} if isinstance(value, Mapping) else value
            for name, value in changes.items()
        }
        return replace(self, **merged)

    def attacked(self, labels: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the columns of one version of every image."""
        position = (np.arange(self.images) + 0.5) / self.images
        spread = 0.9 + 0.2 * position
        natural, ball, version = labels["defence"] == "Natural", labels.get("ball"), labels["perturbation"]
        if version not in STEPS:
            loss = (0.1 if version == "clean" else 0.15) * spread + (0.0 if natural else 0.3)
            rank = np.full(self.images, 0 if version == "clean" else self.noise_rank)
        elif natural:
            loss = (
                self.level[ball] * self.steps[version] * spread * self.decay_level.get(labels["decay"], 1.0)
            )
            share = self.top.get(ball, 0.1)
            if ball == "linf":
                share = self.decay_top.get(labels["decay"], share)
            rank = np.where(position < share, 1, 4)
            rank = np.full(self.images, self.gradient_rank[ball]) if ball in self.gradient_rank else rank
        else:
            loss = self.defended * spread
            rank = np.where(position < self.defended_top1.get(labels["decay"], 0.5), 0, 1)
        confidence = np.exp(-loss)
        if natural and ball == "linf" and version == 16:
            confidence[: self.zeros.get(labels["decay"], 0)] = 0
        sizes = zip(("linf", "l2", "l1"), self.distortion.get(ball, (1.0, 1.0, 1.0)), strict=True)
        return {
            "cross_entropy": loss, "rank": rank.astype(float), "confidence": confidence,
            **{norm: size * spread for norm, size in sizes},
        }  # fmt: skip

    def compared(self, labels: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the columns of a comparison of gradients."""
        jitter = 0.01 * (np.arange(self.images) / self.images - 0.5)
        natural = labels["defence"] == "Natural"
        columns = {}
        for first, second in combinations(NINE, 2):
            attacked = (first in STEPS) + (second in STEPS)
            value = (self.inner, self.outer)[attacked] if attacked < 2 else 0.0
            if attacked == 2:
                value = (self.cosine if natural else self.defended_cosine)[first]
                if natural and labels["ball"] == "linf-double":
                    value *= self.double
                if (labels["decay"], labels["randomized"]) != HARMONIC:
                    value += self.scheme_gain
            for scope in ("all", "first_tensor"):
                columns[cosine_column(scope, first, second)] = np.clip(value + jitter, -1, 1)
        return columns

    def pictured(self, labels: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns of what is shown: image 7 is surest but withstands all attacks, image 2 is next."""
        index = np.arange(self.images)
        sure = {"confidence": np.select([index == 7, index == 2], [0.95, 0.9], 0.5)}
        return {
            **self.attacked({"ball": "linf", "decay": "harmonic", "perturbation": 16, **labels}),
            **(sure if labels.get("perturbation") == "clean" else {}),
            "prediction": (index + 2) % 3, "prediction_confidence": 0.99, "success": index != 7, "target": 1,
        }  # fmt: skip

    def seen(self, view: str) -> dict[str, Any]:
        """Return the columns of a loss surface of three points a side, roughest around image 1."""
        rough = 1.0 + (np.arange(self.images) == 1)
        return {f"loss_{i}_{j}": (10.0 * i + j) * rough for i in range(3) for j in range(3)}

    def evaluation(self, name: str) -> Written:
        """Return the rows of an evaluation, its manifest and the images that it kept."""
        catalogue = configured()
        of_all = catalogue.evaluation_labels("maerz2023", name)
        frames, settings, images = [], {}, {}
        for procedure, own in catalogue.procedure_labels("maerz2023", name).items():
            labels = of_all | own
            if self.only and ("measure" in labels) != (self.only == "comparisons"):
                continue
            if "view" in labels:
                columns = self.seen(labels["view"])
            elif labels["run"] == "pictures":
                columns = self.pictured(labels)
                images[procedure] = np.full((self.images, 3, 8, 8), 0.4 + 0.1 * len(images), dtype=np.float32)
            else:
                columns = self.compared(labels) if "measure" in labels else self.attacked(labels)
            index = np.arange(self.images)
            common = {
                "procedure": procedure,
                "index": index,
                "label": index % 3,
                "target": -1,
                "correct": True,
            }
            frames.append(pd.DataFrame({**common, **columns}))
            settings[procedure] = {"eps": 0.5, "reach": 1}
        manifest = {
            "specification": {"procedures": settings, "keep_images": self.images},
            "selection": {"samples": self.images, "skipped": [3, 5]},
        }
        return pd.concat(frames, ignore_index=True), manifest, images


@pytest.fixture(scope="session")
def world() -> World:
    """The world in which every claim holds."""
    return World()
