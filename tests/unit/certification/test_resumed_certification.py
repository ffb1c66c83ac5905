"""A certification that was cut off and taken up again, against one that ran through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from gauntlet.datasets import ImageSet
from gauntlet.evaluation.merging import merge_shards
from gauntlet.evaluation.runner import Shard, run_shard

CERTIFY = {"name": "certify", "sigma": 0.25, "n0": 20, "n": 300, "noise_batch": 40}
SPECIFICATION = {
    "work": "w",
    "evaluation": "e",
    "scale": "demo",
    "model": "m",
    "dataset": "d",
    "samples": {
        "split": "test", "count": 23, "order": "random", "offset": 0, "correct_only": False, "targets": "none",
    },
    "chunk": 5,
    "keep_images": 0,
    "references": 0,
    "procedures": {"certify": CERTIFY},
    "seed": 0,
}  # fmt: skip


class Mortal(nn.Module):
    """A linear classifier that can be told to die after so many forward passes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(12, 3)
        self.passes, self.dies_after = 0, float("inf")

    def forward(self, images):
        if self.passes >= self.dies_after:
            raise KeyboardInterrupt
        self.passes += 1
        return self.linear(images.flatten(1))


@pytest.fixture
def images() -> ImageSet:
    rng = np.random.default_rng(0)
    manifest = {"images_sha256": "a", "labels_sha256": "b"}
    pixels = rng.integers(256, size=(30, 3, 2, 2), dtype=np.uint8)
    return ImageSet(pixels, rng.integers(3, size=30), list("abc"), manifest)


def certify(folder: Path, model: nn.Module, images: ImageSet) -> pd.DataFrame:
    run_shard(
        SPECIFICATION,
        model,
        images,
        weights_sha256="w0",
        shard=Shard(0, 1),
        cache=folder / "cache",
        output=folder / "shard.parquet",
        device=torch.device("cpu"),
    )
    merge_shards([folder / "shard.parquet"], folder / "merged.parquet")
    return pd.read_parquet(folder / "merged.parquet")


def test_a_certification_that_was_cut_off_ends_with_the_certificates_of_one_that_ran_through(
    tmp_path, images
):
    """The cut falls into the middle of a chunk; finished chunks are not certified again."""
    torch.manual_seed(0)
    model = Mortal().eval()
    whole = certify(tmp_path / "whole", model, images)
    assert whole["radius"].nunique() > 15
    needed, model.passes = model.passes, 0
    model.dies_after = needed // 2
    with pytest.raises(KeyboardInterrupt):
        certify(tmp_path / "cut", model, images)
    assert len(list((tmp_path / "cut" / "cache").rglob("*.parquet"))) == 2
    model.passes, model.dies_after = 0, float("inf")
    pd.testing.assert_frame_equal(certify(tmp_path / "cut", model, images), whole)
    assert model.passes < 0.8 * needed
