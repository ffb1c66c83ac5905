from __future__ import annotations

import pytest
import torch
from torch import nn

from gauntlet.attacks.fixed_budget.pgd_with_restarts import PgdWithRestarts
from gauntlet.attacks.linear_regions.linear_region import LinearRegion
from gauntlet.attacks.linear_regions.linear_region_path import LinearRegionPath, evenly_spaced
from gauntlet.contracts import PROCEDURES, Batch, LabelledImages
from gauntlet.errors import ConfigurationError

STAGES = 3


@pytest.fixture(scope="module")
def path():
    """The path of an attack on a network of few units, its images, and the network."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 3)).eval()
    generator = torch.Generator().manual_seed(0)
    references = torch.rand(200, 1, 4, 4, generator=generator)
    with torch.no_grad():
        model[3].bias -= model(references).mean(0)
        labels = model(references).argmax(1)
    known = labels[:8].clone()
    known[0] = (known[0] + 1) % 3
    batch = Batch(
        references[:8], known, torch.arange(8), generator, references=LabelledImages(references, labels)
    )
    attack = LinearRegion(starts=2, regions=20, locality=2.0, solver_steps=200)
    return model, batch, LinearRegionPath(attack=attack, stages=STAGES).run(model, batch)


def tile(outcome, number):
    return outcome.images[..., 4 * number : 4 * number + 4]


def test_distances_fall_from_the_training_image_to_the_final_point(path):
    _, batch, outcome = path
    distances = torch.stack([outcome.columns[f"distance_{number}"] for number in range(STAGES + 3)])[:, 1:]
    assert (distances[1:] <= distances[:-1] + 1e-6).all()
    assert (distances[1] - distances[-1] > 1e-3).any()
    for number in range(STAGES + 4):
        shown = (tile(outcome, number) - batch.images).flatten(1).norm(dim=1)
        torch.testing.assert_close(shown[1:], outcome.columns[f"distance_{number}"][1:])


def test_every_tile_but_the_solution_is_adversarial(path):
    model, batch, outcome = path
    for number in range(STAGES + 3):
        seen = model(tile(outcome, number)).argmax(1)
        assert (seen != batch.labels)[1:].all()
        assert torch.equal(seen[1:], outcome.columns[f"first_{number}"][1:])


def test_the_first_tile_is_a_training_image(path):
    _, batch, outcome = path
    gaps = torch.cdist(tile(outcome, 0).flatten(1), batch.references.images.flatten(1))
    assert gaps.min(1).values[1:].max() < 1e-4


def test_the_solution_lies_in_the_region_of_the_start_on_the_decision_boundary(path):
    """Inside one region the network is affine, so that the boundary point has a margin of zero."""
    model, _, outcome = path
    assert (outcome.columns["violation"][1:] < 1e-3).all()
    assert outcome.columns["start_margin"][1:].abs().max() < 1e-4
    assert outcome.columns["solution_margin"][1:].max() < 1e-3
    start, solution = tile(outcome, 1)[1:], tile(outcome, STAGES + 3)[1:]
    hidden_start, hidden = (model[1](points.flatten(1)) for points in (start, solution))
    assert (hidden_start.sign() * hidden > -1e-3).all()


def test_a_misclassified_image_has_no_path(path):
    _, _, outcome = path
    assert outcome.columns["distance_0"][0].isnan()
    assert outcome.columns["first_1"][0] == -1
    assert outcome.columns["violation"][0].isnan()


def test_stages_are_evenly_spaced_in_the_logarithm():
    sizes = torch.tensor([16.0, 16.0, 9.0, 8.0, 4.1, 2.0, 1.0])[:, None].repeat(1, 2)
    sizes[:, 1] = 5
    chosen = evenly_spaced(sizes, 3)
    assert sizes[chosen[:, 0], 0].tolist() == pytest.approx([16.0, 8.0, 4.1, 2.0, 1.0])
    assert sizes[chosen[:, 1], 1].tolist() == [5.0] * 5


def test_only_a_linear_region_attack_has_a_path():
    attack = {"name": PgdWithRestarts.name, "norm": "l2", "eps": 1, "step_size": 0.1}
    with pytest.raises(ConfigurationError, match="linear region"):
        PROCEDURES.parse({"name": "linear_region_path", "attack": attack})
