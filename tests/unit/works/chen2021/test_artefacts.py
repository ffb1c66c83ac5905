"""Tables and figures of chapters 2 and 3 hold what was observed, beside what was published."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gauntlet.analysis.intervals import wilson
from gauntlet.reporting.formatting import grid_of, to_markdown
from gauntlet.works.chen2021.frank_wolfe import figures as frank_wolfe_figures
from gauntlet.works.chen2021.frank_wolfe import tables as frank_wolfe_tables
from gauntlet.works.chen2021.frank_wolfe.tuning import chosen
from gauntlet.works.chen2021.hard_label import figures, pictures, tables
from gauntlet.works.chen2021.layout import with_names


def row(frame, **where):
    """Return the one row of a frame that has these values."""
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1, frame
    return frame.iloc[0]


def test_white_box_tables_report_the_images_that_did_not_tune(world, inputs_of):
    inputs = inputs_of("table-2-1", world, tuning=20, printed={})
    table = frank_wolfe_tables.white_box(inputs)
    rows = inputs.results.one(procedure="pgd-0.2").rows.iloc[20:]
    cell = row(table.frame, method="PGD", metric="attack_success_rate")
    assert cell["reproduced"] == 100 and cell["published"] == 100
    assert cell["ci_low"] == pytest.approx(100 * wilson(len(rows), len(rows)).low)
    assert row(table.frame, method="FGSM", metric="attack_success_rate")["published"] == 21.5
    iterations = row(table.frame, method="PGD", metric="iterations_mean")
    assert iterations["reproduced"] == pytest.approx(rows["iterations"].mean())
    assert iterations["published"] == 6.2
    assert row(table.frame, method="FW", metric="distortion_mean")["published"] == 0.256
    assert "(6.2)" in to_markdown(grid_of(table))


def test_distortions_of_the_robust_network_are_in_255ths(world, inputs_of):
    table = frank_wolfe_tables.white_box(inputs_of("table-2-4", world, tuning=20))
    cell = row(table.frame, method="FW", metric="distortion_mean")
    assert cell["reproduced"] == pytest.approx(0.3 * 0.5 * 255, rel=0.01)
    assert cell["published"] == 7.48


def test_the_grid_is_searched_on_the_first_images_alone(world, inputs_of):
    """A setting that is worse on the tuning images and better on all others is not chosen."""

    class TwoSettings(type(world)):
        def procedures(self, name):
            made = super().procedures(name)
            used, columns = made["pgd-0.2"]
            slow_then_fast = np.where(np.arange(self.images) < 20, 19, 1)
            return {**made, "pgd-0.5": (used, {**columns, "iterations": slow_then_fast})}

    grid = inputs_of("table-2-1", TwoSettings()).results.where(method="PGD")
    assert chosen(grid, 20).label("procedure") == "pgd-0.2"
    assert chosen(grid, 600).label("procedure") == "pgd-0.5"

    inputs = inputs_of("table-2-1", TwoSettings(), printed={"mnist": {"PGD": {"share": 0.5}}})
    rows = frank_wolfe_tables.white_box(inputs).frame
    main, searched = (row(rows, method=each, metric="iterations_mean") for each in ("PGD", "PGD, searched"))
    assert (main["setting"], main["reproduced"], main["published"]) == ("pgd-0.5", 1, 6.2)
    assert searched["setting"] == "pgd-0.2"
    assert np.isnan(searched["published"])


def test_black_box_tables_charge_failures_the_limit(world, inputs_of):
    table = frank_wolfe_tables.table_2_3(inputs_of("table-2-3", world))
    cells = {
        metric: row(table.frame, dataset="MNIST", method="NES-PGD", metric=metric)
        for metric in ("attack_success_rate", "queries_mean_all", "queries_mean_success", "time_mean")
    }
    rate = cells["attack_success_rate"]["reproduced"] / 100
    expected = rate * cells["queries_mean_success"]["reproduced"] + (1 - rate) * 10_000
    assert cells["queries_mean_all"]["reproduced"] == pytest.approx(expected)
    assert cells["queries_mean_all"]["published"] == 5349.0
    assert cells["time_mean"]["reproduced"] == pytest.approx(9.0 / 600)
    assert (
        row(table.frame, dataset="ImageNet", method="FW, Gaussian", metric="time_mean")["published"] == 50.6
    )
    assert table.frame["reproduced"].notna().all(), "every published cell has its counterpart"
    assert "MNIST" in to_markdown(grid_of(table))


def test_the_table_of_the_robust_network_has_all_five_attacks(world, inputs_of):
    table = frank_wolfe_tables.table_2_5(inputs_of("table-2-5", world))
    assert row(table.frame, method="FW, Gaussian", metric="attack_success_rate")["published"] == 16.8
    assert table.frame[["reproduced", "published"]].notna().all(axis=None)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_hard_label_tables_average_over_successes(number, world, inputs_of):
    inputs = inputs_of(f"table-3-{number}", world)
    table = tables.natural(inputs)
    queries = inputs.results.one(method="HSJA").column("queries_to_success").dropna()
    assert row(table.frame, method="HSJA", metric="queries_median_success")["reproduced"] == queries.median()
    both = table.frame[table.frame["method"] != "OPT, own stop"].dropna(subset="published")
    assert len(both) == 13 and both["reproduced"].notna().all()


@pytest.mark.parametrize("number", [5, 6, 7, 8, 9])
def test_robust_tables_pair_every_published_number(number, world, inputs_of):
    name = list(world.robust)[number - 5]
    inputs = inputs_of(f"table-3-{number}", world, scale="full")
    table = tables.robust(inputs)
    both = table.frame.dropna(subset="published")
    assert len(both) == 13 and both["reproduced"].notna().all()
    cell = row(table.frame, method="RayS", metric="robust_accuracy")
    assert cell["reproduced"] == pytest.approx(100 * world.robust[name], abs=0.2)
    adbd = row(table.frame, method="RayS", metric="adbd")
    assert adbd["reproduced"] == pytest.approx(inputs.results.one(method="RayS").column("best_linf").mean())


def test_success_curves_end_at_the_success_rates(world, inputs_of):
    figure = frank_wolfe_figures.figure_2_1(inputs_of("figure-2-1", world))
    ours = figure.frame[figure.frame["role"].eq("MNIST") & figure.frame["series"].eq("NES-PGD")]
    assert ours["share"].max() == pytest.approx(88.0, abs=0.2)
    assert ours["published"].dropna().tolist() == [96.8]


def test_hard_label_curves_have_a_panel_for_each_network(world, inputs_of):
    figure = figures.figure_3_2(inputs_of("figure-3-2", world))
    ends = figure.frame.dropna(subset="published")
    assert ends.groupby("role").size().tolist() == [4, 4, 4, 4]
    assert len(figure.canvas.axes) == 4


def test_convergence_ends_at_the_table(world, inputs_of):
    figure = figures.figure_3_3(inputs_of("figure-3-3", world, scale="full"))
    trace = figure.frame[figure.frame["defence"].eq("TRADES") & figure.frame["counted"].eq("queries")]
    assert trace["position"].is_monotonic_increasing
    assert trace["robust_accuracy"].iloc[-1] == pytest.approx(57, abs=0.2)
    assert trace["published_adbd_at_end"].iloc[0] == 0.04
    assert figure.frame["published_adbd_at_end"].notna().all()


def test_the_fast_check_drops_what_is_not_adversarial_at_the_best_radius(world, inputs_of):
    frame = pictures.figure_3_1(inputs_of("figure-3-1", world)).frame.set_index("direction")
    assert frame.loc["flip 2", "boundary_radius"] < frame.loc["best", "boundary_radius"]
    assert frame.loc["flip 1", "boundary_radius"] > frame.loc["best", "boundary_radius"]
    assert frame["crosses"].tolist() == [True, False, True]
    for name, direction in (("best", [1, 1]), ("flip 2", [1, -1])):
        unit = np.array(direction) / np.sqrt(2)
        assert pictures.across(frame.loc[name, "boundary_radius"] * unit) == pytest.approx(0, abs=1e-9)


def test_every_kind_of_access_sees_the_label(world, inputs_of):
    frame = pictures.figure_1_2(inputs_of("figure-1-2", world)).frame
    assert frame[frame["part"] == "label"]["visible"].all()
    assert frame.groupby("access")["visible"].sum().to_dict() == {
        "white-box": 4,
        "black-box": 2,
        "hard-label": 1,
    }


@pytest.mark.parametrize(
    ("attack", "variant", "name"),
    [
        ("FW", "Opt I (Sphere)", "FW, sphere"),
        ("FW", "Gaussian (option II)", "FW, Gaussian"),
        ("FW-white", "white-box", "FW"),
        ("Nattack", float("nan"), "NAttack"),
    ],
)
def test_published_attacks_get_our_names(attack, variant, name):
    published = pd.DataFrame({"attack": [attack], "variant": [variant], "value": [1.0]})
    assert with_names(published)["method"].tolist() == [name]
