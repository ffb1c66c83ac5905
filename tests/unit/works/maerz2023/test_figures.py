"""Figures are drawn from the numbers that their definitions give by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.signal import correlate2d

from gauntlet.reporting.inputs import EvaluationResult
from gauntlet.works.maerz2023 import diagrams, examples, figures, formulas, similarity, surfaces
from gauntlet.works.maerz2023.perturbations.observations import Observations, number, procedure, radius_label
from gauntlet.works.maerz2023.perturbations.similarity import DOUBLE_RADIUS, SAME_RADIUS


@pytest.fixture
def split(tmp_path):
    """A prepared split of 24 colour images of 8x8 pixels of three classes."""
    folder = tmp_path / "split"
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (24, 3, 8, 8), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", np.arange(24, dtype=np.int64) % 3)
    manifest = {"shape": list(images.shape), "classes": ["cat", "dog", "fox"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return {"made-up/test": folder}


def test_accuracy_lines_stand_beside_the_released_ones(world, evaluations, inputs, published):
    found = evaluations(world, "natural", "natural-released")
    figure = figures.figure_4_4(
        inputs(settings={"top": 2}, evaluations=found, published=published("released_step_schemes.csv"))
    )
    rows = figure.frame.set_index(["decay", "randomised", "steps"])
    assert rows.loc[("constant", False, 16), "accuracy"] == pytest.approx(0.4)
    assert rows.loc[("harmonic", True, 16), "accuracy"] == pytest.approx(0.1)
    assert rows.loc[("harmonic", False, 16), "published_top5"] == pytest.approx(0.058)
    assert rows.loc[("constant", True, 16), "published_top5"] == pytest.approx(0.072)
    assert len(rows) == 30


def test_loss_histograms_share_ten_bins_and_sum_to_one(world, evaluations, inputs):
    frame = figures.figure_4_6(inputs(evaluations=evaluations(world, "natural"))).frame
    # The largest loss of all panels is that of 16 steps under the nested l1 radius.
    assert frame["bin_high"].max() == pytest.approx(23 * 1.2 * (0.9 + 0.2 * 0.995))
    np.testing.assert_allclose(frame.groupby(["panel", "perturbation"])["share"].sum(), 1)
    assert frame.groupby(["panel", "perturbation"]).size().eq(10).all()
    first = frame[(frame["panel"] == "b") & (frame["perturbation"] == "16")]
    assert first["share"].iloc[0] == 1, "the same radius for l2 leaves all losses in the first bin"


def test_each_panel_of_the_defended_models_has_its_own_range(world, evaluations, inputs):
    found = evaluations(world, "madry-linf-4") | evaluations(world.but(defended=5.0), "madry-l2-3")
    frame = figures.figure_4_7(inputs(evaluations=found)).frame
    top = frame.groupby("panel")["bin_high"].max()
    assert top["a"] == pytest.approx(1.3 * 1.099) and top["b"] == pytest.approx(5 * 1.099)


def test_histogram_counts_the_last_edge_and_leaves_nan_out():
    shares = figures.histogram(np.array([0.0, 0.5, 1.0, np.nan]), np.array([0, 0.5, 1]))
    np.testing.assert_allclose(shares, [0.25, 0.5])


def test_heatmaps_hold_medians_beside_the_released_numbers(world, evaluations, inputs, published):
    found = evaluations(world, "natural-released", *DOUBLE_RADIUS, similarity=True)
    frame = similarity.figure_4_10(
        inputs(
            settings={"scope": "first_tensor"},
            evaluations=found,
            published=published("released_figure_4_10_natural.csv"),
        )
    ).frame
    natural = frame[frame["model"] == "maerz-natural"].set_index(["first", "second"])
    assert natural.loc[("1", "16"), "median_cosine"] == pytest.approx(0.8 * 0.15, abs=1e-3)
    assert natural.loc[("1", "16"), "published_cosine"] == pytest.approx(0.12005479)
    assert natural.loc[("1", "16"), "published_angle"] == pytest.approx(83.1, abs=0.05)
    assert natural.loc[("clean", "bound"), "median_angle"] == pytest.approx(
        math.degrees(math.acos(0.8)), abs=0.1
    )
    assert len(natural) == 36
    assert frame.loc[frame["model"] != "maerz-natural", "published_cosine"].isna().all()


def test_an_undefined_cosine_leaves_only_its_pair(world, evaluations, inputs):
    """An image without a gradient at 16 steps still counts for all other pairs."""
    found = evaluations(world, *SAME_RADIUS, similarity=True)
    frame = found["natural"].frame
    column = "cosine_all_8_16"
    frame.loc[frame["index"] == 0, column] = np.nan
    rows = similarity.figure_4_9(inputs(settings={"scope": "all"}, evaluations=found)).frame
    images = rows[rows["model"] == "maerz-natural"].set_index(["first", "second"])["images"]
    assert images["8", "16"] == world.images - 1
    assert images["4", "16"] == world.images


def test_angles_fall_into_bins_of_five_degrees(world, evaluations, inputs):
    changed = world.but(cosine={"1": math.cos(math.radians(62.5))}, double=0.0)
    found = evaluations(changed, *{*SAME_RADIUS, *DOUBLE_RADIUS}, similarity=True)
    frame = similarity.figure_4_11(inputs(evaluations=found)).frame
    natural = frame[(frame["model"] == "maerz-natural") & (frame["scope"] == "all")]
    plain = natural[natural["radius"] == "linf"].set_index("angle_low")["share"]
    assert len(plain) == 36 and plain[60.0] == 1 and plain.sum() == 1
    double = natural[natural["radius"] == "linf-double"]
    assert double["median"].iloc[0] == pytest.approx(90, abs=0.1)


def test_converted_spheres_have_the_radii_of_the_plane(inputs):
    rows = formulas.figure_4_3(inputs()).frame.set_index(["norm", "rule"])["radius"]
    assert rows["l1", "equal volume (T)"] == pytest.approx(math.sqrt(2))
    assert rows["l2", "equal volume (T)"] == pytest.approx(2 / math.sqrt(math.pi))
    assert rows["l1", "nested (Tbar)"] == 2 and rows["l2", "nested (Tbar)"] == pytest.approx(math.sqrt(2))
    assert rows["linf", "equal volume (T)"] == rows["linf", "nested (Tbar)"] == 1


def test_factors_agree_with_the_printed_ones(inputs, published):
    frame = formulas.figure_4_2(inputs(published=published("figure_4_2.csv"))).frame
    assert len(frame) == 12
    np.testing.assert_allclose(frame["factor"], frame["published"], rtol=2e-6)


def test_the_counterexample_has_the_printed_and_the_true_angle(inputs):
    assert formulas.danskin_angle(0.1) == pytest.approx(177.13, abs=0.01)
    assert formulas.danskin_angle(0.2) == pytest.approx(174.26, abs=0.02), (
        "the printed gradients have tau for tau/2"
    )
    frame = formulas.figure_3_1(inputs()).frame
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


def test_the_kernel_is_applied_as_a_convolutional_layer_does():
    image = np.random.default_rng(0).random((9, 7))
    kernel = np.arange(9.0).reshape(3, 3)
    np.testing.assert_allclose(diagrams.convolve(image, kernel), correlate2d(image, kernel, mode="valid"))


def test_blocks_are_lifted_and_quadruple_from_level_to_level(inputs):
    np.testing.assert_array_equal(
        diagrams.lift(np.array([[1, 2], [3, 4]]), 4), [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    )
    assert diagrams.figure_2_5(inputs()).frame["variables"].tolist() == [12, 48, 192, 768, 3072]


def test_class_samples_are_of_their_class(inputs, split):
    frame = diagrams.figure_4_1(inputs(datasets=split)).frame
    assert (frame["index"] % 3 == frame["label"]).all() and frame.groupby("class").size().eq(8).all()
    assert diagrams.figure_1_4(inputs(datasets=split)).frame["response"].size == 36


def test_the_example_is_the_surest_image_that_was_fooled(world, evaluations, inputs, split, published):
    """Image 7 is surest but withstands the attack; of the others image 2 is."""
    result = _pictured(evaluations(world.but(images=10), "natural")["natural"])
    row = examples.figure_1_1(
        inputs(
            evaluations={"natural-examples": result}, datasets=split, published=published("figure_1_1.csv")
        )
    ).frame.iloc[0]
    assert (row["index"], row["true_class"], row["adversarial_class"]) == (2, "fox", "dog")
    assert row["clean_confidence"] == pytest.approx(90)
    assert [row["published_clean"], row["published_adversarial_predicted"]] == [65.85, 99.99]
    least = examples.figure_4_5(inputs(evaluations={"natural-examples": result}, datasets=split)).frame.iloc[
        0
    ]
    assert least["index"] == 9, "the loss grows with the image's position in this world"


def test_three_norms_attack_one_image(world, evaluations, inputs, split, published):
    result = _pictured(evaluations(world.but(images=10), "natural")["natural"])
    frame = examples.figure_4_8(
        inputs(
            evaluations={"natural-examples": result}, datasets=split, published=published("figure_4_8.csv")
        )
    ).frame.set_index(["attack_norm", "distortion_norm"])
    assert frame.loc[("l2", "l2"), "distortion"] == pytest.approx(1.5 * (0.9 + 0.2 * 0.25))
    assert frame.loc[("l2", "l2"), "published"] == 1.4561
    assert math.isnan(frame.loc[("l1", "l1"), "published"]), "that panel is lost"


def _pictured(result: EvaluationResult) -> EvaluationResult:
    """Give an evaluation the columns, settings and images that the pictures need."""
    frame, settings = result.frame, result.specification["procedures"]
    shown = {radius: procedure(radius, "16") for radius in ("linf", "l2-volume", "l1-volume")}
    settings["targeted"] = {"norm": "linf", "eps": 0.02, "target": "samples"}
    for name in shown.values():
        settings[name]["target"] = "none"
    for column, values in {
        "label": frame["index"] % 3, "prediction": (frame["index"] + 2) % 3, "prediction_confidence": 0.99,
        "success": frame["index"] != 7, "target": 1,
    }.items():  # fmt: skip
        frame[column] = values
    clean = frame["procedure"] == "clean"
    frame.loc[clean, "confidence"] = frame.loc[clean, "index"].map({7: 0.95, 2: 0.9}).fillna(0.5)
    targeted = frame[frame["procedure"] == shown["linf"]].assign(procedure="targeted")
    result.__dict__["frame"] = pd.concat([frame, targeted], ignore_index=True)
    result.specification["keep_images"] = 10
    images = np.random.default_rng(0).random((10, 3, 8, 8), dtype=np.float32)
    kept = {name: np.clip(images + 0.01, 0, 1) for name in ("targeted", *shown.values())}
    np.savez(result.path.with_suffix(".npz"), clean=images, **kept)
    return result


def test_a_surface_is_read_back_in_its_order(tmp_path):
    """Rows of the grid follow the gradient, columns the random direction."""
    result = EvaluationResult(tmp_path / "surface.parquet")
    columns = {f"loss_{i}_{j}": [10.0 * i + j] for i in range(3) for j in range(3)}
    result.__dict__["frame"] = pd.DataFrame({"procedure": ["surface"], "index": [0], **columns})
    result.__dict__["manifest"] = {"specification": {"procedures": {"surface": {"eps": 0.5}}}}
    losses, lengths = surfaces.surface(result, "surface")
    np.testing.assert_array_equal(losses[0], [[0, 1, 2], [10, 11, 12], [20, 21, 22]])
    np.testing.assert_allclose(lengths, [-0.5, 0, 0.5])


def test_the_masked_loss_is_flat_at_the_image_and_crosses_the_boundary_elsewhere(inputs):
    frame = surfaces.figure_2_1(inputs()).frame.set_index("delta_over_eps")["masked_loss"]
    near = frame[abs(frame.index) < 0.2]
    assert np.ptp(near) < 1e-6 < 1 < frame.max()


def test_radii_are_written_as_the_work_writes_them(world, evaluations):
    assert [number(eps) for eps in (3 / 255, 0.316, 2.209, 1771)] == ["3/255", "0.316", "2.209", "1771"]
    natural = Observations(evaluations(world, "natural")["natural"])
    assert radius_label(natural, "l2-nested").endswith(r"0.652 ($\bar{T}$)")


def test_the_problem_tree_leads_from_the_general_to_the_special(inputs):
    edges = diagrams.figure_1_5(inputs()).frame
    assert set(edges[edges["problem"] == "DRO"]["special_case"]) == {"RO", "CO", "SO"}
