"""What the printed tables cannot show of the checks: ties, few images, accuracies that rise."""

from __future__ import annotations

import pytest

EQUAL = dict.fromkeys(("PGD-1", "PGD-1k", "PGD-10k", "CW-10k", "CW-100k", "DF"), 1.0)
GTS = ("gts-plain", "gts-l2-at", "gts-linf-at")


def test_a_rise_with_the_radius_contradicts(world, inputs_of, verdict_of):
    name = "robust-accuracy-never-rises-with-the-radius"
    inputs = inputs_of(name, world, scale="full")
    assert verdict_of(inputs).decision == "supported"
    inputs = inputs_of(name, world, scale="full")
    frame = inputs.results.tables["mnist-plain"].frame
    frame.loc[frame["procedure"] == "pgd-2.5", "restart"] = -1
    assert verdict_of(inputs).decision == "contradicted"


@pytest.mark.parametrize(
    "name",
    ["linear-regions-are-best-or-tied-on-gts", "linear-regions-have-the-smallest-largest-gap"],
)
def test_attacks_that_leave_the_same_images_decide_nothing(name, world, inputs_of, verdict_of):
    level = world.but(factors=dict.fromkeys((*GTS, "mnist-plain", "mnist-l2-at", "mnist-linf-at"), EQUAL))
    verdict = verdict_of(inputs_of(name, level, scale="full"))
    assert verdict.decision == "inconclusive", verdict.reason


def test_few_images_on_which_attacks_agree_do_not_show_that_they_agree(world, inputs_of, verdict_of):
    name = "more-iterations-give-cw-nothing"
    assert verdict_of(inputs_of(name, world, scale="full")).decision == "supported"
    assert verdict_of(inputs_of(name, world.but(images=12), scale="full")).decision == "inconclusive"
