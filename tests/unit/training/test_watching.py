"""A training watches the network between epochs, chooses one, and refuses a network that learned nothing."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from gauntlet.attacks.fixed_budget.pgd import Pgd
from gauntlet.errors import ConfigurationError, GauntletError
from gauntlet.models import load_model
from gauntlet.runtime.files import read_json
from gauntlet.training import loop
from gauntlet.training.settings import TrainingSettings
from gauntlet.training.state import TrainingState

PGD = {"name": "pgd", "norm": "linf", "eps": 0.1, "steps": 3, "step_size": 0.05, "random_start": "uniform"}
WATCH = {
    "pgd": {
        "procedures": {"three": PGD, "surface": {"name": "clean"}},
        "count": 40,
        "every": 2,
        "from_epoch": 2,
    }
}
ROBUST = "pgd_three_robust_accuracy"


def trained(specification, sets, folder, **settings):
    folder.mkdir(exist_ok=True)
    specification = {**specification, "training": {**specification["training"], **settings}}
    return loop.train(specification, *sets, folder, "cpu")


@pytest.fixture
def sets(train_set, test_set):
    return train_set, test_set


def history(folder):
    return pd.read_parquet(folder / "history.parquet")


def test_watching_changes_no_weight_to_the_bit(specification, sets, tmp_path):
    trained(specification, sets, tmp_path / "alone")
    trained(specification, sets, tmp_path / "watched", watch=WATCH)
    one, other = (load_file(tmp_path / name / "weights.safetensors") for name in ("alone", "watched"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_watch_that_starts_late_loses_no_column_and_sees_the_last_epoch(specification, sets, tmp_path):
    trained(specification, sets, tmp_path, epochs=5, watch=WATCH)
    found = history(tmp_path)
    columns = [name for name in found if name.startswith("pgd_")]
    assert {"pgd_natural_accuracy", ROBUST, "pgd_three_perturbation_stability"} <= set(columns)
    assert "pgd_surface_cross_entropy" in columns
    assert all(list(found.epoch[found[column].notna()]) == [2, 4, 5] for column in columns)


def test_the_watched_shares_are_those_of_the_images_and_obey_each_other(specification, sets, tmp_path):
    model = trained(specification, sets, tmp_path, watch=WATCH)
    last = history(tmp_path).iloc[-1]
    images = torch.from_numpy(sets[1].images[:40]).float() / 255
    labels = torch.from_numpy(sets[1].labels[:40])
    right = model(images).argmax(1) == labels
    assert last.pgd_natural_accuracy == pytest.approx(right.float().mean().item())
    robust, stable = last[ROBUST], last.pgd_three_perturbation_stability
    assert robust <= min(stable, last.pgd_natural_accuracy)
    assert stable <= robust + 1 - last.pgd_natural_accuracy + 1e-9
    # Any other draw of the start tells nearly the same.
    settings = {key: value for key, value in PGD.items() if key != "name"}
    attacked = Pgd(**settings)(model, images, labels).columns["prediction"]
    assert robust == pytest.approx(((attacked == labels) & right).float().mean().item(), abs=0.1)


def test_watches_see_test_training_and_held_out_images(specification, sets, tmp_path):
    watch = {
        split: {"procedures": {"clean": {"name": "clean"}}, "split": split}
        for split in ("test", "train", "held_out")
    }
    model = trained(specification, sets, tmp_path, samples=90, watch=watch)
    last = history(tmp_path).iloc[-1]
    images, labels = (torch.from_numpy(array) for array in (sets[0].images, sets[0].labels))
    right = (model(images.float() / 255).argmax(1) == labels).sum().item()
    assert 90 * last.train_natural_accuracy + 30 * last.held_out_natural_accuracy == pytest.approx(right)
    assert last.test_natural_accuracy == pytest.approx(last.test_accuracy)


def test_the_best_watched_epoch_is_kept_and_the_last_one_beside_it(specification, sets, tmp_path):
    """A rising learning rate ruins what the first epochs have learned."""
    ruin = {"optimizer": {"name": "sgd", "lr": 20.0}, "schedule": {"name": "cyclic", "peak": 0.999}}
    watch = {"pgd": {**WATCH["pgd"], "every": 1, "from_epoch": 1}}
    model = trained(specification, sets, tmp_path, epochs=6, **ruin, watch=watch, choose=ROBUST)
    found = history(tmp_path)
    best = found[ROBUST].idxmax()
    manifest = read_json(tmp_path / "manifest.json")
    assert manifest["kept_epoch"] == best + 1 < 6
    images = torch.from_numpy(sets[1].images).float() / 255
    labels = torch.from_numpy(sets[1].labels)

    def accuracy(network):
        return (network(images).argmax(1) == labels).float().mean().item()

    kept, last = load_model(tmp_path), load_model(tmp_path, last=True)
    assert accuracy(model) == accuracy(kept) == pytest.approx(found.test_accuracy[best])
    assert accuracy(last) == pytest.approx(found.test_accuracy.iloc[-1])
    assert manifest["test_accuracy"] == pytest.approx(found.test_accuracy[best])


def test_without_a_choice_the_last_weights_are_the_weights(specification, sets, tmp_path):
    trained(specification, sets, tmp_path, watch=WATCH, choose=ROBUST)
    trained(specification, sets, tmp_path)
    one, other = load_model(tmp_path), load_model(tmp_path, last=True)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert not (tmp_path / "last.safetensors").exists()


class StopError(Exception):
    """Stands for whatever ends a job."""


def test_an_interrupted_training_chooses_the_same_epoch(specification, sets, tmp_path, monkeypatch):
    def stop(message):
        if message.startswith("epoch 4/"):
            raise StopError

    options = {
        "epochs": 6,
        "optimizer": {"name": "sgd", "lr": 20.0},
        "watch": {"pgd": {**WATCH["pgd"], "every": 1}},
        "choose": ROBUST,
        "weight_averaging": 0.9,
    }
    trained(specification, sets, tmp_path / "whole", **options)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "log", stop)
        with pytest.raises(StopError):
            trained(specification, sets, tmp_path / "parts", **options)
    trained(specification, sets, tmp_path / "parts", **options)
    for file in ("weights.safetensors", "last.safetensors"):
        one, other = (load_file(tmp_path / name / file) for name in ("whole", "parts"))
        assert all(torch.equal(one[name], other[name]) for name in one)
    pd.testing.assert_frame_equal(
        *(history(tmp_path / name).drop(columns="seconds") for name in ("whole", "parts"))
    )


def test_averaged_weights_follow_every_update_and_forget_the_first_ones_faster():
    """Weights 0, 1, 2, 3 after none to three updates, with a decay of 0.15: shares kept 0, 1/11 and 0.15."""
    model = torch.nn.Linear(1, 1, bias=False)
    state = TrainingState(model, torch.optim.SGD(model.parameters()))
    torch.nn.init.zeros_(model.weight)
    state.start_average()
    expected = 0.0
    for step, kept in enumerate((0, 1 / 11, 0.15)):
        torch.nn.init.constant_(model.weight, step + 1)
        state.update_average(0.15, step)
        expected = kept * expected + (1 - kept) * (step + 1)
    assert state.network.weight.item() == pytest.approx(expected)
    assert model.weight.item() == 3


def test_the_average_is_what_is_kept(specification, sets, tmp_path):
    trained(specification, sets, tmp_path / "plain")
    model = trained(specification, sets, tmp_path / "mean", weight_averaging=0.9)
    plain, mean = (load_file(tmp_path / name / "weights.safetensors") for name in ("plain", "mean"))
    assert not torch.allclose(plain["network.0.weight"], mean["network.0.weight"])
    assert torch.equal(model.state_dict()["network.0.weight"], mean["network.0.weight"])


def test_a_network_that_falls_short_of_what_is_expected_is_an_error_that_names_it(
    specification, sets, tmp_path
):
    with pytest.raises(GauntletError, match=r"stripes classifies .*`initialization: he`") as error:
        trained(specification, sets, tmp_path, expect={"test_accuracy": 1.0}, epochs=1)
    assert "100.0%" in str(error.value)
    assert not (tmp_path / "weights.safetensors").exists()
    trained(specification, sets, tmp_path, expect={"test_accuracy": 0.2}, epochs=1)
    assert len(history(tmp_path)) == 1


def test_a_lower_expectation_takes_the_finished_training_up(specification, sets, tmp_path, capsys):
    with pytest.raises(GauntletError):
        trained(specification, sets, tmp_path, expect={"test_accuracy": 1.0})
    trained(specification, sets, tmp_path, expect={"test_accuracy": 0.1})
    assert "going on after epoch 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"watch": WATCH, "choose": "pgd_three_loss"}, "choose"),
        ({"choose": ROBUST}, "choose"),
        ({"watch": WATCH, "choose": "pgd_surface_cross_entropy"}, "choose"),
        ({"watch": {"late": {**WATCH["pgd"], "split": "held_out"}}}, "samples"),
    ],
)
def test_unusable_choices_are_refused_by_key(settings, key):
    with pytest.raises(ValidationError) as error:
        TrainingSettings.model_validate({"epochs": 1, "optimizer": {"name": "sgd", "lr": 0.1}, **settings})
    cause = error.value.errors()[0]["ctx"]["error"]
    assert isinstance(cause, ConfigurationError) and cause.key == key


def test_held_out_images_that_are_not_there_are_an_error(specification, sets, tmp_path):
    watch = {"late": {"procedures": {"clean": {"name": "clean"}}, "split": "held_out"}}
    with pytest.raises(GauntletError, match="samples"):
        trained(specification, sets, tmp_path, watch=watch, samples=120)
