"""Schedules against values worked out by hand."""

from __future__ import annotations

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
