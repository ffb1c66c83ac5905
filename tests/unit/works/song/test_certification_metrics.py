"""Certified accuracy and average certified radius on tables worked out by hand and on the published one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from gauntlet.certification.bounds import clopper_pearson_lower
from gauntlet.works.song.smoothing.metrics import (
    average_certified_radius,
    average_certified_radius_bounds,
    average_certified_radius_gain,
    certified_accuracy,
    dissent_allowed,
    earned_radii,
    largest_radius,
)

PUBLISHED = Path(__file__).parents[4] / "config" / "published" / "song" / "table_5_1.csv"


@pytest.fixture
def table() -> pd.DataFrame:
    """Four images: certified to 0.5, certified to 0.25, wrong with a large radius, abstained."""
    return pd.DataFrame(
        {
            "index": [0, 20, 40, 60],
            "label": [3, 1, 2, 0],
            "prediction": [3, 1, 7, -1],
            "radius": [0.5, 0.25, 0.9, 0.0],
        }
    )


def random_table(seed: int, images: int = 500) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "index": np.arange(images),
            "label": random.integers(0, 3, images),
            "prediction": random.integers(-1, 3, images),
            "radius": random.uniform(0, 0.95, images),
        }
    )


def test_certified_accuracy_counts_right_images_with_at_least_the_radius(table):
    found = certified_accuracy(table, [0.0, 0.25, 0.3, 0.5, 0.6])
    assert found["certified_accuracy"].tolist() == [0.5, 0.5, 0.25, 0.25, 0.0]
    # Of four 0/1 values with mean 1/2 the sample variance is 1/3.
    assert found["standard_error"][0] == pytest.approx(np.sqrt(1 / 3 / 4))
    assert found["standard_error"][4] == 0.0


def test_wrong_and_abstained_images_earn_no_radius(table):
    assert earned_radii(table).to_dict() == {0: 0.5, 20: 0.25, 40: 0.0, 60: 0.0}
    acr = average_certified_radius(table)
    assert acr.value == pytest.approx(0.1875)
    assert acr.standard_error == pytest.approx(np.std([0.5, 0.25, 0, 0], ddof=1) / 2)


def test_the_average_certified_radius_is_the_area_under_the_accuracy_curve():
    frame = random_table(0)
    radii = np.linspace(0, 1, 20_001)
    curve = certified_accuracy(frame, radii)["certified_accuracy"]
    assert average_certified_radius(frame).value == pytest.approx(np.trapezoid(curve, radii), abs=1e-4)


def test_the_standard_error_is_the_spread_of_repeated_samples():
    estimates = [average_certified_radius(random_table(seed)) for seed in range(400)]
    spread = np.std([estimate.value for estimate in estimates], ddof=1)
    assert np.mean([estimate.standard_error for estimate in estimates]) == pytest.approx(spread, rel=0.15)


def test_the_paired_gain_matches_images_by_index_whatever_their_order(table):
    other = table.assign(radius=table["radius"] + 0.1)
    gain = average_certified_radius_gain(other.iloc[::-1], table)
    assert gain.value == pytest.approx(0.05)
    assert gain.standard_error == pytest.approx(np.std([0.1, 0.1, 0, 0], ddof=1) / 2)


def test_tables_of_different_images_cannot_be_paired(table):
    with pytest.raises(ValueError, match="same images"):
        average_certified_radius_gain(table, table.assign(index=[0, 20, 40, 61]))


def test_the_bounds_hold_for_every_table_and_are_attained():
    radii = [0.0, 0.25, 0.5, 0.75, 1.0]
    for seed in range(20):
        frame = random_table(seed)
        low, high = average_certified_radius_bounds(
            radii, certified_accuracy(frame, radii)["certified_accuracy"], 0.95
        )
        assert low <= average_certified_radius(frame).value <= high
    # All radii just below the next grid point, or on one: the curve is its upper, or lower, staircase.
    frame = random_table(0).assign(radius=0.5 - 1e-9)
    accuracies = certified_accuracy(frame, radii)["certified_accuracy"]
    assert average_certified_radius(frame).value == pytest.approx(
        average_certified_radius_bounds(radii, accuracies, 0.95)[1], abs=1e-8
    )
    frame = frame.assign(radius=0.5)
    accuracies = certified_accuracy(frame, radii)["certified_accuracy"]
    assert average_certified_radius(frame).value == pytest.approx(
        average_certified_radius_bounds(radii, accuracies, 0.95)[0]
    )


@pytest.mark.parametrize(("sigma", "largest"), [(0.25, 0.953), (0.5, 1.906)])
def test_the_largest_radius_of_the_published_sample_size(sigma, largest):
    assert largest_radius(sigma, 100_000, 0.001) == pytest.approx(largest, abs=5e-4)


@pytest.mark.parametrize(
    ("radius", "sigma", "n"), [(0.75, 0.25, 10_000), (0.75, 0.25, 100_000), (0.2, 0.5, 500)]
)
def test_the_allowed_dissent_is_what_the_bound_allows(radius, sigma, n):
    """With that many dissenting votes the certified radius is reached, with one more it is not."""
    dissent = round(dissent_allowed(radius, sigma, n, 0.001) * n * ndtr(-radius / sigma))
    bounds = clopper_pearson_lower([n - dissent, n - dissent - 1], n, 0.001)
    assert bounds[0] >= ndtr(radius / sigma) > bounds[1]


def test_no_dissent_is_allowed_beyond_the_largest_radius():
    assert dissent_allowed(largest_radius(0.25, 1000, 0.001) + 0.01, 0.25, 1000, 0.001) == 0


def test_every_published_average_radius_lies_within_the_bounds_of_its_row():
    published = pd.read_csv(PUBLISHED)
    rows = 0
    for (sigma, _), group in published.groupby(["sigma", "model"]):
        acr = group.loc[group["metric"] == "ACR", "value"].item()
        curve = group[group["metric"] == "certified_accuracy"].sort_values("radius")
        low, high = average_certified_radius_bounds(
            curve["radius"].tolist(), (curve["value"] / 100).tolist(), largest_radius(sigma, 100_000, 0.001)
        )
        assert low <= acr <= high
        rows += 1
    assert rows == 12
