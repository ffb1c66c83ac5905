"""A small data set whose classes a small network learns in a few epochs."""

from __future__ import annotations

import numpy as np
import pytest

from gauntlet.datasets import ImageSet


def stripes(count: int, seed: int) -> ImageSet:
    """Gray images of 8x8, noisy, with bright rows (class 0) or bright columns (class 1)."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    pattern = np.zeros((2, 8, 8))
    pattern[0, ::2] = pattern[1, :, ::2] = 120
    images = pattern[labels] + random.integers(0, 120, (count, 8, 8))
    return ImageSet(images[:, None].astype(np.uint8), labels.astype(np.int64), ["rows", "columns"], {})


@pytest.fixture(scope="session")
def train_set() -> ImageSet:
    return stripes(120, 0)


@pytest.fixture(scope="session")
def test_set() -> ImageSet:
    return stripes(60, 1)


@pytest.fixture
def specification() -> dict:
    """Dropout, momentum, augmentation and a schedule: all that resuming has to bring back."""
    layers = [
        {"layer": "conv", "channels": 4, "batch_norm": True},
        {"layer": "linear", "units": 8},
        {"layer": "dropout"},
    ]
    return {
        "model": "stripes",
        "input_shape": [1, 8, 8],
        "classes": 2,
        "architecture": {"name": "cnn", "layers": layers},
        "normalization": {"mean": [0.4], "std": [0.3]},
        "defence": {"name": "natural"},
        "training": {
            "epochs": 4,
            "batch_size": 32,
            "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.0005},
            "schedule": {"name": "cyclic"},
            "augmentation": [{"name": "crop", "padding": 1}, {"name": "flip"}],
        },
        "checkpoint": None,
        "seed": 3,
    }
