"""Made-up certificates, trainings and images, from which artefacts and claims are worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

IMAGES = 100
PICTURES = ("clean", "fgsm", "carlini-wagner", "square", "watermark")

# Shares hold at both noise levels unless said otherwise: at the higher one MACER and Gaussian training with
# decomposition change places.
SHARES = {
    "ours": 0.8,
    "ensemble": 0.7,
    "consistency": 0.6,
    "consistency-ld": 0.55,
    "generalized": 0.5,
    "gaussian-ld": 0.45,
    "macer": 0.35,
    "gaussian": 0.2,
    "macer-0.5": 0.45,
    "gaussian-ld-0.5": 0.35,
}
HOURS = {"gaussian": 0.5, "consistency": 2.1, "ours": 2.2, "ensemble": 5.8, "macer": 7.6}
MEMORY = {"gaussian": 2.9, "consistency": 2.9, "ours": 3.1, "ensemble": 8.7, "macer": 9.4}


@dataclass(frozen=True)
class World:
    """What the made-up results say; the defaults make every claim true.

    Attributes:
        shares: by training, or by evaluation for one noise level: how many of the images are right and certified to
            ``reach``; the others abstain.
        reach: certified radius in units of sigma.
        radii: by evaluation, the radius that each image is certified to, 0 for those that abstain, in place of shares.
        draws: noise draws of the certification.
        hours: of training (song, Table 5.2).
        memory: peak memory in GiB.
        device: where trainings ran.
        stall: factor by which every third epoch takes longer, from the second one on.
        curves: accuracy by epoch of the two consistency losses.
    """

    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)
    reach: float = 3.6
    radii: Mapping[str, np.ndarray] = field(default_factory=dict)
    draws: int = 100_000
    hours: Mapping[str, float] = field(default_factory=lambda: HOURS)
    memory: Mapping[str, float] = field(default_factory=lambda: MEMORY)
    device: str = "cuda (made-up)"
    stall: float = 1.0
    curves: Mapping[str, tuple[float, ...]] = field(
        default_factory=lambda: {"generalized": (0.5, 0.7, 0.8), "consistency": (0.2, 0.4, 0.6)}
    )

    def but(self, **changes: Any) -> World:
        """Return the world with some fields replaced; entries of a mapping are merged."""
        merged = {
            name: {**getattr(self, name), **value} if isinstance(value, Mapping) else value
            for name, value in changes.items()
        }
        return replace(self, **merged)

    def evaluation(self, name: str) -> tuple[pd.DataFrame, dict[str, Any], dict[str, np.ndarray]]:
        """Return rows, manifest and images of an evaluation."""
        if name.startswith("undefended"):
            return self._pictures()
        # A second training is like the first unless it has a share of its own.
        first = name.removeprefix("again-")
        training, _, level = first.rpartition("-")
        sigma = float(level)
        share = self.shares.get(name, self.shares.get(first, self.shares[training]))
        made_up = np.where(np.arange(IMAGES) < round(share * IMAGES), self.reach * sigma, 0.0)
        radius = self.radii.get(first, made_up)
        count = len(radius)
        label = np.arange(count) % 10
        frame = pd.DataFrame(
            {
                "procedure": "certify",
                "index": np.arange(count) * 20,
                "label": label,
                "target": -1,
                "correct": True,
                "prediction": np.where(radius > 0, label, -1),
                "radius": radius,
                "draws": 100_000,
                "votes_true": np.linspace(60_000, 90_000, count),
            }
        )
        settings = {"sigma": sigma, "n": self.draws, "alpha": 0.001}
        return frame, {"specification": {"procedures": {"certify": settings}}}, {}

    def _pictures(self) -> tuple[pd.DataFrame, dict[str, Any], dict[str, np.ndarray]]:
        """Four digits with nine targets each; every attack but the first row's succeeds."""
        count, classes = 36, 10
        source = np.repeat(np.arange(4), 9)
        target = np.concatenate([np.delete(np.arange(classes), label) for label in range(4)])
        parts = [
            pd.DataFrame(
                {
                    "procedure": name, "index": source + 100, "label": source, "target": target,
                    "correct": True, "success": np.arange(count) > 0,
                    "prediction": source if name == "clean" else target,
                    "confidence": np.linspace(0.5, 0.9, count), "prediction_confidence": 0.8,
                    "linf": 0.2, "l2": 1.5, "queries": 7,
                }
            )
            for name in PICTURES
        ]  # fmt: skip
        manifest = {"specification": {"procedures": {"fgsm": {"eps": 0.2}}}}
        images = np.random.default_rng(0).random((count, 1, 6, 6)).astype(np.float32)
        return pd.concat(parts, ignore_index=True), manifest, dict.fromkeys(PICTURES, images)

    def model(self, name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Return history and manifest of a model."""
        kind = name.removeprefix("song-").removeprefix("again-").rpartition("-")[0]
        epochs = 150 if kind == "macer" else 90
        # Consistency's 90 epochs rise in steps of 30.
        curve = np.repeat(self.curves.get(kind, (0.5, 0.5, 0.5)), epochs // 3)
        seconds = np.full(len(curve), 3600 * self.hours.get(kind, 1.0) / len(curve))
        seconds[1::3] *= self.stall
        manifest = {
            "training_images": 50_000,
            "test_images": 10_000,
            "peak_memory_mb": 1024 * self.memory.get(kind, 1.0),
            "device": self.device,
        }
        return pd.DataFrame({"noisy_test_accuracy": curve, "seconds": seconds}), manifest


@pytest.fixture(scope="session")
def world() -> World:
    """The world in which the claims hold."""
    return World()


@pytest.fixture
def split(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """Return a function that saves images as a prepared split, as the inputs of an artefact name it."""

    def write(images: np.ndarray, name: str = "made-up/train", classes: int = 10) -> dict[str, Path]:
        folder = tmp_path / "split"
        folder.mkdir(exist_ok=True)
        np.save(folder / "images.npy", images)
        np.save(folder / "labels.npy", np.arange(len(images), dtype=np.int64) % classes)
        manifest = {"shape": list(images.shape), "classes": [str(label) for label in range(classes)]}
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        return {name: folder}

    return write
