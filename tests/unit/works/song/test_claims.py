"""Every check supports its claim where it holds, and contradicts it where it does not."""

from __future__ import annotations

import numpy as np
import pytest

from gauntlet.works.song import claims, claims_analysis, claims_cost

# In this world no method is certified beyond 3 sigma: at 0.25, radii up to 0.75.
BROKEN = {
    "c1": {"ours": 0.5},
    "c2": {"macer": 0.9},
    "c3": {"ours": 0.4},
    "c4": {"ours": 0.4},
    "c5": {"ensemble": 0.95},
    "c6": {"gaussian": 0.6},
    "c7": {"gaussian": 0.6},
    "c8": {"gaussian": 0.6},
    "c15": {"gaussian": 0.5},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_claim_about_certificates_follows_the_data(name, certificates_of, inputs, certified):
    check = getattr(claims, name)
    found = certificates_of()
    if name in ("c4", "c7"):
        # Both methods must be certified where they are compared, at every radius.
        better, worse = ("ours", "consistency") if name == "c4" else ("gaussian-ld", "gaussian")
        for sigma, reach in ((0.25, 3.0), (0.5, 3.6)):
            found[f"{better}-{sigma:g}"] = certified(better, sigma, 0.8, reach)
            found[f"{worse}-{sigma:g}"] = certified(worse, sigma, 0.4, reach)
    held = check(inputs(evaluations=found))
    assert held.decision == "supported", held.reason
    broken = check(inputs(evaluations=certificates_of(BROKEN[name])))
    assert broken.decision == "contradicted", broken.reason


def test_a_small_gain_decides_nothing(certificates_of, inputs):
    """One image of a hundred more is within the interval of the paired difference."""
    verdict = claims.c6(inputs(evaluations=certificates_of({"gaussian": 0.2, "gaussian-ld": 0.21})))
    assert verdict.decision == "inconclusive"
    assert verdict.numbers["ACR at sigma 0.25, Gaussian+LD less Gaussian"] == pytest.approx(0.01 * 0.75)


def test_radii_beyond_one_contradict_the_zeros_at_a_quarter(certificates_of, certified, inputs):
    found = certificates_of()
    assert claims.c16(inputs(evaluations=found)).decision == "supported"
    found["ours-0.25"] = certified("ours", 0.25, 0.8, reach=4.4)
    assert claims.c16(inputs(evaluations=found)).decision == "contradicted"
    nothing = certificates_of(
        dict.fromkeys(("ours", "ensemble", "consistency", "gaussian-ld", "macer", "gaussian"), 0.0)
    )
    assert claims.c16(inputs(evaluations=nothing)).decision == "not testable"


COSTS = {
    "c9": ({"tolerance": 0.1}, {"macer": 5.0}, {}),
    "c10": ({"between": [3, 5]}, {"ours": 3.1}, {}),
    "c11": ({"between": [0.25, 0.42]}, {"ensemble": 3.0}, {}),
    "c12": ({"overhead": 0.15}, {"ours": 3.1}, {}),
}


@pytest.mark.parametrize("name", COSTS)
def test_a_claim_about_cost_follows_the_manifests(name, costs_of, inputs):
    settings, hours, _ = COSTS[name]
    check = getattr(claims_cost, name)
    held = check(inputs(settings=settings, models=costs_of()))
    assert held.decision == "supported", held.reason
    broken = check(inputs(settings=settings, models=costs_of(hours)))
    assert broken.decision == "contradicted", broken.reason


@pytest.mark.parametrize("name", COSTS)
def test_times_that_vary_from_epoch_to_epoch_decide_nothing(name, costs_of, inputs):
    busy = costs_of(stall=30.0, device="cpu")
    assert getattr(claims_cost, name)(inputs(settings=COSTS[name][0], models=busy)).decision == "inconclusive"


@pytest.mark.parametrize(
    ("name", "memory"),
    [
        ("c9", {"consistency": 4.0}),
        ("c9", {"macer": 8.0}),
        ("c11", {"ensemble": 4.0}),
        ("c12", {"ours": 5.0}),
    ],
)
def test_memory_counts_on_a_gpu_only(name, memory, costs_of, inputs):
    settings, check = COSTS[name][0], getattr(claims_cost, name)
    assert check(inputs(settings=settings, models=costs_of(memory=memory))).decision == "contradicted"
    elsewhere = check(inputs(settings=settings, models=costs_of(memory=memory, device="cpu")))
    assert elsewhere.decision == "supported" and "not compared" in elsewhere.reason


def test_more_copies_need_time_in_proportion(costs_of, certificates_of, inputs):
    """Published hours per epoch are 4.2 and 9.1 times those of Gaussian training."""
    found = certificates_of()
    held = claims_cost.c18(inputs(settings={"tolerance": 0.3}, models=costs_of(), evaluations=found))
    assert held.decision == "supported", held.reason
    slow = costs_of({"macer": 20.0})
    broken = claims_cost.c18(inputs(settings={"tolerance": 0.3}, models=slow, evaluations=found))
    assert broken.decision == "contradicted"


def test_the_error_of_an_estimated_radius_is_that_of_the_binomial_distribution():
    """With one vote at probability 1/2 the truth is radius 0 and either estimate is as far off."""
    cut = claims_cost.estimation_error(np.array([0.5]), 1, 0.25)
    assert cut[0] == pytest.approx(0.25 * 3.2905, abs=1e-4)  # Phi^-1(0.9995)
    probability = np.array([0.7])
    errors = [claims_cost.estimation_error(probability, draws, 1.0)[0] for draws in (4, 16, 400)]
    assert errors[0] > errors[1] > errors[2]
    # For many votes the estimate is normal with deviation sqrt(p (1 - p) / n) / phi(Phi^-1(p)).
    deviation = np.sqrt(0.7 * 0.3 / 400) / 0.34769
    assert errors[2] == pytest.approx(deviation * np.sqrt(2 / np.pi), rel=0.02)


@pytest.mark.parametrize(
    ("generalized", "decision"),
    [((0.5, 0.7, 0.8), "supported"), ((0.1, 0.2, 0.5), "contradicted"), ((0.3, 0.5, 0.65), "inconclusive")],
)
def test_convergence_compares_the_epoch_and_the_final_accuracy(generalized, decision, histories, inputs):
    """Consistency ends at 0.6 in epoch 3, of which 95 % are 0.57."""
    models = histories(generalized, (0.2, 0.4, 0.6))
    assert claims_analysis.c13(inputs(models=models)).decision == decision


@pytest.mark.parametrize(("contrast", "decision"), [(2, "supported"), (120, "contradicted")])
def test_directions_are_counted_against_the_noise(contrast, decision, split, inputs):
    """Independent pixels at 128 +- contrast: all directions have about the variance (contrast / 255)^2."""
    signs = np.random.default_rng(0).integers(0, 2, (2000, 1, 4, 4)) * 2 - 1
    images = (128 + contrast * signs).astype(np.uint8)
    assert claims_analysis.c14(inputs(datasets=split(images))).decision == decision


def test_the_gradient_claim_needs_a_gradient_without_bound(inputs, monkeypatch):
    assert claims_analysis.c17(inputs()).decision == "supported"
    monkeypatch.setattr(
        claims_analysis, "robustness_gradient", lambda p: np.minimum(37.52, 1 / (1 - np.asarray(p)))
    )
    assert claims_analysis.c17(inputs()).decision == "contradicted"
