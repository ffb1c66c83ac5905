"""Tables and figures of chapter 5 on the printed numbers."""

from __future__ import annotations

import pytest

from gauntlet.works.chen2021.width import diagrams, figures, tables


def test_table_5_1_has_every_printed_cell_beside_ours(printed, inputs_of):
    table = tables.table_5_1(inputs_of("table-5-1", printed, "full"))
    assert table.frame["published"].notna().all() and table.frame["reproduced"].notna().all()
    shares = table.frame[~table.frame["metric"].str.endswith("_spread")]
    assert len(shares) == 99
    assert shares["difference"].abs().max() < 0.06


def test_table_5_2_has_every_printed_cell_beside_ours(printed, inputs_of):
    table = tables.table_5_2(inputs_of("table-5-2", printed, "full"))
    shares = table.frame[table.frame["metric"] == "robust_accuracy"]
    assert len(shares) == 96
    assert shares["difference"].abs().max() < 0.06


def test_table_5_3_counts_the_hours_of_every_training(printed, inputs_of):
    """Six lambdas by hand, one network and six thin ones otherwise."""
    frame = tables.table_5_3(inputs_of("table-5-3", printed, "full")).frame
    assert len(frame) == 27 and frame["published"].notna().all()
    widest = frame[frame["model"] == "WRN-34-10"].set_index(["tuning", "metric"])["reproduced"]
    hours = [widest[tuning, "gpu_hours_total"] for tuning in ("N/A", "Manual", "WAR")]
    assert hours == pytest.approx([50, 192, 50])
    assert [widest[tuning, "lambda"] for tuning in ("N/A", "Manual", "WAR")] == pytest.approx(
        [6, 18, 16.43 * 1.01]
    )
    assert widest["WAR", "robust_accuracy_pgd20"] == pytest.approx(56.46, abs=0.06)


def test_table_5_4_reproduces_trades_alone_of_the_quoted_rows(printed, inputs_of):
    frame = tables.table_5_4(inputs_of("table-5-4", printed, "full")).frame
    assert sorted(frame.loc[frame["reproduced"].notna(), "defence"]) == ["TRADES", "WAR", "WAR", "WAR"]
    quoted = frame[frame["origin"] == "quoted"]
    assert len(quoted) == 7
    assert quoted.loc[quoted["reproduced"].notna(), "defence"].tolist() == ["TRADES"]


@pytest.mark.parametrize("scale", ["demo", "small"])
def test_tables_of_reduced_scales_keep_the_rows_that_are_left_out(scale, printed, inputs_of):
    table = tables.table_5_1(inputs_of("table-5-1", printed, scale))
    absent = table.frame[table.frame["reproduced"].isna() & ~table.frame["metric"].str.endswith("_spread")]
    assert len(absent) and absent["published"].notna().all()
    assert any("stand in" in note for note in table.notes)


def test_figure_5_3_takes_each_width_at_its_most_robust_epoch(printed, inputs_of):
    frame = figures.figure_5_3(inputs_of("figure-5-3", printed, "full")).frame
    best = frame[frame["series"] == "best epoch"]
    assert best["robust accuracy"].tolist() == pytest.approx([55.0, 55.02, 55.05, 55.1])
    assert best["natural accuracy"].tolist() == pytest.approx([84.0, 84.02, 84.05, 84.1])


def test_curves_show_the_first_training_of_each_width(printed, inputs_of):
    losses = figures.figure_5_1(inputs_of("figure-5-1", printed, "full")).frame
    assert losses["series"].unique().tolist() == ["width 1", "width 10"]
    last = losses[losses["epoch"] == printed.epochs].set_index("width")
    assert last["natural_loss"].tolist() == pytest.approx([0.7, 0.4])
    slopes = figures.figure_5_4(inputs_of("figure-5-4", printed, "full")).frame
    assert slopes["width"].unique().tolist() == [1, 5, 10]


def test_table_5_3_tells_the_ratio_of_losses_that_war_aims_at(printed, inputs_of):
    notes = tables.table_5_3(inputs_of("table-5-3", printed, "full")).notes
    assert any("aims at a ratio of 30 " in note and "lambda 6 the one here had 30." in note for note in notes)


def test_schedules_are_those_of_section_5_0(printed, inputs_of):
    frame = figures.figure_5_5(inputs_of("figure-5-5", printed, "full")).frame
    rates = frame.pivot_table(index="epoch", columns="series", values="learning_rate")
    assert rates.loc[[74, 75, 89, 90], "step-wise"].tolist() == pytest.approx([0.1, 0.01, 0.01, 0.001])
    assert rates.loc[[74, 75, 100], "exponential decay"].tolist() == pytest.approx([0.1, 0.05, 0.1 / 2**26])
    assert rates.loc[[1, 51], "cosine"].tolist() == pytest.approx([0.1, 0.05])


def test_the_sketch_names_what_the_sets_measure(printed, inputs_of):
    sketch = diagrams.figure_5_2(inputs_of("figure-5-2", printed, "full"))
    assert sketch.frame["share"].tolist() == ["natural accuracy", "perturbation stability"]
