"""Every check supports its claim where it holds, and contradicts it where it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

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
    # At full scale, where some methods were trained twice.
    held = verdict_of(inputs_of(name, world, scale="full"))
    assert held.decision == "supported", held.reason
    broken = verdict_of(inputs_of(name, world.but(**BROKEN[name]), scale="full"))
    assert broken.decision == "contradicted", broken.reason


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
    assert verdict_of(inputs_of(name, world.but(stall=30.0))).decision == "inconclusive"


@pytest.mark.parametrize("name", [name for name in BROKEN if "hours" in BROKEN[name]][:4])
def test_a_shared_machine_tells_nothing_about_time_and_memory(name, inputs_of, verdict_of, world):
    busy = world.but(device="cpu", **BROKEN[name])
    assert verdict_of(inputs_of(name, busy)).decision == "not testable"


@pytest.mark.parametrize(
    ("name", "memory"),
    [
        ("training-cost-rises-from-gaussian-to-macer", {"consistency": 4.0}),
        ("training-cost-rises-from-gaussian-to-macer", {"macer": 8.0}),
        ("ours-costs-a-third-of-the-ensemble", {"ensemble": 4.0}),
        ("ours-adds-little-cost-over-consistency", {"ours": 5.0}),
    ],
)
def test_memory_decides_as_well_as_time(name, memory, inputs_of, verdict_of, world):
    assert verdict_of(inputs_of(name, world.but(memory=memory))).decision == "contradicted"


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
    inputs = inputs_of(name, world.but(curves={"generalized": generalized}), scale="full")
    assert verdict_of(inputs).decision == decision


def test_one_training_tells_nothing_about_a_way_of_training(inputs_of, verdict_of, world):
    inputs = inputs_of("generalized-consistency-converges-faster-and-higher", world)
    assert verdict_of(inputs).decision == "not testable"


def test_methods_are_ordered_only_if_every_training_says_so(inputs_of, verdict_of, world):
    """A second training of Consistency that is better than Ours contradicts, whatever the first says."""
    name = "ours-improves-on-consistency"
    changed = world.but(shares={"again-consistency-0.25": 0.95})
    assert verdict_of(inputs_of(name, changed, scale="full")).decision == "contradicted"
    assert verdict_of(inputs_of(name, changed)).decision == "supported", "the first training alone"


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
