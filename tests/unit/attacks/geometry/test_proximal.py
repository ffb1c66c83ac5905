from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from gauntlet.attacks.geometry.norms import project_onto_ball
from gauntlet.attacks.geometry.proximal import (
    prox_l1,
    prox_l2,
    prox_linf,
    prox_pixel_l0,
    prox_pixel_l0_exact,
)
from gauntlet.attacks.geometry.sizes import perturbation_sizes

X = torch.tensor([3.0, 1.0, -2.0]).view(1, 1, 1, 3)

WORKED_EXAMPLES = [
    (prox_linf, 0.5, [2.5, 1, -2]),
    (prox_linf, 1.5, [1.75, 1, -1.75]),
    (prox_linf, 4.0, [2 / 3, 2 / 3, -2 / 3]),
    (prox_linf, 7.0, [0, 0, 0]),
    (prox_l2, 1.5, [1.79732, 0.59911, -1.19822]),
    (prox_l1, 1.5, [1.5, 0, -0.5]),
    (prox_pixel_l0, 1.5, [3, 0, -2]),
]


@pytest.mark.parametrize(("prox", "weight", "expected"), WORKED_EXAMPLES)
def test_each_operator_gives_the_values_worked_out_by_hand(prox, weight, expected):
    found = prox(X, torch.tensor([weight]))
    torch.testing.assert_close(
        found.flatten(), torch.tensor(expected, dtype=torch.float32), atol=1e-5, rtol=1e-5
    )


def objective(u: np.ndarray, x: np.ndarray, weight: float, norm: str) -> float:
    size = {"linf": np.abs(u).max(), "l2": np.linalg.norm(u), "l1": np.abs(u).sum()}[norm]
    return weight * size + ((u - x) ** 2).sum() / 2


@pytest.mark.parametrize(("prox", "norm"), [(prox_linf, "linf"), (prox_l2, "l2"), (prox_l1, "l1")])
def test_convex_operators_reach_the_value_of_a_numerical_minimizer(prox, norm):
    generator = torch.Generator().manual_seed(1)
    for weight in (0.05, 0.4, 1.5):
        x = torch.randn(1, 1, 1, 5, generator=generator)
        ours = prox(x, torch.tensor([weight])).flatten().double().numpy()
        point = x.flatten().double().numpy()
        # Nelder-Mead needs no gradient, which the norms lack at their minimizers.
        options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 20_000, "maxfev": 20_000}
        reference = min(
            minimize(objective, start, (point, weight, norm), method="Nelder-Mead", options=options).fun
            for start in (point, 0 * point, point / 2)
        )
        assert objective(ours, point, weight, norm) <= reference + 1e-6


def test_l0_operators_are_the_best_of_all_supports():
    """Whatever pixels are kept, keeping them unchanged is best; the operator takes the best choice."""
    generator = torch.Generator().manual_seed(2)
    for weight in (0.05, 0.3, 1.0):
        x = torch.randn(1, 3, 1, 4, generator=generator)
        masks = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)))
        kept = x * masks.view(-1, 1, 1, 4)
        costs = weight * masks.sum(1) + ((kept - x) ** 2).flatten(1).sum(1) / 2
        torch.testing.assert_close(prox_pixel_l0_exact(x, torch.tensor([weight])), kept[costs.argmin()][None])
        single = x[:, :1]
        costs = weight * masks.sum(1) + ((kept - x) ** 2)[:, :1].flatten(1).sum(1) / 2
        for operator in (prox_pixel_l0, prox_pixel_l0_exact):
            torch.testing.assert_close(
                operator(single, torch.tensor([weight])), kept[costs.argmin()][None, :1]
            )


def test_the_works_pixel_rule_looks_at_the_largest_channel_and_the_exact_one_at_the_whole_pixel():
    pixel = torch.full((1, 3, 1, 1), 0.9)
    weight = torch.tensor([0.5])
    assert prox_pixel_l0(pixel, weight).abs().sum() == 0
    torch.testing.assert_close(prox_pixel_l0_exact(pixel, weight), pixel)
    bright = torch.tensor([1.1, 0.01, 0.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(prox_pixel_l0(bright, weight), bright)


@pytest.mark.parametrize(
    ("prox", "norm", "dual"), [(prox_linf, "linf", "l1"), (prox_l2, "l2", "l2"), (prox_l1, "l1", "linf")]
)
def test_moreau_operator_and_projection_on_the_dual_ball_add_up_to_the_point(prox, norm, dual):
    x = torch.randn(7, 3, 4, 4, generator=torch.Generator().manual_seed(3))
    weight = torch.rand(7, generator=torch.Generator().manual_seed(4)) * 3
    projection = weight.view(-1, 1, 1, 1) * project_onto_ball(x / weight.view(-1, 1, 1, 1), dual, 1.0)
    torch.testing.assert_close(prox(x, weight) + projection, x, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("prox", [prox_linf, prox_l2, prox_l1, prox_pixel_l0, prox_pixel_l0_exact])
def test_weight_zero_changes_nothing_and_zero_stays_zero(prox):
    x = torch.randn(3, 3, 2, 2, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(prox(x, torch.zeros(3)), x)
    assert prox(torch.zeros(3, 3, 2, 2), torch.ones(3)).abs().sum() == 0


def test_l0_size_counts_pixels_whatever_number_of_channels_changed():
    perturbation = torch.zeros(1, 3, 2, 2)
    perturbation[0, :, 0, 0] = 0.1
    perturbation[0, 1, 1, 1] = -0.2
    assert perturbation_sizes(perturbation, "l0").tolist() == [2.0]
    torch.testing.assert_close(perturbation_sizes(perturbation, "l1"), torch.tensor([0.5]))
    torch.testing.assert_close(perturbation_sizes(perturbation, "linf"), torch.tensor([0.2]))
