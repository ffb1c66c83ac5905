import pytest
import torch

from gauntlet.attacks.decision_based.base import DecisionBasedState
from gauntlet.attacks.decision_based.boundary_radius import BoundaryRadius, unit
from gauntlet.attacks.decision_based.hop_skip_jump import HopSkipJump
from gauntlet.attacks.decision_based.opt import OPT
from gauntlet.attacks.decision_based.rays import RayS
from gauntlet.attacks.decision_based.sign_opt import SignOPT
from gauntlet.attacks.decision_based.trace import Trace, trace_marks
from gauntlet.attacks.queries.oracle import LabelOracle


@pytest.fixture
def search_of():
    """Open a search on a problem, with its boundary measurements."""

    def build(problem, budget=10_000):
        search = DecisionBasedState(
            LabelOracle(problem.model, problem.batch.images, budget), problem.batch, 0.01
        )
        return search, BoundaryRadius(search)

    return build


def exact_radius(problem, directions, rows):
    """On an affine model g(theta) = -f(x) / (w theta) for directions that descend f."""
    weight = (problem.model.weight[0] - problem.model.weight[1]).detach()
    with torch.no_grad():
        logits = problem.model(problem.batch.images[rows])
    value = logits[:, 0] - logits[:, 1]
    return -value / directions.flatten(1).mv(weight)


def descending(problem, count, seed=0):
    """Directions of linf length 1 along which every image meets the boundary, ``count`` per image."""
    rows = torch.arange(len(problem.batch)).repeat_interleave(count)
    generator = torch.Generator().manual_seed(seed)
    directions = unit(torch.randn(len(rows), 3, 4, 4, generator=generator, dtype=torch.float64))
    sign = exact_radius(problem, directions, rows).sign()
    return directions * sign[:, None, None, None], rows


@pytest.mark.parametrize("factor", [0.6, 0.995, 1.0, 1.5])
def test_local_search_finds_the_radius_from_either_side(factor, affine_problem, search_of):
    directions, rows = descending(affine_problem, 4)
    exact = exact_radius(affine_problem, directions, rows)
    near = exact < 0.3
    directions, rows, exact = directions[near], rows[near], exact[near]
    _, boundary = search_of(affine_problem, 100_000)
    found = boundary.local(directions, rows, factor * exact, torch.full_like(exact, 1e-7))
    assert (found >= exact * (1 - 1e-9)).all()
    torch.testing.assert_close(found, exact, rtol=0, atol=1.1e-7)


def test_a_direction_without_boundary_has_infinite_radius(affine_problem, search_of):
    directions, rows = descending(affine_problem, 1)
    _, boundary = search_of(affine_problem, 100_000)
    found = boundary.local(
        -directions, rows, torch.full((6,), 0.5, dtype=torch.float64), torch.full((6,), 1e-3)
    )
    assert found.isinf().any()
    with torch.no_grad():
        corners = (affine_problem.batch.images - 20 * directions).clamp(0, 1)
        fooled = affine_problem.model(corners).argmax(1) != affine_problem.batch.labels
    assert torch.equal(found.isfinite(), fooled)


def test_searches_of_one_image_share_its_budget_and_keep_what_is_adversarial(affine_problem, search_of):
    directions, rows = descending(affine_problem, 12)
    search, boundary = search_of(affine_problem, 37)
    exact = exact_radius(affine_problem, directions, rows)
    near = exact < 0.3  # the box does not bind on the way
    directions, rows, exact = directions[near], rows[near], exact[near]
    assert rows.bincount().min() > 3
    found = boundary.local(directions, rows, 1.2 * exact, torch.full_like(exact, 1e-9))
    assert (search.oracle.queries == 37).all()
    assert (found >= exact).all()
    assert (found <= 1.2 * exact).all()


def test_opt_estimates_the_gradient_of_the_radius(affine_problem, search_of):
    """Finite differences over many probes agree with the closed form g(theta) = -f / (w theta) up to scaling.

    Because g is homogeneous only its change across directions counts, so the part along theta is removed.
    """
    problem = affine_problem
    directions, rows = descending(problem, 1)
    attack = OPT(eps=0.01, budget=10_000_000, probes=600, probe_length=1e-3)
    search, boundary = search_of(problem, attack.budget)
    radius = exact_radius(problem, directions, rows)
    near = radius < 0.3
    directions, rows, radius = directions[near], rows[near], radius[near]
    assert len(rows) >= 3
    weight = (problem.model.weight[0] - problem.model.weight[1]).detach()

    class State:
        pass

    state = State()
    state.rows, state.theta, state.radius = rows, directions, radius
    state.probe = torch.full_like(radius, 1e-3)
    gradient, _, lowest = attack.estimate(search, boundary, state, torch.full_like(radius, 1e-9) * radius, 0)
    assert (lowest < radius).all()
    exact = -(radius / directions.flatten(1).mv(weight))[:, None] * weight
    # linf normalization adds a component along the coordinate that holds the largest entry.
    place = directions.flatten(1).abs().argmax(1, keepdim=True)
    gradient, exact = (values.flatten(1).scatter(1, place, 0.0) for values in (gradient, exact))
    assert (torch.cosine_similarity(gradient, exact) > 0.9).all()


@pytest.mark.parametrize(
    ("attack", "factor"),
    [
        (OPT(eps=1e-6, budget=2500), 4.0),
        (SignOPT(eps=1e-6, budget=2500, probes=60, initial_directions=20), 2.5),
        (HopSkipJump(eps=1e-6, budget=4000), 1.15),
        (RayS(eps=1e-6, budget=2000), 1.05),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_distances_approach_the_exact_one_from_above(attack, factor, affine_problem):
    outcome = attack.run(affine_problem.model, affine_problem.batch)
    best, exact = outcome.columns["best_linf"], affine_problem.distances
    clear = exact > 1e-3  # below, tolerances of the searches dominate
    assert clear.sum() >= 5
    assert outcome.columns["success"].all()
    assert (best >= exact - 1e-9).all()
    assert (best[clear] <= factor * exact[clear]).all()
    torch.testing.assert_close(outcome.columns["linf"], best)


def test_opt_can_stop_as_its_published_code_does(affine_problem):
    """A least improvement of 0.005 ends most runs far below the budget; without it the budget is spent."""
    fair = OPT(eps=1e-9, budget=2000).perturb(affine_problem.model, affine_problem.batch)
    stopped = OPT(eps=1e-9, budget=2000, least_improvement=0.005).perturb(
        affine_problem.model, affine_problem.batch
    )
    assert (stopped.queries < 1000).all()
    assert (fair.queries.double().mean() > 2 * stopped.queries.double().mean()).item()


def test_hop_skip_jump_spends_what_its_first_iteration_needs(affine_problem):
    """Start, blend (10 halvings to 1e-3), project, 100 probes, step, project: no more queries than that."""
    attack = HopSkipJump(eps=1e-9, budget=10_000, iterations=1)
    found = attack.perturb(affine_problem.model, affine_problem.batch)
    projection = 14  # ceil(log2(D^2)) + 2 for D = 48 and distances below 1
    assert (found.queries >= 1 + 10 + 100 + 1).all()
    assert (found.queries <= 20 + 10 + 100 + 40 + 2 * projection).all()
    assert (found.iterations == 1).all()


def test_hop_skip_jump_counts_a_success_at_the_end_of_its_first_iteration(affine_problem):
    """The first projection ends within 0.4 already; the 100 probes, the step and a projection count too."""
    assert affine_problem.distances.max() < 0.02
    first_projection = HopSkipJump(eps=0.4, budget=80).run(affine_problem.model, affine_problem.batch).columns
    assert (first_projection["best_linf"] <= 0.4).all()
    assert not first_projection["success_in_budget"].any()
    assert (first_projection["queries"] < 60).all()
    columns = HopSkipJump(eps=0.4, budget=10_000).run(affine_problem.model, affine_problem.batch).columns
    assert columns["success_in_budget"].all()
    assert columns["iterations"].tolist() == [1] * 6
    spent_before = first_projection["queries"]
    assert (columns["queries_to_success"] >= spent_before + 100 + 1 + 10).all()
    assert torch.equal(columns["queries_to_success"], columns["queries"].double())
    assert (columns["best_linf"] <= first_projection["best_linf"]).all()


def test_trace_marks_of_budgets_nest():
    small, large = trace_marks(1000), trace_marks(40_000)
    assert set(small[:-1]) < set(large)
    assert small[0] == 1
    assert small[-1] == 1000
    assert len(large) < 45
    assert large == sorted(set(large))


def test_a_trace_holds_the_smallest_value_reached_by_each_mark():
    trace = Trace([1, 3, 10], torch.zeros(2))
    trace.note(torch.tensor([0]), torch.tensor([2]), torch.tensor([0.5]))
    trace.note(torch.tensor([0, 1]), torch.tensor([4, 10]), torch.tensor([0.2, 0.7]))
    columns = trace.columns("at")
    assert {name: value.tolist() for name, value in columns.items()} == {
        "at_1": [float("inf")] * 2,
        "at_3": [0.5, float("inf")],
        "at_10": [pytest.approx(0.2), pytest.approx(0.7)],
    }
