"""Tables and figures hold what their definitions give by hand, beside the printed numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri

from gauntlet.datasets.principal_directions import principal_variances
from gauntlet.works.song.smoothing import (
    diagrams,
    examples,
    figures,
    formulas,
    tables,
)


def test_table_5_1_stands_beside_every_printed_number(inputs_of, world):
    """80 % of the images are certified at 3.6 sigma: at sigma 0.25 an ACR of 0.8 * 0.9."""
    table = tables.table_5_1(inputs_of("table-5-1", world))
    assert len(table.frame) == 2 * 6 * 9 and table.frame["published"].notna().all()
    ours = table.frame[(table.frame["sigma"] == 0.25) & (table.frame["model"] == "Ours")].set_index("column")
    assert ours.loc["ACR", "reproduced"] == pytest.approx(0.72)
    assert ours.loc["ACC", ["reproduced", "published"]].tolist() == [pytest.approx(80), 75.8]
    assert ours.loc["r = 0.75", "reproduced"] == pytest.approx(80)
    assert ours.loc["r = 1.00", ["reproduced", "published"]].tolist() == [0, 0]
    assert (ours["ci_low"] <= ours["reproduced"]).all() and (ours["reproduced"] <= ours["ci_high"]).all()
    assert table.layout is not None
    assert table.layout["model"].tolist()[:2] == ["Ours", "Ensemble(m=3)"]
    row = table.layout[(table.layout["sigma"] == 0.5) & (table.layout["model"] == "Gaussian+LD")].iloc[0]
    assert row["ACR"] == f"{0.35 * 1.8:.3f} (0.600)"
    # 100,000 draws allow a radius of 3.5 sigma 10 of 23 dissenting votes, one of 3 sigma 102 of 135.
    assert row["r = 1.75"] == "35.0* (9.9)" and row["r = 1.50"] == "35.0 (12.9)"
    starred = table.frame[table.frame["limited_by_draws"]]
    assert set(starred["column"][starred["sigma"] == 0.5]) == {"r = 1.75"}
    from_one = {"r = 1.00", "r = 1.25", "r = 1.50", "r = 1.75"}
    assert set(starred["column"][starred["sigma"] == 0.25]) == from_one


def test_table_5_2_reads_times_and_memory_from_the_trainings(inputs_of, world):
    table = tables.table_5_2(inputs_of("table-5-2", world))
    frame = table.frame.set_index(["model", "column"])
    hours = frame.loc[("MACER", "training [h]"), ["reproduced", "published"]]
    assert hours.tolist() == pytest.approx([7.6, 7.6])
    assert frame.loc[("Ours", "GPU memory [GiB]"), "reproduced"] == pytest.approx(3.1)
    assert frame.loc[("Ensemble", "time over Gaussian's"), "reproduced"] == pytest.approx(11.6)
    assert frame["published"].notna().all()
    assert table.layout is not None and "7.60 (7.60)" in set(table.layout["training [h]"])


def test_stalled_epochs_widen_the_ratios_of_table_5_2_only(inputs_of, world):
    frame = tables.table_5_2(inputs_of("table-5-2", world.but(stall=10.0))).frame.set_index(
        ["model", "column"]
    )
    assert frame.loc[("MACER", "training [h]"), "reproduced"] == pytest.approx(7.6)
    assert frame.loc[("MACER", "time over Gaussian's"), "ci_high"] == pytest.approx(152)


def test_memory_without_a_gpu_has_another_name(inputs_of, world):
    columns = set(tables.table_5_2(inputs_of("table-5-2", world.but(device="cpu"))).frame["column"])
    assert "memory [GiB]" in columns and "GPU memory [GiB]" not in columns


def test_the_two_factors_are_compared_with_plain_consistency(inputs_of, world):
    shares = {"consistency": 0.5, "consistency-ld": 0.6, "generalized": 0.55, "ours": 0.7}
    inputs = inputs_of("table-two-factors", world.but(shares=shares))
    frame = tables.certificates_by_label(inputs).frame
    gains = frame.set_index(["sigma", "consistency", "linear decomposition"])["ACR gain"]
    assert gains[0.25, "generalized", "yes"] == pytest.approx(0.2 * 0.9)
    assert gains[0.5, "original", "yes"] == pytest.approx(0.1 * 1.8)
    assert np.isnan(gains[0.25, "original", "no"])


@pytest.mark.parametrize(
    ("name", "keys", "gain"),
    [
        ("table-directions-kept", (0.5, 0.1), 0.1 * 1.8),
        ("table-recipes", (0.25, "of its authors"), -0.2 * 0.9),
    ],
)
def test_variants_are_compared_on_the_same_images_at_full_scale(name, keys, gain, inputs_of, world):
    shares = {"tau-fifth": 0.5, "tau-tenth": 0.6, "consistency": 0.7, "original": 0.5}
    changed = world.but(shares={**shares, "tau-twentieth": 0.5, "tau-half": 0.5, "tau-whole": 0.5})
    frame = tables.certificates_by_label(inputs_of(name, changed, scale="full")).frame
    gains = frame.set_index(list(frame.columns[:2]))["ACR gain"]
    assert gains[keys] == pytest.approx(gain)
    assert gains.isna().sum() == 2, "the base at either noise level"


def test_convergence_lists_the_first_good_epoch(inputs_of, world):
    changed = world.but(curves={"generalized": (0.5, 0.6, 0.7), "consistency": (0.2, 0.56, 0.59)})
    table = tables.table_convergence(inputs_of("table-convergence", changed)).frame
    reached = table.set_index(["sigma", "loss"])["95 % of Consistency's final reached in epoch"]
    # 95 % of 0.59 are 0.5605; each accuracy lasts for 30 epochs.
    assert reached[0.25, "Consistency"] == 61 and reached[0.25, "generalized consistency"] == 31
    assert table.loc[0, "epoch 10 [%]"] == pytest.approx(20)
    figure = figures.figure_5_2(inputs_of("figure-5-2", changed)).frame
    assert len(figure) == 2 * 2 * 90 and figure["accuracy"].max() == 0.7


def test_curves_of_certified_accuracy_end_at_the_certified_radius(inputs_of, world):
    figure = figures.figure_5_1(inputs_of("figure-5-1", world))
    curves = figure.frame.set_index(["sigma", "model"])
    for name, share in (("Ours", 0.8), ("Gaussian", 0.2)):
        curve = curves.loc[(0.5, name)].set_index("radius")["certified_accuracy"].to_numpy()
        assert curve[180] == pytest.approx(share) and curve[181] == 0
    ablation = figures.figure_5_3(inputs_of("figure-5-3", world))
    assert set(ablation.frame["model"]) == {"Gaussian", "Gaussian+LD"}


def test_gradients_are_derivatives_of_the_normal_quantile():
    p, step = np.array([0.5, 0.9, 0.95, 0.99, 0.999]), 1e-7
    plain = formulas.robustness_gradient(p)
    np.testing.assert_allclose(plain, (ndtri(p + step) - ndtri(p - step)) / (2 * step), rtol=1e-5)
    logit = np.log(p / (1 - p))
    ends = [ndtri(1 / (1 + np.exp(-(logit + sign * 1e-6)))) for sign in (1, -1)]
    np.testing.assert_allclose(formulas.mapped_gradient(p), (ends[0] - ends[1]) / 2e-6, rtol=1e-5)


def test_only_the_mapped_gradient_is_bounded():
    tails = 1 - np.array([1e-4, 1e-8, 1e-12])
    gradient = formulas.robustness_gradient(tails)
    assert (gradient[1:] / gradient[:-1] > 100).all()
    mapped = formulas.mapped_gradient(np.linspace(0.5, 0.999999, 20001))
    assert mapped.max() == mapped[0] == pytest.approx(0.6267, abs=1e-4)


def test_the_threshold_cuts_the_gradient(inputs_of, world):
    frame = figures.figure_3_1(inputs_of("figure-3-1", world)).frame
    cut = frame[frame["variant"] == "threshold 0.99"].set_index("probability")["gradient"]
    assert cut[cut.index > 0.9905].eq(0).all() and cut[cut.index < 0.9895].gt(0).all()
    # The derivative grows towards 0 as well.
    assert cut[cut.index > 0.5].max() == pytest.approx(37.52, abs=0.01)


def test_only_averaged_logits_weigh_more_near_the_image(inputs_of, world):
    frame = figures.figure_4_1(inputs_of("figure-4-1", world)).frame
    assert frame["probability_weight"].max() <= 1 < frame["logit_weight"].max()
    center = frame.loc[(frame["noise_1"] ** 2 + frame["noise_2"] ** 2).idxmin()]
    assert center["logit_weight"] == frame["logit_weight"].max() == formulas.HEIGHT


def test_noisy_classes_stay_separable_a_little(inputs_of, world):
    """The midpoint decides; the mass of a class' own density on its side is the accuracy."""
    frame = figures.figure_4_2(inputs_of("figure-4-2", world)).frame
    for ratio, accuracy in ((10.0, 0.624), (5.0, 0.673)):
        assert formulas.bayes_accuracy(ratio) == pytest.approx(accuracy, abs=5e-4)
        own = frame[(frame["ratio"] == ratio) & (frame["class"] == "class 2") & (frame["x"] >= 0)]
        assert np.trapezoid(own["density"], own["x"]) == pytest.approx(accuracy, abs=2e-3)


def test_directions_are_counted_above_each_share_of_the_noise(split, inputs_of, world):
    """One pixel in sixteen varies: +-51 is a variance of 0.04, above 1/5 of 0.0625 but below 1/5 of 0.25."""
    images = np.full((1000, 1, 4, 4), 100, dtype=np.uint8)
    images[::2, 0, 0, 0] = 202
    inputs = replace(inputs_of("table-principal-directions", world), datasets=split(images))
    frame = tables.table_principal_directions(inputs).frame.round({"tau": 3})
    kept = frame.set_index(["sigma", "tau"])["directions kept"]
    assert kept[0.25, 0.2] == 1 and kept[0.25, 1.0] == 0
    assert kept[0.5, 0.2] == 0 and kept[0.5, 0.1] == 1
    assert frame["variance kept [%]"].max() == pytest.approx(100)


def test_figure_4_3_draws_each_variance_against_the_noise(split, inputs_of, world):
    images = np.random.default_rng(0).integers(0, 256, (700, 1, 24, 24), dtype=np.uint8)
    frame = figures.figure_4_3(replace(inputs_of("figure-4-3", world), datasets=split(images))).frame
    variances = principal_variances(images)
    for sigma, first, last in ((0.25, 100, 500), (0.5, 50, 450)):
        panel = frame[frame["sigma"] == sigma]
        assert panel["noise_variance"].unique().tolist() == [sigma**2]
        np.testing.assert_allclose(panel["variance"], variances[first - 1 : last])


def test_the_convolution_and_the_pooling_are_computed_right(inputs_of, world):
    frame = diagrams.figure_2_1(inputs_of("figure-2-1", world)).frame
    cells = frame.set_index(["grid", "row", "column"])["value"]
    # Columns 0 and 2 of rows 1 to 3, weighted 1, 2, 1.
    assert cells["output", 1, 0] == (2 - 0) + 2 * (3 - 1) + (3 - 1)
    pooled = diagrams.figure_2_2(inputs_of("figure-2-2", world)).frame
    values = pooled.set_index(["grid", "row", "column"])["value"]
    assert [values["output", 0, column] for column in range(3)] == [1, 2, 1]
    assert values["output", 1, 1] == 3


def test_the_flow_diagrams_lead_to_the_classifier(inputs_of, world):
    distillation = diagrams.figure_2_7(inputs_of("figure-2-7", world))
    rectifying = diagrams.figure_2_8(inputs_of("figure-2-8", world))
    for figure, end in ((distillation, "defended"), (rectifying, "classifier")):
        last = set(figure.frame["to"]) - set(figure.frame["from"])
        assert len(last) == 1 and last.pop().startswith(end)


@pytest.fixture
def pictured(inputs_of, split, world):
    """Return a function that gives the inputs of a figure of attacked images."""

    def build(name):
        datasets = split(np.zeros((10, 1, 6, 6), dtype=np.uint8), "made-up/test")
        return replace(inputs_of(name, world), datasets=datasets)

    return build


def test_the_pictured_example_is_the_surest_image_that_was_fooled(pictured):
    row = examples.figure_2_3(pictured("figure-2-3")).frame.iloc[0]
    assert row["true_class"] == "3" and row["clean_confidence"] == pytest.approx(0.9)
    assert row["predicted_class"] == "9"


def test_every_source_is_shown_with_every_target(pictured):
    figure = examples.figure_2_4(pictured("figure-2-4"))
    assert len(figure.frame) == 36 and figure.frame["success"].sum() == 35
    # Four clean images and 35 successes are drawn.
    assert sum(bool(axes.images) for axes in figure.canvas.axes) == 39


@pytest.mark.parametrize("name", ["figure-2-5", "figure-2-6"])
def test_no_image_is_shown_twice(name, pictured):
    make = examples.figure_2_5 if name == "figure-2-5" else examples.figure_2_6
    assert make(pictured(name)).frame["index"].tolist() == [100, 101, 102, 103]
