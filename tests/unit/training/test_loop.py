"""Training learns, repeats itself, and survives interruptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from gauntlet.errors import GauntletError
from gauntlet.models import load_model
from gauntlet.runtime.files import file_sha256, read_json
from gauntlet.runtime.seeding import generator_for
from gauntlet.training import loop
from gauntlet.training.images import DeviceImages
from gauntlet.training.optimizers import Adam, Sgd, make_optimizer
from gauntlet.training.settings import TrainingSettings


def weights(folder):
    return load_file(folder / "weights.safetensors")


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def uninterrupted(specification, train_set, test_set, tmp_path):
    folder = tmp_path / "uninterrupted"
    folder.mkdir()
    loop.train(specification, train_set, test_set, folder, "cpu")
    return folder


class StopError(Exception):
    """Stands for whatever ends a job."""


def stop_after(monkeypatch, epoch):
    def log(message):
        if message.startswith(f"epoch {epoch}/"):
            raise StopError

    monkeypatch.setattr(loop, "log", log)


def test_training_learns_and_records_it(specification, train_set, test_set, tmp_path):
    specification["training"].update(epochs=8, augmentation=[], evaluate_every=3)
    model = loop.train(specification, train_set, test_set, tmp_path, "cpu")
    history = pd.read_parquet(tmp_path / "history.parquet")
    assert list(history.columns) == ["epoch", "loss", "train_accuracy", "test_accuracy", "lr", "seconds"]
    assert list(history.epoch) == list(range(1, 9))
    assert list(history.epoch[history.test_accuracy.notna()]) == [3, 6, 8]
    assert history.loss.iloc[-1] < 0.7 * history.loss.iloc[0]
    images = torch.from_numpy(test_set.images).float() / 255
    measured = (load_model(tmp_path)(images).argmax(1).numpy() == test_set.labels).mean()
    assert history.test_accuracy.iloc[-1] == pytest.approx(measured)
    assert measured > 0.9
    assert not model.training
    manifest = read_json(tmp_path / "manifest.json")
    assert manifest["specification"] == specification
    assert manifest["training_images"] == 120
    assert not (tmp_path / "resume.pt").exists()


def test_accuracy_under_noise_is_measured_with_one_fixed_draw_per_image(
    specification, train_set, test_set, tmp_path
):
    """On noise that drowns the stripes the network guesses; on hardly any it answers as on clean images."""
    specification["training"].update(epochs=4, augmentation=[], evaluate_every=3, evaluate_noise=30.0)
    model = loop.train(specification, train_set, test_set, tmp_path, "cpu")
    history = pd.read_parquet(tmp_path / "history.parquet")
    assert list(history.epoch[history.noisy_test_accuracy.notna()]) == [3, 4]
    assert 0.3 < history.noisy_test_accuracy.iloc[-1] < 0.7
    assert history.test_accuracy.iloc[-1] > 0.85
    images = DeviceImages.of(test_set, torch.device("cpu"))
    # 60 images are one batch, so that the noise is a single draw of the generator.
    noise = torch.randn(images.images.shape, generator=generator_for("cpu", "noisy test accuracy"))
    noisy = torch.from_numpy(test_set.images).float() / 255 + 30 * noise
    expected = (model(noisy).argmax(1) == images.labels).float().mean().item()
    assert history.noisy_test_accuracy.iloc[-1] == pytest.approx(expected)
    assert loop.accuracy(model, images, 1e-6) == pytest.approx(history.test_accuracy.iloc[-1])


def test_a_training_without_noisy_measurement_has_no_setting_for_it_in_its_specification():
    settings = {"epochs": 1, "optimizer": {"name": "sgd", "lr": 0.1}}
    assert "evaluate_noise" not in TrainingSettings.model_validate(settings).model_dump(mode="json")
    noisy = TrainingSettings.model_validate({**settings, "evaluate_noise": "1/4"})
    assert noisy.model_dump(mode="json")["evaluate_noise"] == 0.25


def test_the_learning_rate_follows_the_schedule(uninterrupted):
    """Four epochs of four updates on a triangle; each epoch's row shows its last update's rate."""
    history = pd.read_parquet(uninterrupted / "history.parquet")
    assert list(history.lr) == pytest.approx([0.05 * height for height in (3 / 8, 7 / 8, 5 / 8, 1 / 8)])


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    specification, train_set, test_set, uninterrupted, tmp_path
):
    torch.rand(7)  # whatever happened to the global generator before
    loop.train(specification, train_set, test_set, tmp_path, "cpu")
    assert equal(weights(tmp_path), weights(uninterrupted))
    specification["seed"] += 1
    loop.train(specification, train_set, test_set, tmp_path, "cpu")
    assert not equal(weights(tmp_path), weights(uninterrupted))


@pytest.mark.parametrize("optimizer", [None, {"name": "adam", "lr": 0.01}])
def test_an_interrupted_training_ends_with_the_same_bits(
    specification, train_set, test_set, tmp_path, monkeypatch, optimizer
):
    if optimizer:
        specification["training"]["optimizer"] = optimizer
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    loop.train(specification, train_set, test_set, whole, "cpu")
    for epoch in (1, 3):
        stop_after(monkeypatch, epoch)
        with pytest.raises(StopError):
            loop.train(specification, train_set, test_set, parts, "cpu")
    seen = []
    monkeypatch.setattr(loop, "log", seen.append)
    loop.train(specification, train_set, test_set, parts, "cpu")
    assert [line.split()[1] for line in seen] == ["4/4"]
    assert equal(weights(parts), weights(whole))
    columns = ["epoch", "loss", "train_accuracy", "test_accuracy", "lr"]
    one, other = (pd.read_parquet(folder / "history.parquet")[columns] for folder in (whole, parts))
    pd.testing.assert_frame_equal(one, other)


def test_a_killed_process_is_taken_up_where_it_was(
    specification, train_set, test_set, uninterrupted, tmp_path
):
    """SIGKILL as soon as the first state is on disk, wherever training then is."""
    folder = tmp_path / "killed"
    program = f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from conftest import stripes
        from gauntlet.training import loop
        import time, torch
        torch.set_num_threads(1)
        loop.log = lambda message: time.sleep(0.3)  # leaves time to be killed in
        loop.train({specification!r}, stripes(120, 0), stripes(60, 1), {str(folder)!r}, "cpu")
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)])
    deadline = time.monotonic() + 60
    while not (folder / "resume.pt").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "weights.safetensors").exists()
    loop.train(specification, train_set, test_set, folder, "cpu")
    assert equal(weights(folder), weights(uninterrupted))


def test_the_state_of_another_specification_is_ignored_and_said_so(
    specification, train_set, test_set, uninterrupted, tmp_path, monkeypatch, capsys
):
    other = {**specification, "seed": 99}
    with monkeypatch.context() as patched:
        stop_after(patched, 2)
        with pytest.raises(StopError):
            loop.train(other, train_set, test_set, tmp_path, "cpu")
    loop.train(specification, train_set, test_set, tmp_path, "cpu")
    assert "another specification" in capsys.readouterr().err
    assert equal(weights(tmp_path), weights(uninterrupted))


def test_a_diverging_loss_ends_training_with_advice(specification, train_set, test_set, tmp_path):
    specification["training"]["optimizer"]["lr"] = 1e30
    with pytest.raises(GauntletError, match="learning rate"):
        loop.train(specification, train_set, test_set, tmp_path, "cpu")


def test_a_second_pool_is_learned_from(specification, train_set, test_set, tmp_path):
    """Half of every batch shows the other class's pattern under a label, so that neither can be told."""
    misleading = replace(train_set, labels=1 - train_set.labels)
    specification["training"].update(epochs=8, augmentation=[])
    loop.train(specification, train_set, test_set, tmp_path, "cpu")
    assert read_json(tmp_path / "manifest.json")["second_pool_images"] == 0
    specification["training"]["second_pool"] = {"dataset": "liars"}
    loop.train(specification, train_set, test_set, tmp_path, "cpu", misleading)
    manifest = read_json(tmp_path / "manifest.json")
    assert manifest["second_pool_images"] == 120
    assert 0.35 < manifest["train_accuracy"] < 0.65


def test_sgd_update_is_momentum_with_weight_decay():
    """Two updates of a weight 1 with gradient 2: v = g + wd w, then v = 0.5 v + g + wd w; w -= 0.1 v."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    optimizer = make_optimizer(Sgd(name="sgd", lr=0.1, momentum=0.5, weight_decay=0.1), model)
    for _ in range(2):
        model.weight.grad = torch.full((1, 1), 2.0)
        optimizer.step()
    first = 1 - 0.1 * 2.1
    assert model.weight.item() == pytest.approx(first - 0.1 * (0.5 * 2.1 + 2 + 0.1 * first))


def test_adams_first_update_is_as_long_as_its_learning_rate():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    model.weight.grad = torch.full((1, 1), -7.0)
    make_optimizer(Adam(name="adam", lr=0.1), model).step()
    assert model.weight.item() == pytest.approx(1.1)


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty"])
def test_a_damaged_state_is_removed_and_training_starts_anew_with_the_same_weights(
    specification, train_set, test_set, uninterrupted, tmp_path, monkeypatch, capsys, damage
):
    folder = tmp_path / "cut"
    folder.mkdir()
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(StopError):
            loop.train(specification, train_set, test_set, folder, "cpu")
    state = folder / "resume.pt"
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 16
    state.write_bytes({"flipped": content, "truncated": content[: len(content) // 3], "empty": b""}[damage])
    loop.train(specification, train_set, test_set, folder, "cpu")
    assert equal(weights(folder), weights(uninterrupted))
    assert "resume.pt is damaged" in capsys.readouterr().err


def test_the_manifest_holds_the_hash_of_the_weights(uninterrupted):
    manifest = read_json(uninterrupted / "manifest.json")
    assert manifest["weights_sha256"] == file_sha256(uninterrupted / "weights.safetensors")
