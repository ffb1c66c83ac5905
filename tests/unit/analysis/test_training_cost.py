"""Cost of training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gauntlet.analysis.inputs import TrainedModel
from gauntlet.analysis.training_cost import TrainingCost, if_costs_compare, training_cost
from gauntlet.analysis.verdicts import Verdict


def cost(*seconds: float, memory: float = 1.0, device: str = "cuda:0", images: int = 100) -> TrainingCost:
    return TrainingCost(np.asarray(seconds), memory, device, images)


def test_cost_is_read_from_history_and_manifest(tmp_path: Path) -> None:
    pd.DataFrame({"epoch": [1, 2], "seconds": [3.0, 5.0]}).to_parquet(tmp_path / "history.parquet")
    manifest = {"peak_memory_mb": 2048, "device": "cpu", "training_images": 60}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    found = training_cost(TrainedModel("net", tmp_path))
    assert (found.epochs, found.seconds, found.memory, found.images) == (2, 8.0, 2.0, 60)
    assert not found.on_gpu


def test_a_stalled_epoch_does_not_count() -> None:
    assert cost(2, 2, 2, 2, 200).seconds == 10


def test_steady_epochs_give_the_exact_ratio_of_times() -> None:
    four_times, once = cost(*[8.0] * 30), cost(*[2.0] * 10)
    assert four_times.time_over(once) == pytest.approx((12, 12, 12))
    assert cost(8.0, images=50).time_over(cost(2.0), per_image=True) == pytest.approx((8, 8, 8))


def test_the_range_of_a_ratio_is_that_of_the_epochs_times_and_reverses_with_it() -> None:
    first, second = cost(*np.linspace(1, 3, 201)), cost(*np.linspace(4, 6, 201))
    # The 5 % and 95 % quantiles of evenly spread times lie a twentieth of the range inside its ends.
    assert first.time_over(second) == pytest.approx((2 / 5, 1.1 / 5.9, 2.9 / 4.1))
    ratio, reverse = first.time_over(second), second.time_over(first)
    assert reverse == pytest.approx((1 / ratio.estimate, 1 / ratio.high, 1 / ratio.low))


def test_costs_count_only_where_every_training_ran_on_a_gpu() -> None:
    verdict = Verdict("contradicted", "More memory.")
    assert cost(1, memory=3).memory_over(cost(1, memory=2)) == (1.5, 1.5, 1.5)
    assert if_costs_compare([cost(1), cost(1)], verdict) is verdict
    assert if_costs_compare([cost(1), cost(1, device="cpu")], verdict).decision == "not testable"
