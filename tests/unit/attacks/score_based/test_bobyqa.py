from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from gauntlet.attacks.queries.per_image_rng import PerImageRng
from gauntlet.attacks.score_based.bobyqa import BOBYQA
from gauntlet.attacks.score_based.bobyqa_lifting import (
    Lifting,
    block_contrast,
    block_of_pixels,
    draw_order,
    room,
)
from gauntlet.attacks.score_based.bobyqa_solver import Solver, first_points, linear_driver
from gauntlet.errors import ConfigurationError


@pytest.fixture
def images():
    """Two clean 32 x 32 images in 8-bit levels, with black and white pixels, and perturbed ones within 9/255."""
    generator = torch.Generator().manual_seed(0)
    clean = (torch.rand(2, 3, 32, 32, generator=generator, dtype=torch.float64) * 300 - 20).round().clamp(
        0, 255
    ) / 255
    change = (torch.rand(clean.shape, generator=generator, dtype=torch.float64) * 2 - 1) * 9 / 255
    return clean, (clean + change).clamp(0, 1)


@pytest.mark.parametrize("grid", [2, 4, 8, 16, 32])
def test_blocks_tile_every_channel(grid):
    """Block (channel, row, column) covers side 32 / grid squares and is numbered in that order."""
    block = block_of_pixels(grid, (3, 32, 32), torch.device("cpu")).view(3, 32, 32)
    side = 32 // grid
    assert block.unique(return_counts=True)[1].tolist() == [side * side] * (3 * grid * grid)
    for channel, row, column in ((0, 0, 0), (1, 31, 0), (2, 17, 30)):
        assert block[channel, row, column] == (channel * grid + row // side) * grid + column // side


def test_blocks_of_a_side_that_the_grid_does_not_divide_differ_by_one_pixel():
    block = block_of_pixels(16, (1, 28, 28), torch.device("cpu"))
    counts = block.bincount()
    assert len(counts) == 256
    assert set(counts.tolist()) == {1, 2, 4}


def test_the_published_schedule_on_32_pixels(monkeypatch, batch_of):
    """Levels 2, 4, 8, 16, 32, 32 begin at sub-problems 0, 1, 4, 14, 28, 56 with 12 variables, then 20 each."""
    seen = []
    original = Lifting.of

    def watch(images, clean, eps, blocks, grid):
        seen.append((grid, blocks.shape[1]))
        return original(images, clean, eps, blocks, grid)

    monkeypatch.setattr(Lifting, "of", staticmethod(watch))

    class Never(torch.nn.Module):
        def forward(self, images):
            return torch.stack([images.flatten(1).mean(1), torch.full((len(images),), 5.0)], 1)

    batch = replace(batch_of(torch.full((1, 3, 32, 32), 0.5), torch.tensor([1])), targets=torch.tensor([0]))
    found = BOBYQA(eps=3 / 255, budget=900).perturb(Never(), batch)
    starts = {
        number: grid for number, (grid, _) in enumerate(seen) if number == 0 or seen[number - 1][0] != grid
    }
    assert starts == {0: 2, 1: 4, 4: 8, 14: 16, 28: 32}
    sizes = [size for _, size in seen]
    assert sizes[0] == 12
    assert sizes[1:4] == [20, 20, 8]
    assert sizes[4:14] == [20] * 9 + [12]
    assert set(sizes[14:]) == {20}
    assert found.iterations.item() == len(seen)


def test_a_full_sub_problem_costs_at_most_28_queries(batch_of):
    """26 evaluations of the solver (15 for 12 variables) and two checks."""

    class Never(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.randn(3072, generator=torch.Generator().manual_seed(0))

        def forward(self, images):
            return torch.stack([images.flatten(1) @ self.weight / 50, torch.full((len(images),), 9.0)], 1)

    batch = replace(batch_of(torch.full((1, 3, 32, 32), 0.5), torch.tensor([1])), targets=torch.tensor([0]))
    attack = BOBYQA(eps=3 / 255, budget=45, starts=(0, 1), grids=(2, 32))
    found = attack.perturb(Never(), batch)
    assert 13 + 2 + 21 + 2 <= found.queries.item() <= 17 + 28
    assert found.iterations.item() == 2


def test_x0_reproduces_the_clean_image_away_from_the_box(images):
    clean = 0.2 + 0.6 * images[0]
    for grid in (2, 8, 32):
        blocks = torch.stack([torch.randperm(3 * grid * grid)[:12] for _ in range(2)])
        lifting = Lifting.of(clean, clean, 9 / 255, blocks, grid)
        torch.testing.assert_close(lifting.still, torch.zeros_like(lifting.still), atol=1e-12, rtol=0)
        lifted = lifting.lift(lifting.still[:, None], torch.arange(2))[:, 0]
        torch.testing.assert_close(lifted, clean, atol=1e-15, rtol=0)


def test_x0_reproduces_the_current_image_where_blocks_are_pixels(images):
    clean, current = images
    blocks = torch.stack([torch.randperm(3072)[:20] for _ in range(2)])
    lifting = Lifting.of(current, clean, 9 / 255, blocks, 32)
    lifted = lifting.lift(lifting.still[:, None], torch.arange(2))[:, 0]
    torch.testing.assert_close(lifted, current, atol=1e-15, rtol=0)


def test_x0_leaves_the_widest_pixel_of_each_block_where_it_is(images):
    """In larger blocks pixels near black or white share a coefficient with wider ones and may move."""
    clean, current = images
    blocks = torch.arange(12).expand(2, -1)
    lifting = Lifting.of(current, clean, 9 / 255, blocks, 2)
    lifted = lifting.lift(lifting.still[:, None], torch.arange(2))[:, 0]
    down, up = room(current, clean, 9 / 255)
    for image in range(2):
        for channel in range(3):
            for rows in (slice(0, 16), slice(16, 32)):
                place = (image, channel, rows, slice(0, 16))
                widest = (up - down)[place].flatten().argmax()
                assert abs((lifted - current)[place].flatten()[widest]) < 1e-12


def test_coefficients_of_one_reach_the_bounds_and_others_stay(images):
    """c = +-1 moves every pixel of a block to the end of its room; pixels of other blocks do not move."""
    clean, current = images
    blocks = torch.tensor([[0, 5], [7, 11]])
    lifting = Lifting.of(current, clean, 9 / 255, blocks, 2)
    points = torch.tensor([[[1.0, 1.0], [-1.0, -1.0]]] * 2, dtype=torch.float64)
    lifted = lifting.lift(points, torch.arange(2))
    down, up = room(current, clean, 9 / 255)
    block = block_of_pixels(2, (3, 32, 32), torch.device("cpu")).view(3, 32, 32)
    for image in range(2):
        moved = torch.isin(block, blocks[image])
        change = lifted[image] - current[image]
        torch.testing.assert_close(change[0][moved], up[image][moved])
        torch.testing.assert_close(change[1][moved], down[image][moved])
        assert (change[:, ~moved] == 0).all()
    within = (lifted - clean[:, None]).abs() <= 9 / 255 + 1e-12
    assert (within & (lifted >= 0) & (lifted <= 1)).all()


def test_rounding_moves_every_pixel_to_the_nearer_bound():
    clean = torch.tensor([0.5, 0.5, 0.5, 0.01, 0.98]).view(1, 1, 1, 5)
    current = clean.clone()
    lifting = Lifting.of(current, clean, 0.1, torch.tensor([[0]]), 1)
    moved = clean + torch.tensor([0.0, 0.02, -0.07, 0.0, 0.0])
    rounded = lifting.rounded(moved, torch.tensor([0]))
    torch.testing.assert_close(rounded.flatten(), torch.tensor([0.5, 0.6, 0.4, 0.0, 1.0]))


def test_contrast_is_the_deviation_of_the_neighbors():
    """Hand-computed on a 3 x 3 grid: the corner has three neighbors, the middle eight."""
    values = torch.tensor([[0.1, 0.4, 0.2], [0.3, 0.9, 0.5], [0.6, 0.8, 0.7]], dtype=torch.float64)
    contrast = block_contrast(values.view(1, 1, 3, 3), 3)[0, 0]
    assert contrast[0, 0].item() == pytest.approx(np.std([0.4, 0.3, 0.9]))
    assert contrast[1, 1].item() == pytest.approx(np.std([0.1, 0.4, 0.2, 0.3, 0.5, 0.6, 0.8, 0.7]))
    assert contrast[2, 1].item() == pytest.approx(np.std([0.3, 0.9, 0.5, 0.6, 0.7]))
    step = torch.zeros(1, 1, 8, 8)
    step[..., 7] = 1
    contrast = block_contrast(step, 8)[0, 0]
    assert (contrast[:, :6] == contrast[contrast > contrast.min()].min() / 100).all()
    assert (block_contrast(torch.full((1, 1, 8, 8), 0.3), 4) == 1).all()


def test_blocks_are_drawn_without_replacement_by_contrast():
    """First draws follow the weights: chi-squared over 4,000 images of one picture."""
    picture = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(0)).expand(4000, -1, -1, -1)
    rows = torch.arange(4000)
    streams = PerImageRng(torch.Generator().manual_seed(0), rows)
    order = draw_order(picture, 4, rows, streams, 0, "aligned")
    assert (order.sort(1).values == torch.arange(16)).all()
    weights = block_contrast(picture[:1], 4).flatten()
    expected = 4000 * weights / weights.sum()
    observed = order[:, 0].bincount(minlength=16)
    assert ((observed - expected) ** 2 / expected).sum() < 15 + 4 * 30**0.5


def test_the_published_index_order_gives_weights_to_other_blocks():
    """With contrast in channel 0 only, the aligned order starts there, the other one spreads over channels."""
    picture = torch.full((200, 3, 8, 8), 0.5)
    picture[:, 0] = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
    rows = torch.arange(200)
    streams = PerImageRng(torch.Generator().manual_seed(0), rows)
    aligned = draw_order(picture, 8, rows, streams, 0, "aligned")[:, :20] // 64
    spread = draw_order(picture, 8, rows, streams, 0, "channels_last")[:, :20] // 64
    assert (aligned == 0).double().mean() > 0.95
    assert (spread == 0).double().mean() == pytest.approx(1 / 3, abs=0.05)


def test_the_solver_asks_for_the_predicted_first_points():
    """Otherwise queries would be sent that the solver never asks for; bounds and near-bounds included."""
    import pybobyqa

    start = np.random.default_rng(0).uniform(-1, 1, 20)
    start[:4] = [1.0, -1.0, 0.999, 0.5]
    asked = []

    def objective(point):
        asked.append(point.copy())
        return float((point * np.arange(20)).sum())

    options = {"init.random_initial_directions": False, "init.random_directions_make_orthogonal": False}
    bounds = (-np.ones(20), np.ones(20))
    pybobyqa.solve(
        objective, start, bounds=bounds, npt=21, rhobeg=2 / 3, rhoend=1 / 3, maxfun=26, user_params=options,
        do_logging=False,
    )  # fmt: skip
    assert np.array_equal(np.stack(asked[:21]), first_points(start, 2 / 3))


def test_one_system_chooses_the_point_that_the_library_chooses(monkeypatch):
    """By the library's Lagrange polynomials no other point has more weight; equal weights may tie otherwise."""
    from pybobyqa.controller import Controller

    driver = linear_driver()
    ours = driver.Controller.choose_point_to_replace
    agree = []

    def weight(control, d, k):
        constant, gradient, _ = control.model.lagrange_polynomial(k)
        distance = ((control.model.xpt(k) - control.model.xopt()) ** 2).sum()
        return max(1.0, (distance / control.delta**2) ** 2) * abs(constant + gradient @ d)

    def compare(control, d, skip_kopt=True):
        for skip_best in (True, False):
            chosen, error = ours(control, d, skip_best)
            expected, _ = Controller.choose_point_to_replace(control, d, skip_best)
            assert error is None
            assert weight(control, d, chosen) == pytest.approx(weight(control, d, expected), rel=1e-9)
            agree.append(chosen == expected)
        return Controller.choose_point_to_replace(control, d, skip_kopt)

    monkeypatch.setattr(driver.Controller, "choose_point_to_replace", compare)
    generator = np.random.default_rng(0)
    options = {"init.random_initial_directions": False, "init.random_directions_make_orthogonal": False}
    for slopes in generator.normal(size=(40, 12)):
        driver.solve(
            lambda x, slopes=slopes: float(slopes @ x + np.sin(3 * x).sum() + x[0] * x[1]),
            generator.uniform(-1, 1, 12), bounds=(-np.ones(12), np.ones(12)), npt=13, rhobeg=2 / 3,
            rhoend=1 / 3, maxfun=20, user_params=options, do_logging=False,
        )  # fmt: skip
    assert len(agree) > 200 and np.mean(agree) > 0.9


def test_solvers_side_by_side_give_what_they_give_alone():
    import pybobyqa

    generator = np.random.default_rng(1)
    slopes = generator.normal(size=(5, 8))
    starts = generator.uniform(-0.5, 0.5, (5, 8))
    options = {"init.random_initial_directions": False, "init.random_directions_make_orthogonal": False}

    def value(place, point):
        return float(slopes[place] @ point + 0.3 * (point**2).sum())

    with ThreadPoolExecutor(5) as executor:
        solvers = []
        for place in range(5):
            points = first_points(starts[place], 2 / 3)
            solver = Solver(points, np.array([value(place, point) for point in points]), (2 / 3, 1 / 3), 14)
            solver.start(executor)
            solvers.append(solver)
        found = {}
        while len(found) < 5:
            for place, solver in enumerate(solvers):
                if place not in found:
                    reply = solver.wait()
                    if isinstance(reply, tuple):
                        found[place] = reply
                    else:
                        solver.answer(value(place, reply))
    for place, (point, lowest) in found.items():
        alone = pybobyqa.solve(
            lambda x, place=place: value(place, x), starts[place], bounds=(-np.ones(8), np.ones(8)), npt=9,
            rhobeg=2 / 3, rhoend=1 / 3, maxfun=14, user_params=options, do_logging=False,
        )  # fmt: skip
        assert np.array_equal(point, alone.x)
        assert lowest == alone.f


def test_an_error_inside_a_solver_reaches_the_attack():
    with ThreadPoolExecutor(1) as executor:
        solver = Solver(first_points(np.zeros(3), 2 / 3), np.array([0.0, 1.0, 2.0, 3.0]), (1 / 3, 2 / 3), 6)
        solver.start(executor)
        with pytest.raises(RuntimeError, match="rhobeg"):
            solver.wait()


def test_reaches_the_target_of_an_affine_model(affine_problem):
    """The other class of the affine problem lies within 0.02; its objective is monotone in every coefficient."""
    batch = replace(affine_problem.batch, targets=1 - affine_problem.batch.labels)
    attack = BOBYQA(eps=0.04, budget=1500, grids=(2, 4), starts=(0, 1))
    outcome = attack.run(affine_problem.model, batch)
    assert outcome.columns["success_in_budget"].all()
    assert (outcome.columns["prediction"] == batch.targets).all()
    assert (outcome.columns["queries_to_success"] <= outcome.columns["queries"]).all()


def test_a_success_is_counted_up_to_its_place_in_the_solvers_order(batch_of):
    """Pixel 2 alone decides: of the first points (start, step along 0, along 1, ...) the fourth succeeds."""

    class ThirdPixel(torch.nn.Module):
        def forward(self, images):
            third = images.flatten(1)[:, 2]
            return torch.stack([third, torch.full_like(third, 0.51)], 1)

    model = ThirdPixel()
    batch = replace(batch_of(torch.full((1, 1, 2, 2), 0.5), torch.tensor([1])), targets=torch.tensor([0]))
    found = BOBYQA(eps=0.1, budget=100, grids=(2,), starts=(0,)).perturb(model, batch)
    rows = torch.tensor([0])
    order = draw_order(
        batch.images, 2, rows, PerImageRng(torch.Generator().manual_seed(0), rows), 0, "aligned"
    )
    place = order[0].tolist().index(2)
    assert found.columns["queries_to_success"].item() == place + 2
    assert found.queries.item() == 5
    changed = (found.images - batch.images).flatten().nonzero().flatten()
    assert changed.tolist() == [2]


def test_noisy_queries_differ_and_noise_off_is_exact(affine_problem, counted):
    """With noise every query is one draw from the smoothed classifier, whose logits scatter."""
    model, batch = affine_problem.model, affine_problem.batch
    seen = []

    class Watch(torch.nn.Module):
        def forward(self, images):
            seen.append(images)
            return model(images)

    BOBYQA(eps=1e-3, budget=60, grids=(4,), starts=(0,), noise=0.25).perturb(Watch(), batch)
    noise = torch.cat(seen[1:]) - batch.images[0]
    assert noise.std().item() == pytest.approx(0.25, rel=0.1)


def test_confirmations_ask_the_smoothed_classifier_about_the_final_image(batch_of):
    """The middle of the range is a class of its own, too narrow for noise: one draw in 13 falls inside."""

    class Narrow(torch.nn.Module):
        def forward(self, images):
            inside = (images.flatten(1)[:, 0] - 0.5).abs() < 0.01
            return torch.stack([inside.float(), (~inside).float()], 1)

    images = torch.tensor([0.5, 0.9]).view(2, 1, 1, 1).expand(-1, 1, 2, 2)
    batch = replace(batch_of(images, torch.tensor([1, 1])), targets=torch.tensor([0, 0]))
    attack = BOBYQA(eps=0.05, budget=8, grids=(1,), starts=(0,), noise=0.1, confirmations=40)
    found = attack.perturb(Narrow(), batch)
    # The first image is the target's without noise, and so is not attacked; the second stays out of reach.
    assert found.columns["success_in_budget"][0]
    assert found.columns["smoothed_prediction"].tolist() == [1, 1]
    assert found.columns["uncharged_queries"].tolist() == [41, 41]
    assert (found.queries <= 8).all()
    without = replace(attack, confirmations=0).perturb(Narrow(), batch)
    assert "smoothed_prediction" not in without.columns


def test_a_schedule_that_does_not_fit_is_refused():
    for settings in ({"starts": (0, 1)}, {"starts": (1, 2, 4, 14, 28, 56)}, {"starts": (0, 1, 4, 4, 28, 56)}):
        with pytest.raises(ConfigurationError, match="schedule"):
            BOBYQA(eps=0.1, **settings)
