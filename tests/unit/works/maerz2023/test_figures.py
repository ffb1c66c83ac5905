"""Figures are drawn from the numbers that their definitions give by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from gauntlet.reporting.numerals import radius_text
from gauntlet.works.maerz2023.gradient_similarity import figures as gradient_figures
from gauntlet.works.maerz2023.perturbations import diagrams, examples, figures, formulas, surfaces
from gauntlet.works.maerz2023.versions import histogram, radius_heading


@pytest.fixture
def split(tmp_path):
    """A prepared split of 24 color images of 8x8 pixels of three classes."""
    folder = tmp_path / "split"
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (24, 3, 8, 8), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", np.arange(24, dtype=np.int64) % 3)
    manifest = {"shape": list(images.shape), "classes": ["cat", "dog", "fox"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return {"made-up/test": folder}


def test_accuracy_lines_stand_beside_the_released_ones(world, inputs_of):
    figure = figures.figure_4_4(inputs_of("figure-4-4", world))
    rows = figure.frame.set_index(["decay", "randomised", "steps"])
    assert rows.loc[("constant", False, 16), "accuracy"] == pytest.approx(0.4)
    assert rows.loc[("harmonic", True, 16), "accuracy"] == pytest.approx(0.1)
    assert rows.loc[("harmonic", False, 16), "published_top5"] == pytest.approx(0.058)
    assert rows.loc[("constant", True, 16), "published_top5"] == pytest.approx(0.072)
    assert len(rows) == 30


def test_loss_histograms_share_ten_bins_and_sum_to_one(world, inputs_of):
    frame = figures.figure_4_6(inputs_of("figure-4-6", world)).frame
    # The largest loss of all panels is that of 16 steps under the nested l1 radius.
    assert frame["bin_high"].max() == pytest.approx(23 * 1.2 * (0.9 + 0.2 * 0.995))
    np.testing.assert_allclose(frame.groupby(["panel", "perturbation"])["share"].sum(), 1)
    assert frame.groupby(["panel", "perturbation"]).size().eq(10).all()
    first = frame[(frame["panel"] == "b") & (frame["perturbation"] == 16)]
    assert first["share"].iloc[0] == 1, "the same radius for l2 leaves all losses in the first bin"


def test_each_panel_of_the_defended_models_has_its_own_range(world, inputs_of):
    inputs = inputs_of("figure-4-7", world)
    inputs.results.tables["madry-l2-3"].frame["cross_entropy"] *= 5
    top = figures.figure_4_7(inputs).frame.groupby("panel")["bin_high"].max()
    assert top["a"] == pytest.approx(1.3 * 1.099) and top["b"] == pytest.approx(5 * 1.3 * 1.099)


def test_histogram_counts_the_last_edge_and_leaves_nan_out():
    shares = histogram(np.array([0.0, 0.5, 1.0, np.nan]), np.array([0, 0.5, 1]))
    np.testing.assert_allclose(shares, [0.25, 0.5])


def test_heatmaps_hold_medians_beside_the_released_numbers(world, inputs_of):
    frame = gradient_figures.figure_4_10(inputs_of("figure-4-10-first-tensor", world)).frame
    natural = frame[frame["model"] == "maerz-natural"].set_index(["first", "second"])
    assert natural.loc[(1, 16), "median_cosine"] == pytest.approx(0.8 * 0.15, abs=1e-3)
    assert natural.loc[(1, 16), "published_cosine"] == pytest.approx(0.12005479)
    assert natural.loc[(1, 16), "published_angle"] == pytest.approx(83.1, abs=0.05)
    assert natural.loc[("clean", "bound"), "median_angle"] == pytest.approx(
        math.degrees(math.acos(0.8)), abs=0.1
    )
    assert len(natural) == 36
    assert frame.loc[frame["model"] != "maerz-natural", "published_cosine"].isna().all()


def test_an_undefined_cosine_leaves_only_its_pair(world, inputs_of):
    """An image without a gradient at 16 steps still counts for all other pairs."""
    inputs = inputs_of("figure-4-9", world)
    frame = inputs.results.tables["natural"].frame
    frame.loc[frame["index"] == 0, "cosine_all_8_16"] = np.nan
    rows = gradient_figures.figure_4_9(inputs).frame
    images = rows[rows["model"] == "maerz-natural"].set_index(["first", "second"])["images"]
    assert images[8, 16] == world.images - 1
    assert images[4, 16] == world.images


def test_angles_fall_into_bins_of_five_degrees(world, inputs_of):
    changed = world.but(cosine={1: math.cos(math.radians(62.5))}, double=0.0)
    frame = gradient_figures.figure_4_11(inputs_of("figure-4-11", changed)).frame
    natural = frame[(frame["model"] == "maerz-natural") & (frame["scope"] == "all")]
    plain = natural[natural["radius"] == "linf"].set_index("angle_low")["share"]
    assert len(plain) == 36 and plain[60.0] == 1 and plain.sum() == 1
    double = natural[natural["radius"] == "linf-double"]
    assert double["median"].iloc[0] == pytest.approx(90, abs=0.1)


def test_converted_spheres_have_the_radii_of_the_plane(world, inputs_of):
    rows = formulas.figure_4_3(inputs_of("figure-4-3", world)).frame.set_index(["norm", "rule"])["radius"]
    assert rows["l1", "equal volume (T)"] == pytest.approx(math.sqrt(2))
    assert rows["l2", "equal volume (T)"] == pytest.approx(2 / math.sqrt(math.pi))
    assert rows["l1", "nested (Tbar)"] == 2 and rows["l2", "nested (Tbar)"] == pytest.approx(math.sqrt(2))
    assert rows["linf", "equal volume (T)"] == rows["linf", "nested (Tbar)"] == 1


def test_factors_agree_with_the_printed_ones(world, inputs_of):
    frame = formulas.figure_4_2(inputs_of("figure-4-2", world)).frame
    assert len(frame) == 12
    np.testing.assert_allclose(frame["factor"], frame["published"], rtol=2e-6)


def test_the_counterexample_has_the_printed_and_the_true_angle(world, inputs_of):
    assert formulas.danskin_angle(0.1) == pytest.approx(177.13, abs=0.01)
    assert formulas.danskin_angle(0.2) == pytest.approx(174.26, abs=0.02), (
        "the printed gradients have tau for tau/2"
    )
    frame = formulas.figure_3_1(inputs_of("figure-3-1", world)).frame
    # The maximiser u = 1 is better by tau than u = -1, and gradients match a difference quotient.
    assert frame.loc[0, "phi"] - frame.loc[1, "phi"] == pytest.approx(0.1)
    for row in frame.itertuples():
        for name, step in (("gradient_r", (1e-6, 0)), ("gradient_u", (0, 1e-6))):
            ahead, behind = (
                formulas.danskin_function(
                    np.array(row.r + sign * step[0]), np.array(row.u + sign * step[1]), 0.1
                )
                for sign in (1, -1)
            )
            assert getattr(row, name) == pytest.approx(float(ahead - behind) / 2e-6, abs=1e-6)


def test_blocks_are_lifted_and_quadruple_from_level_to_level(world, inputs_of):
    np.testing.assert_array_equal(
        diagrams.lift(np.array([[1, 2], [3, 4]]), 4), [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    )
    assert diagrams.figure_2_5(inputs_of("figure-2-5", world)).frame["variables"].tolist() == [
        12,
        48,
        192,
        768,
        3072,
    ]


def test_class_samples_are_of_their_class(world, inputs_of, split):
    frame = diagrams.figure_4_1(replace(inputs_of("figure-4-1", world), datasets=split)).frame
    assert (frame["index"] % 3 == frame["label"]).all() and frame.groupby("class").size().eq(8).all()
    assert (
        diagrams.figure_1_4(replace(inputs_of("figure-1-4", world), datasets=split)).frame["response"].size
        == 36
    )


def test_the_example_is_the_surest_image_that_was_fooled(world, inputs_of, split):
    """Image 7 is surest but withstands the attack; of the others image 2 is."""
    inputs = replace(inputs_of("figure-1-1", world.but(images=10)), datasets=split)
    row = examples.figure_1_1(inputs).frame.iloc[0]
    assert (row["index"], row["true_class"], row["adversarial_class"]) == (2, "fox", "dog")
    assert (row["target_class"], row["eps"]) == ("dog", 0.04)
    assert row["clean_confidence"] == pytest.approx(90)
    assert [row["published_clean"], row["published_adversarial_predicted"]] == [65.85, 99.99]
    least = replace(inputs_of("figure-4-5", world.but(images=10)), datasets=split)
    row = examples.figure_4_5(least).frame.iloc[0]
    assert row["index"] == 9, "the loss grows with the image's position in this world"
    assert row["target_class"] == ""


def test_three_norms_attack_one_image(world, inputs_of, split):
    inputs = replace(inputs_of("figure-4-8", world.but(images=10)), datasets=split)
    frame = examples.figure_4_8(inputs).frame.set_index(["attack_norm", "distortion_norm"])
    assert frame.loc[("l2", "l2"), "distortion"] == pytest.approx(1.5 * (0.9 + 0.2 * 0.25))
    assert frame.loc[("l2", "l2"), "published"] == 1.4561
    assert math.isnan(frame.loc[("l1", "l1"), "published"]), "that panel is lost"


def test_a_surface_is_read_back_in_its_order(world, inputs_of):
    """Rows of the grid follow the gradient, columns the random direction."""
    view = inputs_of("figure-2-2", world).results.one(view="zoom")
    losses, lengths = surfaces.surface(view)
    np.testing.assert_array_equal(losses[0], [[0, 1, 2], [10, 11, 12], [20, 21, 22]])
    np.testing.assert_allclose(lengths, [-0.5, 0, 0.5])


def test_the_roughest_surface_of_each_model_is_drawn(world, inputs_of):
    whole = surfaces.figure_2_2(inputs_of("figure-2-2", world)).frame
    assert whole["panel"].unique().tolist() == ["whole radius", "zoom"] and set(whole["index"]) == {1}
    three = surfaces.figure_2_3(inputs_of("figure-2-3", world)).frame
    assert three["panel"].unique().tolist() == ["natural", "R-FGSM", "PGD"]
    assert three.groupby("panel")["loss"].max().eq(44.0).all()


def test_the_masked_loss_is_flat_at_the_image_and_crosses_the_boundary_elsewhere(world, inputs_of):
    frame = surfaces.figure_2_1(inputs_of("figure-2-1", world)).frame.set_index("delta_over_eps")[
        "masked_loss"
    ]
    near = frame[abs(frame.index) < 0.2]
    assert np.ptp(near) < 1e-6 < 1 < frame.max()


def test_radii_are_written_as_the_work_writes_them(world, inputs_of):
    assert [radius_text(eps) for eps in (3 / 255, 0.316, 2.209, 1771)] == ["3/255", "0.316", "2.209", "1771"]
    natural = inputs_of("figure-4-6", world).results
    assert radius_heading(natural.where(ball="l2-nested")).endswith(r"1.304 ($\bar T$)")
    assert radius_heading(natural.where(ball="linf")).endswith("= 6/255")


def test_the_problem_tree_leads_from_the_general_to_the_special(world, inputs_of):
    edges = diagrams.figure_1_5(inputs_of("figure-1-5", world)).frame
    special = edges[edges["from"].str.startswith("(DRO)")]["to"]
    assert [text.split()[0] for text in special] == ["(RO)", "(CO)", "(SO)"]


def test_every_block_is_one_variable(world, inputs_of):
    assert diagrams.figure_2_4(inputs_of("figure-2-4", world)).frame.shape == (16, 3)
