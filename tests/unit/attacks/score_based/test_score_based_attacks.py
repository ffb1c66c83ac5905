from dataclasses import replace

import pytest
import torch
from torch import nn

from gauntlet.attacks.fixed_budget.frank_wolfe import FrankWolfe
from gauntlet.attacks.score_based.bandits import Bandits
from gauntlet.attacks.score_based.frank_wolfe_blackbox import FrankWolfeBlackBox
from gauntlet.attacks.score_based.nattack import NAttack
from gauntlet.attacks.score_based.nes import NES
from gauntlet.attacks.score_based.sign_hunter import SignHunter
from gauntlet.attacks.score_based.square import Square, square_side
from gauntlet.contracts import Criterion


@pytest.mark.parametrize(
    "attack",
    [
        FrankWolfeBlackBox(eps=0.05, budget=4000, step_size=0.3, momentum=0.5),
        FrankWolfeBlackBox(eps=0.05, budget=4000, step_size=0.3, momentum=0.5, directions="sphere"),
        NES(eps=0.05, budget=4000, step_size=0.005),
        Bandits(eps=0.05, budget=4000, step_size=0.005, tiles=4),
        NAttack(eps=0.05, budget=9000, learning_rate=0.1),
        SignHunter(eps=0.05, budget=200),
        Square(eps=0.05, budget=2000, initial_share=0.2),
    ],
    ids=lambda attack: attack.name,
)
def test_crosses_the_boundary_of_an_affine_classifier_that_lies_within_eps(attack, affine_problem):
    """All images are at most 0.02 from the boundary; whoever follows the gradient's sign gets there."""
    assert affine_problem.distances.max() < 0.02
    outcome = attack.run(affine_problem.model, affine_problem.batch)
    assert outcome.columns["success"].all()
    assert outcome.columns["success_in_budget"].all()
    assert (outcome.columns["linf"] <= 0.05 + 1e-12).all()


@pytest.fixture
def out_of_reach(affine_problem):
    """The images of the affine problem, a model whose boundary is far away, and its signs of the gradient."""
    signs = torch.where(torch.randn(48, generator=torch.Generator().manual_seed(4)) > 0, 1.0, -1.0)
    model = type(affine_problem.model)(torch.stack([signs, -signs]), torch.tensor([50.0, -50.0])).double()
    batch = replace(affine_problem.batch, labels=torch.zeros_like(affine_problem.batch.labels))
    return model, batch, signs.view(3, 4, 4)


@pytest.mark.parametrize(
    "attack",
    [
        NES(eps=0.05, budget=5000),
        Bandits(eps=0.05, budget=3000, tiles=4),
        FrankWolfeBlackBox(eps=0.05, budget=5000, step_size=0.5, momentum=0.9),
        FrankWolfeBlackBox(eps=0.05, budget=5000, step_size=0.5, momentum=0.9, directions="sphere"),
    ],
)
def test_the_iterate_ends_at_the_vertex_that_fgsm_finds(attack, out_of_reach):
    """With the boundary out of reach the iterate of an affine model goes to x - eps sign(gradient)."""
    model, batch, signs = out_of_reach
    found = attack.perturb(model, batch)
    assert not found.columns["success_in_budget"].any()
    agreement = (found.images - batch.images).sign() == -signs
    assert agreement.double().mean() > 0.98


def test_sign_hunter_recovers_all_signs_of_an_affine_model(out_of_reach):
    """1 + 1 + 2 + 4 + ... + 48 queries: after the last level the perturbation is -eps sign(w) exactly."""
    model, batch, signs = out_of_reach
    lengths = [-(-48 // 2**level) for level in range(7)]
    queries = 1 + sum(-(-48 // length) for length in lengths)
    found = SignHunter(eps=0.05, budget=queries).perturb(model, batch)
    torch.testing.assert_close(found.images, batch.images - 0.05 * signs)


def test_sign_hunter_begins_anew_around_its_image(out_of_reach):
    """A second sweep around the vertex ends there again: its points are projected back onto the ball."""
    model, batch, signs = out_of_reach
    sweep = 1 + sum(-(-48 // -(-48 // 2**level)) for level in range(7))
    found = SignHunter(eps=0.05, budget=2 * sweep).perturb(model, batch)
    assert (found.queries == 2 * sweep).all()
    torch.testing.assert_close(found.images, batch.images - 0.05 * signs)


def test_square_sides_follow_the_published_schedule():
    """p = 0.3 covers 17 x 17 of 32 x 32 pixels at first and one pixel after the eighth halving."""
    sides = [
        square_side(iteration, 10_000, 0.3, 32, 32) for iteration in (0, 10, 11, 51, 201, 501, 1001, 9999)
    ]
    assert sides == [18, 18, 12, 9, 6, 4, 3, 1]
    assert square_side(22, 20_000, 0.3, 32, 32) == square_side(11, 10_000, 0.3, 32, 32)


def test_square_changes_one_square_per_channel_at_a_time(batch_of):
    """Candidates are at +-eps in every pixel and differ from the kept image inside one square only."""

    class Watch(nn.Module):
        def __init__(self):
            super().__init__()
            self.passes = []

        def forward(self, images):
            self.passes.append(images)
            return torch.tensor([1.0, 0.0]).expand(len(images), 2)

    watch = Watch()
    batch = batch_of(torch.full((3, 2, 8, 8), 0.5), torch.zeros(3, dtype=torch.int64))
    Square(eps=0.1, budget=40, initial_share=0.1).perturb(watch, batch)
    first, *others = watch.passes[1:]
    assert (first == first[:, :, :1]).all()
    for images in others:
        torch.testing.assert_close((images - 0.5).abs(), torch.full_like(images, 0.1))
        changed = (images != first).flatten(0, 1)
        side = changed.any(2).sum(1).amax()
        assert side <= round((0.1 * 64) ** 0.5)
    places = {
        tuple((images != first)[0].any(0).nonzero()[0].tolist())
        for images in others
        if (images != first)[0].any()
    }
    assert len(places) > 3


def test_nes_halves_its_step_on_a_plateau_and_not_below_the_floor():
    """Losses 1, 2, 3, 4, 5 fill the window and rise: one halving per five losses."""
    attack = NES(eps=0.1, budget=100, step_size=0.04, smallest_step=0.015)
    memory = {"losses": torch.full((1, 5), torch.inf), "step_size": torch.tensor([0.04])}
    row = torch.tensor([0])
    sizes = [attack._adapted(memory, row, torch.tensor([float(loss)])).item() for loss in range(1, 16)]
    assert sizes == pytest.approx([0.04] * 4 + [0.02] * 5 + [0.015] * 6)
    falling = {"losses": torch.full((1, 5), torch.inf), "step_size": torch.tensor([0.04])}
    for loss in range(20, 0, -1):
        attack._adapted(falling, row, torch.tensor([float(loss)]))
    assert falling["step_size"].item() == pytest.approx(0.04)


def test_frank_wolfe_decays_its_step_once_the_loss_is_flat(affine_problem):
    """The count of steps since the plateau grows for the flat loss only."""
    attack = FrankWolfeBlackBox(eps=0.05, budget=10, plateau_decay=True)
    memory = {"losses": torch.full((2, 5), torch.inf), "decaying": torch.zeros(2)}
    rows = torch.arange(2)

    class State:
        criterion = Criterion(torch.zeros(2, dtype=torch.int64), targeted=True)

    for step in range(8):
        losses = torch.tensor([1.0, 0.5**step])
        # The cross-entropy of class 0 is softplus(other logit - its own).
        logits = torch.stack([torch.zeros(2), losses.expm1().log()], 1)
        attack.learn(State(), memory, rows, logits)
    assert memory["decaying"].tolist() == [4.0, 0.0]


def test_accounting_of_success_tests_and_of_the_clean_prediction(affine_problem, rows_of):
    """The three rules name what is charged; the passes through the network stay the same."""
    model, batch = affine_problem.model, affine_problem.batch
    attack = NES(eps=0.05, budget=2000, pairs=10)
    free = attack.perturb(model, batch)
    steps = free.iterations
    assert torch.equal(free.queries, 20 * steps)
    assert torch.equal(free.columns["uncharged_queries"], steps + 1)
    attack = replace(attack, charge_success_tests=True, charge_clean_prediction=True)
    charged = attack.perturb(model, rows_of(batch, [0, 1, 2, 3, 4, 5]))
    assert torch.equal(charged.queries, 21 * steps + 1)
    assert (charged.columns["uncharged_queries"] == 0).all()
    assert torch.equal(charged.columns["queries_to_success"], charged.queries.double())


def test_frank_wolfe_pays_for_the_first_average(affine_problem):
    """The printed algorithm spends one estimate on the average before the loop."""
    attack = FrankWolfeBlackBox(eps=0.05, budget=2000, pairs=5, step_size=0.5)
    found = attack.perturb(affine_problem.model, affine_problem.batch)
    assert torch.equal(found.queries, 10 * (found.iterations + 1))
    zero = replace(attack, momentum_start="zero").perturb(affine_problem.model, affine_problem.batch)
    assert torch.equal(zero.queries, 10 * zero.iterations)


def test_an_image_that_is_wrong_already_costs_nothing(affine_problem):
    batch = replace(affine_problem.batch, labels=1 - affine_problem.batch.labels)
    found = Square(eps=0.05, budget=100).perturb(affine_problem.model, batch)
    assert (found.queries == 0).all()
    assert (found.columns["queries_to_success"] == 0).all()
    assert torch.equal(found.images, batch.images)


class Peak(nn.Module):
    """Logits of images of one pixel; class 0 leads everywhere, least at 0.53, so that the slope turns."""

    def forward(self, images):
        lead = 3 + 40 * (images.flatten(1)[:, 0] - 0.53).square()
        return torch.stack([lead, torch.zeros_like(lead)], 1)


@pytest.mark.parametrize("start", ["gradient", "zero"])
def test_black_box_frank_wolfe_goes_where_the_white_box_attack_goes_from_either_momentum_start(
    start, batch_of
):
    """A pixel has one direction, so that the estimate of the slope is exact but for its curvature."""
    batch = batch_of(torch.full((1, 1, 1, 1), 0.5, dtype=torch.float64), torch.zeros(1, dtype=torch.int64))
    settings = {"eps": 0.1, "step_size": 0.5, "momentum": 0.9, "momentum_start": start}
    seen = FrankWolfe(steps=6, **settings).perturb(Peak(), batch)
    queries = 2 * 6 + 2 * (start == "gradient")
    blind = FrankWolfeBlackBox(
        budget=queries, pairs=1, pixel_step=1e-4, directions="sphere", **settings
    ).perturb(Peak(), batch)
    assert blind.iterations.tolist() == [6]
    assert blind.queries.tolist() == [queries]
    torch.testing.assert_close(blind.images, seen.images)
