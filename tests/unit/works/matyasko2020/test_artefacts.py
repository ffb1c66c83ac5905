"""Tables and figures hold what their definition gives by hand, beside the printed numbers."""

from __future__ import annotations

import numpy as np
import pytest

from gauntlet.analysis.robustness import mean_distance
from gauntlet.works.matyasko2020.primal_dual import figures, tables
from gauntlet.works.matyasko2020.primal_dual.columns import column


@pytest.fixture
def means(world, inputs_of):
    """Table 5.1."""
    return tables.mean_norms(inputs_of("table-5-1", world, scale="full"))


def test_means_are_over_the_images_that_an_attack_succeeds_on(means):
    frame = means.frame.set_index(["model", "norm", "attack"])
    # True distances are spread evenly over 0.5 to 6.5; DF fails on the hardest 24 percent of linf-AT.
    everywhere = frame.loc[("plain", "linf", "PDPGD")]
    assert everywhere["reproduced"] == pytest.approx(3.5, abs=0.02)
    assert everywhere["ci_low"] < 3.5 < everywhere["ci_high"]
    assert everywhere["images"] == 360
    masked = frame.loc[("linf-AT", "l2", "DF")]
    assert masked["reproduced"] == pytest.approx(2.5 * (0.5 + 3 * 0.76), abs=0.05)
    assert masked["success_percent"] == pytest.approx(76, abs=0.5)
    assert everywhere["success_percent"] == 100


def test_printed_means_are_in_the_units_of_the_norms_and_beside_their_own_attack(means):
    frame = means.frame.set_index(["model", "norm", "attack"])
    assert frame.loc[("plain", "linf", "DF"), "published"] == pytest.approx(0.082)
    assert frame.loc[("linf-AT", "l1", "FAB"), "published"] == 3.45
    assert frame.loc[("linf-AT", "l1", "PDPGD"), ["published", "label_confidence"]].tolist() == [
        2.31,
        "from the text",
    ]
    assert np.isnan(frame.loc[("plain", "l0", "B&B or PDPGD"), "reproduced"])
    assert frame.loc[("plain", "l0", "B&B or PDPGD"), "label_confidence"] == "ambiguous"
    shown = means.layout.set_index(["norm", "attack"])
    assert shown.loc[("linf × 10", "PDPGD, 100 restarts"), "plain"].startswith("34.9")
    assert shown.loc[("linf × 10", "PDPGD, 100 restarts"), "plain"].endswith("* (0.63)")
    assert "[76 %] (4.84)" in shown.loc[("l2", "DF, 500 iterations"), "linf-AT"]


def test_an_attack_that_was_not_run_has_a_dash_beside_its_printed_number(world, inputs_of):
    short = world.but(left_out=("linf-bb", "l2-bb", "l1-bb", "l0-bb"))
    made = tables.mean_norms(inputs_of("table-5-1", short, scale="full"))
    assert made.layout.set_index(["norm", "attack"]).loc[("l2", "B&B"), "plain"] == "– (1.03)"
    assert any("B&B" in note for note in made.notes)


def test_robust_accuracy_counts_all_images_and_takes_the_best_step_size(world, inputs_of):
    made = tables.robust_accuracies(inputs_of("table-5-4", world, scale="full"))
    frame = made.frame.set_index(["norm", "eps", "attack"])
    # A tenth of the images is misclassified; the others are found from factor times distance on.
    for attack, factor in (("PDPGD-100", 1.0), ("PGD-10", 1.08), ("DF", 2.5)):
        expected = 90 * (1 - (3 / factor - 0.5) / 6)
        row = frame.loc[("linf", 3.0, attack)]
        assert row["reproduced"] == pytest.approx(expected, abs=0.6)
        assert row["ci_low"] < expected < row["ci_high"]
    assert frame.loc[("linf", 3.0, "PGD-10"), ["radius_over_step", "restarts"]].tolist() == [5, 10]
    assert frame.loc[("linf", 3.0, "DAA-50"), "restarts"] == 50
    assert "lost" in made.notes[0]
    assert made.layout.iloc[0].tolist() == ["linf", "radius", "1", "2", "3", "4", "5"]
    headers = made.layout.loc[made.layout["norm"] == "l2", "attack"].tolist()
    assert headers[:2] == ["radius", "DF, 500 iterations"]
    assert headers[-3:] == ["PDGD, 1 restart", "PDGD, 10 restarts", "PDGD, 100 restarts"]
    assert (frame["reproduced"].groupby(level=[0, 2]).diff().dropna() <= 1e-9).all()


def test_published_columns_of_unclear_restarts_stand_alone(world, inputs_of):
    inputs = inputs_of("table-5-7", world, scale="full")
    printed = inputs.published
    made = tables.robust_accuracies(inputs)
    assert made.frame["published"].notna().sum() == len(printed)
    unclear = made.frame[made.frame["attack"].str.contains("?", regex=False)]
    assert len(unclear) > 0
    assert unclear["reproduced"].isna().all()
    both = made.frame.dropna(subset=["reproduced", "published"])
    # Only the radii 1 and 5, of l0 and of l1, are ours as well.
    assert set(zip(both["norm"], both["eps"], strict=True)) <= {
        ("l0", 1.0), ("l0", 3.0), ("l0", 5.0), ("l1", 5.0), ("l2", 1.0),
    }  # fmt: skip
    jsma = made.frame.set_index(["norm", "eps", "attack"]).loc[("l0", 3.0, "JSMA")]
    assert jsma["published"] == printed.query("attack == 'JSMA' and eps == '3'")["value"].item()
    assert jsma["label_confidence"] == "high"


def test_clean_accuracies_and_success_rates_stand_beside_the_printed_ones(world, inputs_of):
    made = tables.text_numbers(inputs_of("table-5-text", world, scale="full"))
    frame = made.frame.set_index(["dataset", "model", "quantity", "images"])
    whole = frame.loc[("MNIST", "plain", "clean accuracy", "full test set")]
    assert whole[["reproduced", "published"]].tolist() == [90, 99.17]
    few = frame.loc[("CIFAR-10", "l2-AT", "clean accuracy", "first images")]
    assert few[["reproduced", "published"]].tolist() == [90, 80.7]
    rate = frame.loc[("MNIST", "linf-AT", "success of l1 SparseFool", "first images")]
    assert rate["reproduced"] == pytest.approx(82, abs=0.5)
    assert rate["published"] == 82
    assert made.frame["published"].notna().sum() == 14


def test_every_candidate_step_size_is_listed_with_its_mean_and_the_choice_is_marked(world, inputs_of):
    made = tables.step_sizes(inputs_of("table-5-algorithms", world))
    plain = made.frame.query("dataset == 'MNIST' and model == 'plain'")
    frame = plain.set_index(["norm", "step_size"])
    assert frame.loc[("l2", 0.1), "mean_norm"] == pytest.approx(1.5 * 3.5, abs=0.05)
    assert frame.loc[("l2", 0.5), "success_percent"] == 0
    assert frame.index[frame["chosen"]].get_level_values(1).unique().tolist() == [0.1]
    assert frame.loc[("linf", 0.1), ["algorithm", "direction"]].tolist() == ["3 (PDPGD)", "sign"]
    assert frame.loc[("l2", 0.1), "algorithm"] == "2 (PDGD)"
    assert (made.layout.set_index("norm").loc["l2", "step 0.5"] == "– [0 %]").all()


def test_the_digits_shown_are_those_that_every_attack_fooled(world, inputs_of):
    easy = world.but(failing={"mnist-plain l1-pdpgd": 0.94})
    made = figures.figure_5_1(inputs_of("figure-5-1", easy))
    assert len(made.frame) == 3 * 4 * 10
    shown = made.frame["index"].unique()
    assert len(shown) == 10
    assert (shown % 10 != 9).all()
    assert (shown < 24).all()
    drawn = [axes for axes in made.canvas.axes if axes.images]
    assert len(drawn) == 10 * 13
    strip = made.frame[(made.frame["model"] == "plain") & (made.frame["norm"] == "l2")]
    np.testing.assert_allclose(strip["size"], world.distance("mnist-plain", "l2")[strip["index"]], rtol=1e-6)


def test_curves_start_at_the_clean_accuracy_and_fall_to_what_an_attack_cannot_fool(world, inputs_of):
    made = figures.curves(inputs_of("figure-5-curves", world))
    curve = made.frame[(made.frame["norm"] == "l2") & (made.frame["attack"] == "DF")]
    assert curve["robust_accuracy"].iloc[0] == 90
    assert curve["robust_accuracy"].iloc[-1] == pytest.approx(90 * 0.24, abs=1)
    assert (curve["robust_accuracy"].diff().dropna() < 0).all()
    assert all(axes.get_xlabel() for axes in made.canvas.axes)


def test_the_mean_is_the_area_under_the_curve_of_robust_accuracy(world, inputs_of):
    """The identity that ties both kinds of table: the mean is the integral of the accuracy over its start."""
    inputs = inputs_of("table-5-2", world, scale="full")
    pdpgd, radii = column(inputs, "l1", "PDPGD-100"), np.linspace(0, 7, 701)
    accuracy = pdpgd.robust(inputs.results, radii).mean(0)
    area = np.trapezoid(accuracy, radii) / inputs.results.correct.mean()
    assert mean_distance(pdpgd.sizes(inputs.results)) == pytest.approx(area, rel=1e-3)
