"""Every check supports its claim where it holds, and contradicts it where it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gauntlet.analysis.certificates import largest_radius

BROKEN = {
    "acr-orders-the-methods-at-low-noise": {"shares": {"ours": 0.5}},
    "acr-orders-the-methods-at-high-noise": {"shares": {"macer-0.5": 0.9}},
    "ours-improves-on-consistency": {"shares": {"ours": 0.4}},
    "ours-beats-consistency-at-every-radius": {"shares": {"ours": 0.4}},
    "ours-slightly-exceeds-the-ensemble": {"shares": {"ensemble": 0.95}},
    "decomposition-raises-the-acr": {"shares": {"gaussian": 0.6}},
    "decomposition-raises-accuracy-at-every-radius": {"shares": {"gaussian": 0.6}},
    "decomposition-raises-clean-accuracy": {"shares": {"gaussian": 0.6}},
    "macer-lies-between-gaussian-and-consistency": {"shares": {"gaussian": 0.5}},
    "training-cost-rises-from-gaussian-to-macer": {"hours": {"macer": 5.0}},
    "ours-takes-four-times-as-long-as-gaussian": {"hours": {"ours": 3.1}},
    "ours-costs-a-third-of-the-ensemble": {"hours": {"ensemble": 3.0}},
    "ours-adds-little-cost-over-consistency": {"hours": {"ours": 3.1}},
    "more-copies-estimate-better-at-proportional-cost": {"hours": {"macer": 20.0}},
    "generalized-consistency-converges-faster-and-higher": {"curves": {"generalized": (0.1, 0.2, 0.5)}},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_claim_follows_the_results(name, inputs_of, verdict_of, world):
    held = verdict_of(inputs_of(name, world))
    assert held.decision == "supported", held.reason
    broken = verdict_of(inputs_of(name, world.but(**BROKEN[name])))
    assert broken.decision == "contradicted", broken.reason


PRINTED = {
    "ours": "Ours",
    "ensemble": "Ensemble(m=3)",
    "consistency": "Consistency",
    "macer": "MACER-150",
    "gaussian-ld": "Gaussian+LD",
    "gaussian": "Gaussian",
}


def radii_of(row: pd.DataFrame, sigma: float, images: int = 10_000) -> np.ndarray:
    """Return radii with the certified accuracies and the ACR of a printed row.

    Between two printed radii all images lie at one place, the same share of the way for every pair of radii.
    """
    curve = row[row["metric"] == "certified_accuracy"].sort_values("radius")
    counts = np.round(curve["value"].to_numpy() / 100 * images).astype(int)
    grid = np.minimum([*curve["radius"], np.inf], largest_radius(sigma, 100_000, 0.001))
    falling = -np.diff([*counts, 0])
    low, high = (falling @ ends / images for ends in (grid[:-1], grid[1:]))
    way = (row.loc[row["metric"] == "ACR", "value"].item() - low) / (high - low)
    assert 0 <= way <= 1
    # An image at radius 0 is right; one that abstains has none.
    places = np.maximum(grid[:-1] + way * np.diff(grid), 1e-9)
    certified = np.repeat(places, falling)[::-1]
    return np.concatenate([certified, np.zeros(images - len(certified))])


def test_the_printed_numbers_support_the_claims_that_they_do_not_contradict(
    inputs_of, verdict_of, published, world
):
    """Two claims go further than Table 5.1: it has a lower accuracy at one radius, and at radius 0."""
    printed = published("table_5_1.csv").set_index(["sigma", "model"])
    radii = {
        f"{name}-{sigma:g}": radii_of(printed.loc[(sigma, model)], sigma)
        for name, model in PRINTED.items()
        for sigma in (0.25, 0.5)
    }
    judged = [name for name in BROKEN if "shares" in BROKEN[name]]
    found = {name: verdict_of(inputs_of(name, world.but(radii=radii))).decision for name in judged}
    too_far = {"ours-beats-consistency-at-every-radius", "decomposition-raises-clean-accuracy"}
    assert found == {name: "contradicted" if name in too_far else "supported" for name in judged}


def test_a_small_gain_decides_nothing(inputs_of, verdict_of, world):
    """One image of a hundred more is within the interval of the paired difference."""
    changed = world.but(shares={"gaussian": 0.2, "gaussian-ld": 0.21, "gaussian-ld-0.5": 0.21})
    verdict = verdict_of(inputs_of("decomposition-raises-the-acr", changed))
    assert verdict.decision == "inconclusive"
    assert verdict.numbers["ACR at sigma 0.25, Gaussian+LD less Gaussian"] == pytest.approx(0.01 * 0.9)


def test_a_radius_beyond_the_cap_is_zero_by_construction_and_counted_otherwise(inputs_of, verdict_of, world):
    """A million unanimous draws certify 1.09 at sigma 0.25."""
    worlds = {
        "by construction": world,
        "supported": world.but(draws=10**6),
        "contradicted": world.but(draws=10**6, reach=4.2),
    }
    name = "low-noise-certifies-nothing-at-radius-one"
    for decision, each in worlds.items():
        assert verdict_of(inputs_of(name, each)).decision == decision


@pytest.mark.parametrize("name", [name for name in BROKEN if "hours" in BROKEN[name]][:4])
def test_times_that_vary_from_epoch_to_epoch_decide_nothing(name, inputs_of, verdict_of, world):
    busy = world.but(stall=30.0, device="cpu")
    assert verdict_of(inputs_of(name, busy)).decision == "inconclusive"


@pytest.mark.parametrize(
    ("name", "memory"),
    [
        ("training-cost-rises-from-gaussian-to-macer", {"consistency": 4.0}),
        ("training-cost-rises-from-gaussian-to-macer", {"macer": 8.0}),
        ("ours-costs-a-third-of-the-ensemble", {"ensemble": 4.0}),
        ("ours-adds-little-cost-over-consistency", {"ours": 5.0}),
    ],
)
def test_memory_decides_on_a_gpu_and_leaves_the_claim_open_elsewhere(
    name, memory, inputs_of, verdict_of, world
):
    changed = world.but(memory=memory)
    assert verdict_of(inputs_of(name, changed)).decision == "contradicted"
    elsewhere = verdict_of(inputs_of(name, changed.but(device="cpu")))
    assert elsewhere.decision == "inconclusive" and "not compared" in elsewhere.reason


@pytest.mark.parametrize(
    ("generalized", "decision"),
    [
        ((0.3, 0.5, 0.65), "inconclusive"),
        ((0.1, 0.59, 0.6), "inconclusive"),
        ((0.1, 0.2, 0.3), "contradicted"),
    ],
)
def test_convergence_needs_an_earlier_epoch_and_a_higher_end(
    generalized, decision, inputs_of, verdict_of, world
):
    """Consistency ends at 0.6, of which 95 % are 0.57, in the last third of its epochs."""
    name = "generalized-consistency-converges-faster-and-higher"
    inputs = inputs_of(name, world.but(curves={"generalized": generalized}))
    assert verdict_of(inputs).decision == decision


@pytest.mark.parametrize(("contrast", "decision"), [(2, "supported"), (120, "contradicted")])
def test_directions_are_counted_against_the_noise(contrast, decision, split, inputs_of, verdict_of, world):
    """Independent pixels at 128 +- contrast: all directions have about the variance (contrast / 255)^2."""
    signs = np.random.default_rng(0).integers(0, 2, (2000, 1, 4, 4)) * 2 - 1
    images = (128 + contrast * signs).astype(np.uint8)
    inputs = replace(inputs_of("most-principal-directions-drown-in-noise", world), datasets=split(images))
    assert verdict_of(inputs).decision == decision


def test_the_gradient_claim_holds_by_construction_and_quotes_its_values(inputs_of, verdict_of, world):
    verdict = verdict_of(inputs_of("soft-mapping-bounds-the-gradient", world))
    assert verdict.decision == "by construction"
    for value in ("37.52", "297", "0.3715", "0.2967", "0.6267"):
        assert value in verdict.reason
