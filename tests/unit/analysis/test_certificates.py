"""Certified radii on certificates worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr
from scipy.stats import beta

from gauntlet.analysis.certificates import (
    average_certified_radius,
    average_certified_radius_gain,
    certified_accuracy,
    certified_accuracy_curve,
    certified_accuracy_gain,
    certified_at,
    dissent_allowed,
    earned_radii,
    estimation_error,
    largest_radius,
)
from gauntlet.analysis.results import EvaluationTable, Results

ALPHA = 0.001


def certificates(frame: pd.DataFrame) -> Results:
    """Return the results of one certification with these rows."""
    table = EvaluationTable(Path("made-up"))
    # The cached rows stand for the file.
    table.__dict__["frame"] = frame.assign(procedure="certify", target=-1)
    return Results(pd.DataFrame([{"evaluation": "one", "procedure": "certify"}]), {"one": table})


@pytest.fixture
def frame() -> pd.DataFrame:
    """Four images: certified to 0.5, certified to 0.25, wrong with a large radius, abstained."""
    return pd.DataFrame(
        {
            "index": [0, 20, 40, 60],
            "label": [3, 1, 2, 0],
            "prediction": [3, 1, 7, -1],
            "radius": [0.5, 0.25, 0.9, 0.0],
        }
    )


def random_frame(images: int = 500) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "index": random.permutation(images),
            "label": random.integers(0, 3, images),
            "prediction": random.integers(-1, 3, images),
            "radius": random.uniform(0, 0.95, images),
        }
    )


def test_wrong_and_abstained_images_earn_no_radius(frame: pd.DataFrame) -> None:
    found = certificates(frame)
    assert earned_radii(found).tolist() == [0.5, 0.25, 0, 0]
    assert average_certified_radius(found).estimate == pytest.approx(0.1875)


def test_certified_accuracy_counts_right_images_with_at_least_the_radius(frame: pd.DataFrame) -> None:
    found, radii = certificates(frame), [0.0, 0.25, 0.3, 0.5, 0.6]
    assert certified_at(found, 0.25).tolist() == [True, True, False, False]
    assert certified_accuracy_curve(found, radii).tolist() == [0.5, 0.5, 0.25, 0.25, 0.0]
    assert [certified_accuracy(found, radius).estimate for radius in radii] == [0.5, 0.5, 0.25, 0.25, 0.0]


def test_the_average_certified_radius_is_the_area_under_the_accuracy_curve() -> None:
    found, radii = certificates(random_frame()), np.linspace(0, 1, 20_001)
    area = np.trapezoid(certified_accuracy_curve(found, radii), radii)
    assert average_certified_radius(found).estimate == pytest.approx(area, abs=1e-4)


def test_radii_spread_evenly_have_half_the_largest_as_their_average() -> None:
    """A curve that falls in a straight line from 1 at radius 0 to 0 at radius 0.8 has the area 0.4."""
    radii = 0.8 * (np.arange(1000) + 0.5) / 1000
    found = certificates(pd.DataFrame({"index": range(1000), "label": 1, "prediction": 1, "radius": radii}))
    assert average_certified_radius(found).estimate == pytest.approx(0.4)
    assert certified_accuracy_curve(found, [0, 0.2, 0.4, 0.8]) == pytest.approx([1, 0.75, 0.5, 0])


def test_gains_match_images_whatever_their_order(frame: pd.DataFrame) -> None:
    other = frame.assign(radius=frame["radius"] + 0.1)
    more, less = certificates(other.iloc[::-1]), certificates(frame)
    assert average_certified_radius_gain(more, less).estimate == pytest.approx(0.05)
    assert certified_accuracy_gain(more, less, 0.3).estimate == pytest.approx(0.25)


def test_gains_refuse_different_images(frame: pd.DataFrame) -> None:
    other = certificates(frame.assign(index=[0, 20, 40, 61]))
    for gain in (average_certified_radius_gain, lambda *both: certified_accuracy_gain(*both, 0.25)):
        with pytest.raises(ValueError, match="same images"):
            gain(certificates(frame), other)


@pytest.mark.parametrize(("sigma", "largest"), [(0.25, 0.953), (0.5, 1.906)])
def test_the_largest_radius_of_the_published_sample_size(sigma: float, largest: float) -> None:
    assert largest_radius(sigma, 100_000, ALPHA) == pytest.approx(largest, abs=5e-4)


@pytest.mark.parametrize(("radius", "sigma", "n"), [(0.75, 0.25, 10_000), (0.5, 0.25, 1000), (0.2, 0.5, 500)])
def test_the_allowed_dissent_is_that_of_the_clopper_pearson_bound(
    radius: float, sigma: float, n: int
) -> None:
    """The most dissenting votes of all counts for which the one-sided lower bound still reaches the radius."""
    dissent = np.arange(n)
    bounds = beta.ppf(ALPHA, n - dissent, dissent + 1)
    most = dissent[bounds >= ndtr(radius / sigma)].max()
    assert dissent_allowed(radius, sigma, n, ALPHA) * n * ndtr(-radius / sigma) == pytest.approx(most)


def test_no_dissent_is_allowed_beyond_the_largest_radius() -> None:
    limit = largest_radius(0.25, 1000, ALPHA)
    assert dissent_allowed(limit + 0.01, 0.25, 1000, ALPHA) == 0


def test_the_error_of_an_estimated_radius_is_that_of_the_binomial_distribution() -> None:
    """With one vote at probability 1/2 the truth is radius 0 and either estimate is as far off."""
    cut = estimation_error(np.array([0.5]), 1, 0.25)
    assert cut[0] == pytest.approx(0.25 * 3.2905, abs=1e-4)  # Phi^-1(0.9995)
    probability = np.array([0.7])
    errors = [estimation_error(probability, draws, 1.0)[0] for draws in (4, 16, 400)]
    assert errors[0] > errors[1] > errors[2]
    # For many votes the estimate is normal with deviation sqrt(p (1 - p) / n) / phi(Phi^-1(p)).
    deviation = np.sqrt(0.7 * 0.3 / 400) / 0.34769
    assert errors[2] == pytest.approx(deviation * np.sqrt(2 / np.pi), rel=0.02)
