"""The state of a defence is in the history, and outlives an interruption."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from gauntlet.training import loop

WAR = {
    "name": "width_adjusted",
    "defence": {"name": "trades", "eps": 0.1, "steps": 2, "step_size": 0.05},
    "target_ratio": 5000,
}


class StopError(Exception):
    """Stands for whatever ends a job."""


def test_a_width_adjusted_training_that_is_interrupted_ends_with_the_same_bits(
    specification, train_set, test_set, tmp_path, monkeypatch
):
    def stop(message):
        if message.startswith("epoch 2/"):
            raise StopError

    specification["defence"] = WAR
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    loop.train(specification, train_set, test_set, whole, "cpu")
    with monkeypatch.context() as patched:
        patched.setattr(loop, "log", stop)
        with pytest.raises(StopError):
            loop.train(specification, train_set, test_set, parts, "cpu")
    loop.train(specification, train_set, test_set, parts, "cpu")
    one, other = (load_file(folder / "weights.safetensors") for folder in (whole, parts))
    assert all(torch.equal(one[name], other[name]) for name in one)
    history, resumed = (
        pd.read_parquet(folder / "history.parquet").drop(columns="seconds") for folder in (whole, parts)
    )
    pd.testing.assert_frame_equal(history, resumed)
    assert history.strength_at_end.iloc[1] > 0, "the state that had to be brought back"
    assert history.strength.iloc[-1] != history.strength_at_end.iloc[-1]
    assert {"natural_loss", "robust_loss", "loss_ratio"} <= set(history)
