"""Tables and figures hold what their definitions give by hand, beside the printed numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from gauntlet.architectures.pca_prefix import principal_components
from gauntlet.works.song import artefacts, diagrams, examples, figures, formulas, spectrum
from gauntlet.works.song.smoothing.observations import Certificates


def test_table_5_1_stands_beside_every_printed_number(certificates_of, published, inputs):
    """80 % of the images are certified at 3 sigma: at sigma 0.25 an ACR of 0.8 * 0.75."""
    table = artefacts.table_5_1(inputs(evaluations=certificates_of(), published=published("table_5_1.csv")))
    assert len(table.frame) == 2 * 6 * 9 and table.frame["published"].notna().all()
    ours = table.frame[(table.frame["sigma"] == 0.25) & (table.frame["model"] == "Ours")].set_index("column")
    assert ours.loc["ACR", "reproduced"] == pytest.approx(0.6)
    assert ours.loc["ACC", ["reproduced", "published"]].tolist() == [pytest.approx(80), 75.8]
    assert ours.loc["r = 0.75", "reproduced"] == pytest.approx(80)
    assert ours.loc["r = 1.00", ["reproduced", "published"]].tolist() == [0, 0]
    assert (ours["ci_low"] <= ours["reproduced"]).all() and (ours["reproduced"] <= ours["ci_high"]).all()
    assert table.layout is not None
    row = table.layout[(table.layout["sigma"] == 0.5) & (table.layout["model"] == "Gaussian+LD")].iloc[0]
    assert row["ACR"] == f"{0.35 * 1.5:.3f} (0.600)"
    # 100,000 draws allow a radius of 3.5 sigma 10 of 23 dissenting votes, one of 3 sigma 102 of 135.
    assert row["r = 1.75"] == "0.0* (9.9)" and row["r = 1.50"] == f"{35:.1f} (12.9)"
    starred = table.frame[table.frame["limited_by_draws"]]
    assert set(starred["column"][starred["sigma"] == 0.5]) == {"r = 1.75"}
    assert set(starred["column"][starred["sigma"] == 0.25]) == {
        "r = 1.00",
        "r = 1.25",
        "r = 1.50",
        "r = 1.75",
    }


def test_table_5_2_reads_times_and_memory_from_the_trainings(certificates_of, costs_of, published, inputs):
    models, found = costs_of(), certificates_of()
    table = artefacts.table_5_2(
        inputs(evaluations=found, models=models, published=published("table_5_2.csv"))
    )
    frame = table.frame.set_index(["model", "column"])
    assert frame.loc[("MACER", "training [h]"), ["reproduced", "published"]].tolist() == pytest.approx(
        [7.6, 7.6]
    )
    assert frame.loc[("Ours", "GPU memory [GiB]"), "reproduced"] == pytest.approx(3.1)
    assert frame.loc[("Ensemble", "time over Gaussian's"), "reproduced"] == pytest.approx(11.6)
    assert frame["published"].notna().all()
    assert table.layout is not None and "7.60 (7.60)" in set(table.layout["training [h]"])
    stalled = artefacts.table_5_2(
        inputs(evaluations=found, models=costs_of(stall=10.0), published=published("table_5_2.csv"))
    ).frame.set_index(["model", "column"])
    assert stalled.loc[("MACER", "training [h]"), "reproduced"] == pytest.approx(7.6)
    assert stalled.loc[("MACER", "time over Gaussian's"), "ci_high"] == pytest.approx(152)
    cpu = costs_of(device="cpu")
    named = artefacts.table_5_2(
        inputs(evaluations=found, models=cpu, published=published("table_5_2.csv"))
    ).frame
    assert "memory [GiB]" in set(named["column"]) and "GPU memory [GiB]" not in set(named["column"])


def test_the_two_factors_are_compared_with_plain_consistency(certified, inputs):
    shares = {"consistency": 0.5, "consistency-ld": 0.6, "generalized": 0.55, "ours": 0.7}
    found = {
        f"{method}-{sigma:g}": certified(method, sigma, share)
        for sigma in (0.25, 0.5)
        for method, share in shares.items()
    }
    frame = artefacts.table_two_factors(inputs(evaluations=found)).frame
    key = ["sigma", "consistency", "linear decomposition"]
    gains = frame.set_index(key)["ACR gain"]
    assert gains[0.25, "generalized", "yes"] == pytest.approx(0.2 * 0.75)
    assert gains[0.5, "original", "yes"] == pytest.approx(0.1 * 1.5)
    assert np.isnan(gains[0.25, "original", "no"])


def test_convergence_lists_the_first_good_epoch(histories, inputs):
    models = histories((0.5, 0.6, 0.7), (0.2, 0.56, 0.59))
    table = artefacts.table_convergence(inputs(models=models)).frame
    reached = table.set_index(["sigma", "loss"])["95 % of Consistency's final reached in epoch"]
    # 95 % of 0.59 are 0.5605.
    assert reached[0.25, "Consistency"] == 3 and reached[0.25, "generalized consistency"] == 2
    assert table.loc[0, "epoch 1 [%]"] == pytest.approx(20)
    figure = figures.figure_5_2(inputs(models=models)).frame
    assert len(figure) == 2 * 2 * 3 and figure["accuracy"].max() == 0.7


def test_the_area_under_a_curve_is_the_average_certified_radius(certificates_of, published, inputs):
    figure = figures.figure_5_1(inputs(evaluations=certificates_of(), published=published("table_5_1.csv")))
    curves = figure.frame.set_index(["sigma", "model"])
    for name, share in (("Ours", 0.8), ("Gaussian", 0.2)):
        curve = curves.loc[(0.5, name)]
        area = np.trapezoid(curve["certified_accuracy"], curve["radius"])
        assert area == pytest.approx(share * 1.5, abs=0.01)
    ablation = figures.figure_5_3(inputs(evaluations=certificates_of(), published=published("table_5_1.csv")))
    assert set(ablation.frame["model"]) == {"Gaussian", "Gaussian+LD"}


def test_a_curve_counts_images_at_their_very_radius(certified):
    curve = figures.certified_curve(Certificates(certified("ours", 0.25, 0.4)), reach=1.0).set_index("radius")
    values = curve["certified_accuracy"].to_numpy()
    assert values[75] == pytest.approx(0.4) and values[76] == 0


@pytest.mark.parametrize(
    ("p", "plain", "mapped"),
    [
        (0.5, 2.507, 0.6267),
        (0.9, 5.698, 0.5128),
        (0.95, 9.696, 0.4606),
        (0.99, 37.52, 0.3715),
        (0.999, 297.0, 0.2967),
    ],
)
def test_gradients_are_derivatives_of_the_normal_quantile(p, plain, mapped):
    assert formulas.robustness_gradient(p) == pytest.approx(plain, rel=3e-4)
    assert formulas.mapped_gradient(p) == pytest.approx(mapped, rel=3e-4)


def test_the_threshold_cuts_the_gradient(inputs):
    frame = formulas.figure_3_1(inputs()).frame
    cut = frame[frame["variant"] == "threshold 0.99"].set_index("probability")["gradient"]
    assert cut[cut.index > 0.9905].eq(0).all() and cut[cut.index < 0.9895].gt(0).all()
    # The derivative grows towards 0 as well.
    assert cut[cut.index > 0.5].max() == pytest.approx(37.52, abs=0.01)


def test_only_averaged_logits_weigh_more_near_the_image(inputs):
    frame = formulas.figure_4_1(inputs()).frame
    assert frame["probability_weight"].max() <= 1 < frame["logit_weight"].max()
    centre = frame.loc[(frame["noise_1"] ** 2 + frame["noise_2"] ** 2).idxmin()]
    assert centre["logit_weight"] == frame["logit_weight"].max() == formulas.HEIGHT


def test_noisy_classes_stay_separable_a_little(inputs):
    """The midpoint decides; the mass of a class' own density on its side is the accuracy."""
    frame = formulas.figure_4_2(inputs()).frame
    for ratio, accuracy in ((10.0, 0.624), (5.0, 0.673)):
        assert formulas.bayes_accuracy(ratio) == pytest.approx(accuracy, abs=5e-4)
        own = frame[(frame["ratio"] == ratio) & (frame["class"] == "class 2") & (frame["x"] >= 0)]
        assert np.trapezoid(own["density"], own["x"]) == pytest.approx(accuracy, abs=2e-3)


def test_principal_variances_are_those_of_the_projection_layer():
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (spectrum.IMAGES_AT_ONCE + 50, 2, 3, 3), dtype=np.uint8)
    _, expected, _ = principal_components(torch.from_numpy(images))
    np.testing.assert_allclose(spectrum.principal_variances(images), expected.numpy(), rtol=1e-5)


def test_directions_are_counted_above_each_share_of_the_noise(split, inputs):
    """One pixel in sixteen varies: +-51 is a variance of 0.04, above 1/5 of 0.0625 but below 1/5 of 0.25."""
    images = np.full((1000, 1, 4, 4), 100, dtype=np.uint8)
    images[::2, 0, 0, 0] = 202
    frame = spectrum.table_principal_directions(inputs(datasets=split(images))).frame.round({"tau": 3})
    kept = frame.set_index(["sigma", "tau"])["directions kept"]
    assert kept[0.25, 0.2] == 1 and kept[0.25, 1.0] == 0
    assert kept[0.5, 0.2] == 0 and kept[0.5, 0.1] == 1
    assert frame["variance kept [%]"].max() == pytest.approx(100)
    figure = spectrum.figure_4_3(inputs(datasets=split(images)))
    assert set(figure.frame["noise_variance"]) <= {0.0625, 0.25}


def test_the_drawn_convolution_and_pooling_are_right(inputs):
    convolution = diagrams.figure_2_1(inputs()).frame.set_index(["grid", "row", "column"])["value"]
    # Row 1, column 0: -0+2*... worked out: columns 0 and 2 of rows 1 to 3, weighted 1, 2, 1.
    expected = (2 - 0) + 2 * (3 - 1) + (3 - 1)
    assert convolution["output", 1, 0] == expected
    pooled = diagrams.figure_2_2(inputs()).frame.set_index(["grid", "row", "column"])["value"]
    assert [pooled["output", 0, column] for column in range(3)] == [1, 2, 1]
    assert pooled["output", 1, 1] == 3


def test_the_flow_diagrams_lead_to_the_classifier(inputs):
    for figure, end in (
        (diagrams.figure_2_7(inputs()), "defended"),
        (diagrams.figure_2_8(inputs()), "classifier"),
    ):
        last = set(figure.frame["to"]) - set(figure.frame["from"])
        assert len(last) == 1 and last.pop().startswith(end)


@pytest.fixture
def attacked(saved, split):
    """Four digits with nine targets each; every attack but the first row's succeeds."""
    count, classes = 36, 10
    source = np.repeat(np.arange(4), 9)
    target = np.concatenate([np.delete(np.arange(classes), label) for label in range(4)])
    images = np.random.default_rng(0).random((count, 1, 6, 6)).astype(np.float32)
    names = ("clean", "fgsm", "carlini-wagner", "square", "watermark")
    parts = [
        pd.DataFrame(
            {
                "procedure": name, "index": source + 100, "label": source, "target": target,
                "success": np.arange(count) > 0, "prediction": source if name == "clean" else target,
                "confidence": np.linspace(0.5, 0.9, count), "prediction_confidence": 0.8,
                "linf": 0.2, "l2": 1.5, "queries": 7,
            }
        )
        for name in names
    ]  # fmt: skip
    manifest = {"specification": {"procedures": {"fgsm": {"eps": 0.2}}}}
    frame = pd.concat(parts, ignore_index=True)
    undefended = saved("undefended", frame, manifest, **dict.fromkeys(names, images))
    datasets = split(np.zeros((10, 1, 6, 6), dtype=np.uint8), "made-up/test")
    return {"evaluations": {"undefended": undefended}, "datasets": datasets}


def test_the_pictured_example_is_the_surest_image_that_was_fooled(attacked, inputs):
    row = examples.figure_2_3(inputs(**attacked)).frame.iloc[0]
    assert row["true_class"] == "3" and row["clean_confidence"] == pytest.approx(0.9)
    assert row["predicted_class"] == "9"


def test_every_source_is_shown_with_every_target(attacked, inputs):
    figure = examples.figure_2_4(inputs(**attacked))
    assert len(figure.frame) == 36 and figure.frame["success"].sum() == 35
    # Four clean images and 35 successes are drawn.
    assert sum(bool(axes.images) for axes in figure.canvas.axes) == 39


@pytest.mark.parametrize("make", [examples.figure_2_5, examples.figure_2_6])
def test_no_image_is_shown_twice(make, attacked, inputs):
    frame = make(inputs(**attacked)).frame
    assert frame["index"].tolist() == [100, 101, 102, 103]
