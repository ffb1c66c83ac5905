"""What every black-box attack keeps to: its budget, its threat model, its independence of other images."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gauntlet.attacks.decision_based.hop_skip_jump import HopSkipJump
from gauntlet.attacks.decision_based.opt import OPT
from gauntlet.attacks.decision_based.rays import RayS
from gauntlet.attacks.decision_based.sign_opt import SignOPT
from gauntlet.attacks.queries.base import QueryAttack
from gauntlet.attacks.queries.oracle import BudgetExceededError, LabelOracle, ScoreOracle
from gauntlet.attacks.score_based.bandits import Bandits
from gauntlet.attacks.score_based.bobyqa import BOBYQA
from gauntlet.attacks.score_based.frank_wolfe_blackbox import FrankWolfeBlackBox
from gauntlet.attacks.score_based.nattack import NAttack
from gauntlet.attacks.score_based.nes import NES
from gauntlet.attacks.score_based.sign_hunter import SignHunter
from gauntlet.attacks.score_based.square import Square
from gauntlet.contracts import PROCEDURES

SCORE_ATTACKS = [
    FrankWolfeBlackBox(eps=0.1, budget=1, pairs=3, step_size=0.2),
    FrankWolfeBlackBox(eps=0.1, budget=1, pairs=3, step_size=0.2, directions="sphere", momentum_start="zero"),
    NES(eps=0.1, budget=1, pairs=3, step_size=0.02, pixel_step=0.01),
    Bandits(eps=0.1, budget=1, tiles=4, step_size=0.02),
    NAttack(eps=0.1, budget=1, population=12, test_every=2, learning_rate=0.1),
    SignHunter(eps=0.1, budget=1),
    Square(eps=0.1, budget=1),
    BOBYQA(eps=0.1, budget=1, grids=(2, 4, 8), starts=(0, 1, 4), subproblem_size=7),
]
LABEL_ATTACKS = [
    RayS(eps=0.02, budget=1),
    OPT(eps=0.02, budget=1, initial_directions=4),
    SignOPT(eps=0.02, budget=1, initial_directions=5, probes=11),
    HopSkipJump(eps=0.02, budget=1, initial_probes=9),
]
ATTACKS = SCORE_ATTACKS + LABEL_ATTACKS
each_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)


@pytest.fixture
def problem(cnn, random_batch):
    """A float64 network and images as it sees them, so that the size of a pass cannot turn a decision."""
    model = cnn.double()
    batch = random_batch(5, margin=0.2)
    images = batch.images.double()
    with torch.no_grad():
        order = model(images).argsort(1, descending=True)
    return model, replace(batch, images=images, labels=order[:, 0], targets=order[:, 1])


def untargeted(batch):
    return replace(batch, targets=None)


def test_every_registered_query_attack_is_covered_here():
    registered = {name for name in PROCEDURES.names() if issubclass(PROCEDURES.get(name), QueryAttack)}
    assert registered == {attack.name for attack in ATTACKS}


@each_attack
@pytest.mark.parametrize("budget", [1, 2, 6, 13, 50, 131])
@pytest.mark.parametrize("charged", [False, True])
def test_never_asks_one_query_more_than_the_budget(attack, budget, charged, problem, counted, rows_of):
    """The passes that the network sees are the charged and the uncharged ones; the charged fit the budget."""
    model, batch = problem
    attack = replace(attack, budget=budget, eps=1e-4, charge_clean_prediction=charged)
    if hasattr(attack, "charge_success_tests"):
        attack = replace(attack, charge_success_tests=charged)
    watched = counted(model)
    found = attack.perturb(watched, rows_of(batch, [2]))
    assert found.queries.item() <= budget
    assert watched.seen == (found.queries + found.columns["uncharged_queries"]).item()
    together = attack.perturb(model, rows_of(batch, [0, 1, 2, 3, 4]))
    assert (together.queries <= budget).all()
    assert together.queries[2] == found.queries[0]


@each_attack
@pytest.mark.parametrize("targeted", [False, True])
def test_an_image_is_attacked_the_same_alone_and_among_others(attack, targeted, problem, rows_of):
    model, batch = problem
    batch = batch if targeted else untargeted(batch)
    attack = replace(attack, budget=250)
    together = attack.perturb(model, rows_of(batch, [0, 1, 2, 3, 4]))
    for row in (0, 3):
        alone = attack.perturb(model, rows_of(batch, [row]))
        assert alone.queries[0] == together.queries[row]
        assert alone.iterations[0] == together.iterations[row]
        torch.testing.assert_close(alone.images[0], together.images[row], rtol=0, atol=1e-9)
        for name, values in together.columns.items():
            torch.testing.assert_close(
                alone.columns[name][0], values[row], rtol=0, atol=1e-9, equal_nan=True, msg=name
            )


@each_attack
def test_columns_agree_with_the_network(attack, problem):
    """A success within the budget is one, lies in the ball and the box, and came before the budget's end."""
    model, batch = problem
    attack = replace(attack, budget=600, eps=0.15)
    outcome = attack.run(model, untargeted(batch))
    columns = outcome.columns
    success = columns["success_in_budget"]
    assert success.any()
    assert columns["success"][success].all()
    assert (columns["linf"][success] <= 0.15 + 1e-12).all()
    assert (columns["queries_to_success"][success] <= 600).all()
    assert columns["queries_to_success"][~success].isnan().all()
    assert ((outcome.images >= 0) & (outcome.images <= 1)).all()
    if attack in [replace(score, budget=600, eps=0.15) for score in SCORE_ATTACKS]:
        assert (columns["linf"] <= 0.15 + 1e-12).all()


class LabelOnly(nn.Module):
    """Shows 1 for the predicted class and 0 for the others."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        logits = self.model(images)
        return F.one_hot(logits.argmax(1), logits.shape[1]).to(logits.dtype)


@pytest.mark.parametrize("attack", LABEL_ATTACKS, ids=lambda attack: attack.name)
def test_a_hard_label_attack_does_not_use_scores(attack, problem, rows_of):
    model, batch = problem
    batch = untargeted(batch)
    attack = replace(attack, budget=300)
    full = attack.perturb(model, rows_of(batch, [0, 1, 2, 3, 4]))
    blind = attack.perturb(LabelOnly(model), rows_of(batch, [0, 1, 2, 3, 4]))
    assert torch.equal(full.images, blind.images)
    assert torch.equal(full.queries, blind.queries)


@each_attack
def test_a_batch_of_no_images_is_no_trouble(attack, problem, rows_of):
    model, batch = problem
    found = attack.perturb(model, rows_of(batch, []))
    assert len(found.images) == 0


@each_attack
def test_survives_the_way_through_a_specification(attack):
    assert PROCEDURES.parse(PROCEDURES.dump(attack)) == attack


@pytest.mark.parametrize("oracle_type", [ScoreOracle, LabelOracle])
def test_the_oracle_refuses_what_the_budget_does_not_cover(oracle_type, problem, counted):
    model, batch = problem
    watched = counted(model)
    oracle = oracle_type(watched, batch.images, 3)
    ask = oracle.scores if oracle_type is ScoreOracle else oracle.labels
    rows = torch.tensor([0, 0, 1])
    ask(batch.images[rows], rows)
    assert oracle.queries.tolist() == [2, 1, 0, 0, 0]
    with pytest.raises(BudgetExceededError):
        ask(batch.images[rows], rows)
    assert oracle.queries.tolist() == [2, 1, 0, 0, 0]
    assert watched.seen == 3
    assert oracle.granted(torch.tensor([0, 0, 1, 1, 1, 2])).tolist() == [True, False, True, True, False, True]
    ask(batch.images[rows], rows, charged=False)
    assert oracle.uncharged.tolist() == [2, 1, 0, 0, 0]
