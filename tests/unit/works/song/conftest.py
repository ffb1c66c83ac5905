"""Made-up certificates, trainings and images, from which artefacts and claims are worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gauntlet.reporting.inputs import EvaluationResult

IMAGES = 100
SIX = ("gaussian", "gaussian-ld", "consistency", "ours", "ensemble", "macer")
SIGMAS = (0.25, 0.5)

# The share of images certified at every radius up to the method's own; the ACR is share times reach.
SHARES = {
    "ours": 0.8,
    "ensemble": 0.7,
    "consistency": 0.6,
    "gaussian-ld": 0.45,
    "macer": 0.35,
    "gaussian": 0.2,
}
SHARES_AT_HALF = SHARES | {"macer": 0.45, "gaussian-ld": 0.35}


@pytest.fixture
def certified(saved: Callable[..., EvaluationResult]) -> Callable[..., EvaluationResult]:
    """Return a function that writes one model's certificates.

    The first ``share`` of the images is right, certified to ``reach`` times sigma; the others abstain.
    """

    def write(method: str, sigma: float, share: float, reach: float = 3.0) -> EvaluationResult:
        right = np.arange(IMAGES) < round(share * IMAGES)
        frame = pd.DataFrame(
            {
                "procedure": "certify",
                "index": np.arange(IMAGES) * 20,
                "label": np.arange(IMAGES) % 10,
                "prediction": np.where(right, np.arange(IMAGES) % 10, -1),
                "radius": np.where(right, reach * sigma, 0.0),
                "draws": 100_000,
                "votes_true": np.linspace(60_000, 90_000, IMAGES),
            }
        )
        settings = {"sigma": sigma, "n": 100_000, "alpha": 0.001}
        manifest = {"specification": {"dataset": "made-up", "procedures": {"certify": settings}}}
        return saved(f"{method}-{sigma:g}", frame, manifest)

    return write


@pytest.fixture
def certificates_of(certified) -> Callable[..., dict[str, EvaluationResult]]:
    """Return a function that writes the certificates of six methods, with some shares replaced at both levels."""

    def write(changes: Mapping[str, float] | None = None) -> dict[str, EvaluationResult]:
        return {
            f"{method}-{sigma:g}": certified(method, sigma, share)
            for sigma, shares in zip(SIGMAS, (SHARES, SHARES_AT_HALF), strict=True)
            for method, share in (shares | (changes or {})).items()
        }

    return write


@pytest.fixture
def trained(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a model's manifest and history.

    ``stall`` is the factor by which every third epoch takes longer, from the second one on.
    """

    def write(
        method: str,
        sigma: float,
        *,
        seconds: float = 1.0,
        memory: float = 1024.0,
        device: str = "cuda (made-up)",
        epochs: int = 90,
        curve: tuple[float, ...] | None = None,
        stall: float = 1.0,
    ) -> Path:
        folder = tmp_path / f"song-{method}-{sigma:g}"
        folder.mkdir(exist_ok=True)
        manifest = {
            "training_images": 50_000,
            "test_images": 10_000,
            "peak_memory_mb": memory,
            "device": device,
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
        accuracies = np.asarray(curve or [0.5] * epochs)
        times = np.full(len(accuracies), seconds / len(accuracies))
        times[1::3] *= stall
        history = pd.DataFrame({"noisy_test_accuracy": accuracies, "seconds": times})
        history.to_parquet(folder / "history.parquet")
        return folder

    return write


@pytest.fixture
def costs_of(trained) -> Callable[..., dict[str, Path]]:
    """Return a function that writes the five trainings of Table 5.2 with its times and memory, some replaced."""

    def write(
        hours: Mapping[str, float] | None = None,
        memory: Mapping[str, float] | None = None,
        device: str = "cuda (made-up)",
        stall: float = 1.0,
    ) -> dict[str, Path]:
        times = {"gaussian": 0.5, "consistency": 2.1, "ours": 2.2, "ensemble": 5.8, "macer": 7.6} | (
            hours or {}
        )
        sizes = {"gaussian": 2.9, "consistency": 2.9, "ours": 3.1, "ensemble": 8.7, "macer": 9.4} | (
            memory or {}
        )
        return {
            f"song-{method}-0.25": trained(
                method,
                0.25,
                seconds=3600 * time,
                memory=1024 * sizes[method],
                device=device,
                epochs=150 if method == "macer" else 90,
                stall=stall,
            )
            for method, time in times.items()
        }

    return write


@pytest.fixture
def histories(trained) -> Callable[..., dict[str, Path]]:
    """Return a function that writes the histories of both consistency losses at both noise levels."""

    def write(generalized: tuple[float, ...], consistency: tuple[float, ...]) -> dict[str, Path]:
        return {
            f"song-{method}-{sigma:g}": trained(method, sigma, curve=curve)
            for sigma in SIGMAS
            for method, curve in (("generalized", generalized), ("consistency", consistency))
        }

    return write


@pytest.fixture
def split(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """Return a function that saves images as a prepared split, as the inputs of an artefact name it."""

    def write(images: np.ndarray, name: str = "made-up/train", classes: int = 10) -> dict[str, Path]:
        folder = tmp_path / "split"
        folder.mkdir(exist_ok=True)
        np.save(folder / "images.npy", images)
        np.save(folder / "labels.npy", np.arange(len(images), dtype=np.int64) % classes)
        manifest = {"shape": list(images.shape), "classes": [str(label) for label in range(classes)]}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return {name: folder}

    return write
