import math

import numpy as np
import pandas as pd
import pytest
import torch

from gauntlet.attacks.decision_based.rays import RayS
from gauntlet.contracts import Batch
from gauntlet.works.chen2021.black_box.metrics import (
    average_decision_boundary_distance,
    distance_trace,
    iterations,
    query_counts,
    robust_accuracy_at,
    success_curve,
)

QUERIES = pd.DataFrame({"queries_to_success": [10.0, np.nan, 30.0, 50.0, 30.0]})
DISTANCES = pd.DataFrame(
    {
        "correct": [True, True, False, True],
        "best_linf": [0.02, 0.04, 0.5, np.inf],
        "linf_at_iteration_1": [np.inf, 0.2, 0.6, np.inf],
        "linf_at_iteration_10": [0.03, 0.05, 0.5, np.inf],
        "linf_at_iteration_2": [0.1, 0.1, 0.5, np.inf],
    }
)


def test_query_counts_by_hand():
    counts = query_counts(QUERIES, budget=100)
    assert counts.success_rate == 80
    assert counts.mean_of_successes == 30
    assert counts.median_of_successes == 30
    assert counts.mean_of_all == (10 + 100 + 30 + 50 + 30) / 5
    assert counts.images == 5


def test_the_published_identity_between_the_two_means():
    """Mean over all = rate * mean over successes + (1 - rate) * budget, on random logs."""
    generator = np.random.default_rng(0)
    queries = generator.integers(1, 1000, 200).astype(float)
    queries[generator.random(200) < 0.3] = np.nan
    counts = query_counts(pd.DataFrame({"queries_to_success": queries}), budget=1000)
    rate = counts.success_rate / 100
    assert counts.mean_of_all == pytest.approx(rate * counts.mean_of_successes + (1 - rate) * 1000)


def test_no_success_leaves_the_means_of_successes_undefined():
    counts = query_counts(pd.DataFrame({"queries_to_success": [np.nan, np.nan]}), budget=70)
    assert counts.success_rate == 0
    assert math.isnan(counts.mean_of_successes)
    assert counts.mean_of_all == 70


def test_the_success_curve_counts_successes_with_at_most_so_many_queries():
    curve = success_curve(QUERIES, [0, 10, 29, 30, 100])
    assert curve["success_rate"].tolist() == [0, 20, 20, 60, 80]


def test_adbd_counts_wrong_images_as_zero_and_unmet_ones_as_one():
    found = average_decision_boundary_distance(DISTANCES)
    assert found.adbd == pytest.approx((0.02 + 0.04 + 0 + 1) / 4)
    assert found.unmet == 1


def test_robust_accuracy_counts_wrong_images_as_broken():
    assert robust_accuracy_at(DISTANCES, 0.02) == 50
    assert robust_accuracy_at(DISTANCES, 0.031) == 50
    assert robust_accuracy_at(DISTANCES, 0.04) == 25


def test_the_trace_is_in_order_of_its_marks():
    trace = distance_trace(DISTANCES, 0.06)
    assert trace["position"].tolist() == [1, 2, 10]
    assert trace["adbd"].tolist() == pytest.approx([2.2 / 4, 1.2 / 4, 1.08 / 4])
    assert trace["robust_accuracy"].tolist() == [75, 75, 25]


def test_iterations_in_both_readings():
    rows = pd.DataFrame({"success": [True, False, True], "iterations": [2, 20, 4], "linf": [0.1, 0.3, 0.2]})
    found = iterations(rows, steps=20)
    assert found.success_rate == pytest.approx(200 / 3)
    assert found.mean_of_all == pytest.approx(26 / 3)
    assert found.mean_of_successes == 3
    assert found.distortion == pytest.approx(0.15)


def test_rows_of_an_attack_carry_what_the_metrics_need():
    """RayS on a brightness classifier: every image is 0.2 from its boundary, one is wrong from the start."""

    class Bright(torch.nn.Module):
        def forward(self, images):
            mean = images.flatten(1).mean(1)
            return torch.stack([mean, 0.3 * torch.ones_like(mean)], 1)

    images = torch.full((3, 1, 6, 6), 0.5)
    labels = torch.tensor([0, 0, 1])
    batch = Batch(images, labels, torch.arange(3), torch.Generator().manual_seed(0))
    columns = RayS(eps=0.1, budget=60, early_stop=False).run(Bright(), batch).columns
    rows = pd.DataFrame({name: values.numpy() for name, values in columns.items()}).assign(
        correct=labels.numpy() == 0
    )
    assert average_decision_boundary_distance(rows).adbd == pytest.approx(0.4 / 3, abs=1e-3)
    assert robust_accuracy_at(rows, 0.1) == pytest.approx(200 / 3)
    trace = distance_trace(rows, 0.1, "linf_at_query")
    assert trace["adbd"].iloc[0] == pytest.approx(2 / 3)
    assert trace["adbd"].iloc[-1] == pytest.approx(0.4 / 3, abs=1e-3)
