"""Chunks: the unit of randomness and of resuming."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from gauntlet.contracts import PROCEDURES, Batch, Cost, Outcome, Procedure, Task
from gauntlet.datasets import ImageSet
from gauntlet.errors import DataError
from gauntlet.evaluation.merging import merge_shards
from gauntlet.evaluation.runner import Shard, run_shard

CPU = torch.device("cpu")


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class Jitter(Procedure):
    """Adds noise, counts its calls and can be told to die."""

    name: ClassVar[str] = "test_jitter"
    calls: ClassVar[list[int]] = []
    dies_after: ClassVar[int | None] = None
    scale: float = 0.1

    def run(self, model: nn.Module, batch: Batch) -> Outcome:
        if Jitter.dies_after is not None and len(Jitter.calls) >= Jitter.dies_after:
            raise KeyboardInterrupt
        Jitter.calls.append(len(batch))
        noise = torch.rand(batch.images.shape, generator=batch.generator) * self.scale
        images = (batch.images + noise).clamp(0, 1)
        return Outcome({"logit": model(images)[:, 0], "mean": images.mean((1, 2, 3))}, images)

    def cost(self, task: Task) -> Cost:
        return Cost(forward=1)


@pytest.fixture(autouse=True)
def _fresh_counter():
    Jitter.calls.clear()
    Jitter.dies_after = None


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).eval()


@pytest.fixture
def images() -> ImageSet:
    rng = np.random.default_rng(0)
    manifest = {"images_sha256": "a", "labels_sha256": "b"}
    return ImageSet(
        rng.integers(256, size=(50, 3, 2, 2), dtype=np.uint8), rng.integers(3, size=50), list("abc"), manifest
    )


def specification(**procedures):
    return {
        "work": "w",
        "evaluation": "e",
        "scale": "demo",
        "model": "m",
        "dataset": "d",
        "samples": {
            "split": "test",
            "count": 45,
            "order": "random",
            "offset": 0,
            "correct_only": False,
            "targets": "none",
        },
        "chunk": 10,
        "keep_images": 12,
        "references": 0,
        "procedures": procedures
        or {"a": {"name": "test_jitter", "scale": 0.1}, "b": {"name": "test_jitter", "scale": 0.2}},
        "seed": 0,
    }


def evaluate(folder: Path, model, images, *, shards: int = 1, spec=None, weights="w0") -> pd.DataFrame:
    files = []
    for number in range(shards):
        files.append(folder / f"shard-{number}.parquet")
        run_shard(
            spec or specification(),
            model,
            images,
            weights_sha256=weights,
            shard=Shard(number, shards),
            cache=folder / "cache",
            output=files[-1],
            device=CPU,
        )
    merge_shards(files, folder / "merged.parquet")
    return pd.read_parquet(folder / "merged.parquet")


def test_one_row_per_procedure_and_sample(tmp_path, model, images):
    frame = evaluate(tmp_path, model, images)
    assert frame.groupby("procedure").size().to_dict() == {"a": 45, "b": 45}
    assert frame["index"].nunique() == 45
    assert (frame["label"] == images.labels[frame["index"]]).all()


def test_results_do_not_depend_on_the_number_of_shards(tmp_path, model, images):
    whole = evaluate(tmp_path / "one", model, images)
    for shards in (2, 3, 5, 8):
        pd.testing.assert_frame_equal(evaluate(tmp_path / str(shards), model, images, shards=shards), whole)
    with np.load(tmp_path / "one/merged.npz") as one, np.load(tmp_path / "3/merged.npz") as three:
        assert set(one) == {"clean", "a", "b"}
        assert all(
            one[name].shape == (12, 3, 2, 2) and np.array_equal(one[name], three[name]) for name in one
        )


def test_an_interrupted_evaluation_goes_on_where_it_stopped(tmp_path, model, images):
    whole = evaluate(tmp_path / "whole", model, images)
    Jitter.calls.clear()
    Jitter.dies_after = 4
    with pytest.raises(KeyboardInterrupt):
        evaluate(tmp_path / "cut", model, images)
    Jitter.dies_after = None
    resumed = evaluate(tmp_path / "cut", model, images)
    assert len(Jitter.calls) == 10, "five chunks of two procedures, none of them twice"
    pd.testing.assert_frame_equal(resumed, whole)


def test_changing_one_procedure_recomputes_only_that_one(tmp_path, model, images):
    before = evaluate(tmp_path, model, images)
    Jitter.calls.clear()
    changed = specification(a={"name": "test_jitter", "scale": 0.1}, b={"name": "test_jitter", "scale": 0.3})
    after = evaluate(tmp_path, model, images, spec=changed)
    assert len(Jitter.calls) == 5
    pd.testing.assert_frame_equal(after[after["procedure"] == "a"], before[before["procedure"] == "a"])
    assert not np.allclose(
        after.loc[after["procedure"] == "b", "mean"], before.loc[before["procedure"] == "b", "mean"]
    )


def test_another_model_uses_none_of_the_finished_chunks_and_they_are_removed(tmp_path, model, images):
    evaluate(tmp_path, model, images)
    Jitter.calls.clear()
    evaluate(tmp_path, model, images, weights="w1")
    assert len(Jitter.calls) == 10
    assert len(list((tmp_path / "cache" / "a").iterdir())) == 1


def test_chunks_draw_different_noise(tmp_path, model, images):
    spec = specification(a={"name": "test_jitter", "scale": 1.0})
    black = ImageSet(np.zeros_like(images.images), images.labels, images.classes, images.manifest)
    frame = evaluate(tmp_path, model, black, spec=spec)
    assert frame["mean"].nunique() == 45


def test_the_table_carries_its_manifest(tmp_path, model, images):
    evaluate(tmp_path, model, images, shards=2)
    manifest = json.loads(pq.read_schema(tmp_path / "merged.parquet").metadata[b"gauntlet"])
    assert manifest["specification"] == specification()
    assert manifest["shards"] == 2
    assert manifest["selection"]["samples"] == 45
    assert manifest["device"] == "cpu"
    assert list(manifest["procedure_seconds"]) == list(specification()["procedures"])
    assert 0 < sum(manifest["procedure_seconds"].values()) < manifest["seconds"]
    assert torch.__version__.startswith(manifest["libraries"]["torch"])


def test_shards_share_out_all_chunks_once():
    for total in (0, 1, 7, 20):
        for of in (1, 2, 3, 8):
            assert [chunk for number in range(of) for chunk in Shard(number, of).chunks(total)] == list(
                range(total)
            )


def test_references_are_the_same_training_images_for_every_chunk(tmp_path, model, images):
    seen = []

    @PROCEDURES.register
    @dataclass(frozen=True, kw_only=True)
    class Looks(Procedure):
        name: ClassVar[str] = "test_looks"

        def run(self, model: nn.Module, batch: Batch) -> Outcome:
            seen.append(batch.references)
            return Outcome({"zero": torch.zeros(len(batch))})

        def cost(self, task: Task) -> Cost:
            return Cost()

    run_shard(
        {**specification(a={"name": "test_looks"}), "references": 7},
        model,
        images,
        weights_sha256="w",
        shard=Shard(0, 1),
        cache=tmp_path / "cache",
        output=tmp_path / "out.parquet",
        device=CPU,
        training_images=images,
    )
    assert len(seen) == 5
    assert all(torch.equal(one.images, seen[0].images) for one in seen)
    assert seen[0].images.shape == (7, 3, 2, 2)
    assert seen[0].images.dtype == torch.uint8
    rows = {tuple(image.ravel()): label for image, label in zip(images.images, images.labels, strict=True)}
    pairs = zip(seen[0].images.numpy(), seen[0].labels.tolist(), strict=True)
    assert all(rows[tuple(image.ravel())] == label for image, label in pairs)


def flip(file: Path, place: int = -200) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 4
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [flip, lambda file: file.write_bytes(file.read_bytes()[:90]), Path.touch])
@pytest.mark.parametrize("kind", ["a/*/00001.parquet", "a/*/00001.npy", "selection-*.npz"])
def test_a_damaged_cache_is_computed_anew_with_the_same_numbers(
    tmp_path, model, images, capsys, kind, damage
):
    whole = evaluate(tmp_path, model, images)
    (file,) = (tmp_path / "cache").glob(kind)
    if damage is Path.touch:
        file.write_bytes(b"")
    else:
        damage(file)
    Jitter.calls.clear()
    pd.testing.assert_frame_equal(evaluate(tmp_path, model, images), whole)
    assert len(Jitter.calls) == (0 if kind.startswith("selection") else 1)
    said = capsys.readouterr().err
    assert f"{file.name} is damaged" in said
    assert "it is removed and computed anew" in said


def test_a_damaged_shard_is_refused_by_name(tmp_path, model, images):
    evaluate(tmp_path, model, images, shards=2)
    for name in ("shard-1.parquet", "shard-0.npz"):
        content = (tmp_path / name).read_bytes()
        flip(tmp_path / name)
        with pytest.raises(DataError, match=f"{name} is damaged"):
            merge_shards(
                [tmp_path / "shard-0.parquet", tmp_path / "shard-1.parquet"], tmp_path / "again.parquet"
            )
        (tmp_path / name).write_bytes(content)
