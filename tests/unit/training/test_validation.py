"""Held out training images, and trainings that diverge."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch

from gauntlet.errors import GauntletError
from gauntlet.runtime.files import read_json
from gauntlet.training import loop
from gauntlet.training.images import DeviceImages, split_off
from gauntlet.training.settings import Validation


def trained(specification, train_set, test_set, folder, **training):
    specification["training"].update(training)
    loop.train(specification, train_set, test_set, folder, "cpu")
    return pd.read_parquet(folder / "history.parquet"), read_json(folder / "manifest.json")


@pytest.mark.parametrize("choose", ["random", "first", "last"])
def test_no_validation_image_is_learned_from_and_none_is_lost(choose):
    learned, held_out = split_off(120, Validation(count=30, choose=choose), 5)
    assert sorted([*learned.tolist(), *held_out.tolist()]) == list(range(120))
    assert len(held_out) == 30
    if choose != "random":
        assert held_out.tolist() == list(range(30) if choose == "first" else range(90, 120))


def test_a_random_split_depends_on_the_seed_alone():
    validation = Validation(count=30)
    one, again, other = (split_off(120, validation, seed)[1] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_validation_accuracy_is_that_of_the_held_out_images(specification, train_set, test_set, tmp_path):
    watch = {"held": {"procedures": {"clean": {"name": "clean"}}, "split": "held_out"}}
    history, manifest = trained(
        specification, train_set, test_set, tmp_path,
        validation={"count": 30, "choose": "last"}, samples=60, watch=watch, augmentation=[],
    )  # fmt: skip
    assert (manifest["training_images"], manifest["validation_images"]) == (60, 30)
    assert history["validation_accuracy"].tolist() == history["held_natural_accuracy"].tolist()
    learned, _ = split_off(120, Validation(count=30, choose="last"), 3)
    images = DeviceImages.of(train_set, torch.device("cpu"), 60, among=learned)
    assert images.indices.max() < 90
    assert torch.equal(images.images[7], torch.from_numpy(train_set.images[images.indices[7]]))


def test_a_validation_split_of_all_images_is_refused(specification, train_set, test_set, tmp_path):
    with pytest.raises(GauntletError, match=r"training\.validation"):
        trained(specification, train_set, test_set, tmp_path, validation={"count": 120})


def test_a_divergence_is_an_error_or_a_recorded_result(specification, train_set, test_set, tmp_path):
    exploding = {"optimizer": {"name": "sgd", "lr": 1e30}}
    with pytest.raises(GauntletError, match="diverged"):
        trained(specification, train_set, test_set, tmp_path, **exploding)
    history, manifest = trained(
        specification, train_set, test_set, tmp_path, divergence="record", **exploding
    )
    assert not math.isfinite(history["loss"].iloc[-1])
    assert manifest["diverged_at_epoch"] == len(history) < 4


def test_a_finite_training_records_no_divergence(specification, train_set, test_set, tmp_path):
    history, manifest = trained(specification, train_set, test_set, tmp_path, divergence="record")
    assert len(history) == 4
    assert "diverged_at_epoch" not in manifest
