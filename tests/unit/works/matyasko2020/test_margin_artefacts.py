"""Tables and drawings of chapters 1 to 3 hold what their definition gives by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.works.matyasko2020.introduction import diagrams
from gauntlet.works.matyasko2020.introduction import figures as background
from gauntlet.works.matyasko2020.margin import drawings, tables

NOTHING = ArtefactInputs("matyasko2020", "drawing", "full")


def test_the_worst_hinge_of_a_linear_classifier_meets_the_objective_where_the_hinge_is_active():
    frame = tables.theorem_3_4_1(NOTHING).frame
    active = frame["margin"] <= 1
    np.testing.assert_allclose(frame.loc[active, "worst_hinge"], frame.loc[active, "objective"])
    assert (frame.loc[~active, "excess"] > 0).all()


def test_the_machine_of_figure_3_2_keeps_every_point_outside_its_margin():
    frame = drawings.figure_3_2(NOTHING).frame
    signed = frame["y"] * frame["distance"]
    assert signed.min() > 0
    # Support vectors on both sides lie at 1 / ||w||.
    nearest = signed.groupby(frame["y"]).min()
    assert nearest[1] == pytest.approx(nearest[-1], rel=1e-2)


def test_the_perturbations_of_figure_3_3_reach_the_linearized_boundaries():
    frame = drawings.figure_3_3(NOTHING).frame
    values, slopes = drawings.logits(drawings.POINT[None])[0], drawings.gradients(drawings.POINT)
    assert values.argmax() == 0
    for row in frame.itertuples():
        step, wrong = np.array([row.r1, row.r2]), int(row[1]) - 1
        after = values + slopes @ step
        assert after[0] == pytest.approx(after[wrong])
        assert np.linalg.norm(step) == pytest.approx(row.distance)


def test_the_projection_of_figure_2_6_lands_on_the_hyperplane():
    frame = background.figure_2_6(NOTHING).frame.set_index("panel")
    affine = frame.loc["a"]
    assert (affine["r1"] - 1.1) + 0.6 * (affine["r2"] - 0.5) == pytest.approx(0.2)
    assert affine["distance"] == pytest.approx(abs(-1.1 - 0.3 - 0.2) / np.hypot(1, 0.6))


def test_the_single_step_of_figure_2_5_is_longer_than_the_optimized_one():
    frame = background.figure_2_5(NOTHING).frame.set_index("attack")
    assert frame.loc["optimized", "loss"] == pytest.approx(0.6, abs=0.05)
    assert frame.loc["one step of the sign", "l2"] == pytest.approx(0.9 * np.sqrt(2))
    assert frame.loc["one step of the sign", "loss"] > 0.6
    assert frame.loc["optimized", "l2"] < frame.loc["one step of the sign", "l2"]


@pytest.mark.parametrize("name", ["figure_2_1", "figure_2_2", "figure_2_3", "figure_2_7", "figure_2_8"])
def test_every_diagram_is_drawn_with_its_numbers(name):
    made = getattr(diagrams, name)(NOTHING)
    assert len(made.frame) > 1
    assert made.canvas.axes
