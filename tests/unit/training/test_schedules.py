"""Schedules against values worked out by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from pydantic import TypeAdapter, ValidationError

from gauntlet.contracts import Progress
from gauntlet.training.schedules import Schedule


def factors(epochs, steps_per_epoch=1, **schedule):
    parsed = TypeAdapter(Schedule).validate_python(schedule)
    steps = epochs * steps_per_epoch
    return [parsed.factor(Progress(step // steps_per_epoch, epochs, step, steps)) for step in range(steps)]


def test_constant():
    assert factors(3, name="constant") == [1, 1, 1]


def test_step_divides_by_ten_after_each_third_of_training():
    """The published schedule drops after epochs 50 and 100 of 150."""
    found = factors(150, name="step", milestones=["50/150", "100/150"])
    assert found == pytest.approx([1] * 50 + [0.1] * 50 + [0.01] * 50)


def test_step_milestones_scale_with_the_number_of_epochs():
    assert factors(4, name="step", milestones=[0.5, 0.75], by=0.2) == pytest.approx([1, 1, 0.2, 0.04])


def test_step_takes_effect_between_epochs_only():
    assert factors(3, 2, name="step", milestones=[0.5]) == pytest.approx([1, 1, 1, 1, 0.1, 0.1])


def test_exponential_halves_every_epoch_after_the_73rd_of_100():
    """So epoch 75 is the second one with a smaller learning rate, 1/4 of the first."""
    found = factors(100, name="exponential", by=0.5, after=0.73)
    assert found[:74] == [1] * 74
    assert found[74:77] == [0.5, 0.25, 0.125]


def test_cyclic_is_a_triangle_over_all_updates():
    assert factors(2, 4, name="cyclic") == pytest.approx([0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25])


def test_cyclic_peak_can_come_early():
    assert factors(1, 5, name="cyclic", peak=0.2) == pytest.approx([0, 1, 0.75, 0.5, 0.25])


def test_cosine_goes_from_one_towards_zero():
    assert factors(4, name="cosine") == pytest.approx([1, 0.8535534, 0.5, 0.1464466])


def rates(**schedule):
    """The learning rates of epochs 1 to 100 from 0.1, as chen2021 counts them."""
    return [0.1 * factor for factor in factors(100, **schedule)]


def test_the_step_wise_schedule_of_chen2021_drops_first_in_epoch_75():
    """S1: 0.1 below epoch 75, a tenth from there on, a hundredth from epoch 90."""
    found = rates(name="step", milestones=["74/100", "89/100"])
    assert found == pytest.approx([0.1] * 74 + [0.01] * 15 + [0.001] * 11)


def test_the_cosine_schedule_of_chen2021_starts_at_the_full_rate():
    """S2: 0.1 (1 + cos(pi (e - 1) / 100)) / 2."""
    expected = [0.05 * (1 + math.cos(math.pi * (epoch - 1) / 100)) for epoch in range(1, 101)]
    assert rates(name="cosine") == pytest.approx(expected)


def test_the_exponential_schedule_of_chen2021_halves_from_epoch_75_on():
    """S3: 0.1 * 0.5^(e - 74) from epoch 75, about 1.5e-9 in the last."""
    found = rates(name="exponential", by=0.5, after=0.73)
    expected = [0.1 if epoch < 75 else 0.1 * 0.5 ** (epoch - 74) for epoch in range(1, 101)]
    assert found == pytest.approx(expected)
    assert found[-1] == pytest.approx(1.5e-9, rel=0.02)


def test_the_piecewise_schedule_of_chen2021_drops_after_epochs_50_and_75():
    """S4."""
    found = rates(name="step", milestones=[0.5, 0.75])
    assert found == pytest.approx([0.1] * 50 + [0.01] * 25 + [0.001] * 25)


def test_the_cyclic_schedule_of_chen2021_peaks_in_the_middle_or_for_trades_at_the_first_updates():
    """S5: 30 epochs of 391 updates up to 0.2 and down again."""
    found = [0.2 * factor for factor in factors(30, 391, name="cyclic")]
    assert max(found) == pytest.approx(0.2) and found.index(max(found)) == 15 * 391
    early = [0.2 * factor for factor in factors(30, 391, name="cyclic", peak=1 / (30 * 391))]
    assert early[1] == pytest.approx(0.2) and early[0] == 0
    assert all(before > after for before, after in pairwise(early[1:]))


@pytest.mark.parametrize(
    "schedule",
    [
        {"name": "linear"},
        {"name": "step"},
        {"name": "step", "milestones": [50]},
        {"name": "cyclic", "peak": 0},
    ],
)
def test_unusable_schedules_are_refused(schedule):
    with pytest.raises(ValidationError):
        factors(1, **schedule)
