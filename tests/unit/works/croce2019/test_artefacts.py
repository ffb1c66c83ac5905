"""Tables and figures hold what their definition gives by hand, beside the printed numbers."""

from __future__ import annotations

import numpy as np
import pytest

from gauntlet.works.croce2019.linear_regions import figures, tables


def test_robust_accuracies_count_images_found_within_the_radius(world, inputs_of):
    made = tables.robust_accuracies(inputs_of("table-2", world, scale="full"))
    frame = made.frame.set_index(["model", "eps", "attack"])
    # True distances of the plain model are spread evenly over 0.36 to 3.24.
    expected = {("ours", 1.5): (3.24 - 1.5) / 2.88, ("CW-10k", 2.0): (3.24 - 2.0 / 1.1) / 2.88}
    for (attack, eps), share in expected.items():
        row = frame.loc[("plain", eps, attack)]
        assert row["reproduced"] == pytest.approx(share, abs=0.003)
        assert row["ci_low"] < share < row["ci_high"]
    assert frame.loc[("plain", 2.0, "ours"), "published"] == 0.002
    assert frame.loc[("plain", 0.0, tables.CLEAN), "reproduced"] == 1
    few, many = (frame.loc[("linf-at", 2.0, attack), "reproduced"] for attack in ("PGD-1", "PGD-10k"))
    assert few > many


@pytest.mark.parametrize(("scale", "restarts"), [("demo", 3), ("full", "10,000")])
def test_headers_say_what_was_run(scale, restarts, world, inputs_of):
    made = tables.robust_accuracies(inputs_of("table-2", world, scale=scale))
    assert list(made.layout.columns) == [
        "model", "eps", "clean", "PGD, 1 restart", f"PGD, {restarts} restarts", "CW, 100 iterations",
        "CW, 1,000 iterations", "DF", "ours",
    ]  # fmt: skip


def test_a_misclassified_image_is_never_robust(world, inputs_of):
    inputs = inputs_of("table-2", world, scale="full")
    frame = inputs.results.tables["mnist-plain"].frame
    frame["correct"] = frame["index"] % 2 == 0
    made = tables.robust_accuracies(inputs).frame
    found = made[made["model"] == "plain"].set_index(["eps", "attack"])["reproduced"]
    assert found[0.0, tables.CLEAN] == 0.5
    assert found.max() == 0.5


@pytest.mark.parametrize(
    ("table", "models", "minimizers"), [(2, 3, 4), (3, 3, 4), (4, 3, 4), (5, 4, 4), (6, 4, 4), (7, 2, 2)]
)
def test_the_accuracy_under_an_attack_that_minimizes_never_rises_with_the_radius(
    table, models, minimizers, world, inputs_of
):
    """Whatever an attack finds: here it fails on some images, and distances are drawn at random."""
    inputs = inputs_of(f"table-{table}", world, scale="full")
    generator = np.random.default_rng(table)
    for result in inputs.results.tables.values():
        frame = result.frame
        frame["l2"] = generator.lognormal(-0.5, 1.0, len(frame))
        frame["success"] = generator.random(len(frame)) < 0.8
        frame["correct"] = (generator.random(world.images) < 0.9)[frame["index"]]
    made = tables.robust_accuracies(inputs).frame
    rows = made[made["reproduced"].notna() & ~made["attack"].isin(["PGD-1", "PGD-1k", "PGD-10k"])]
    clean = rows[rows["attack"] == tables.CLEAN].set_index("model")["reproduced"]
    curves = rows[rows["eps"] > 0].sort_values("eps").groupby(["model", "attack"])["reproduced"]
    assert len(curves) == models * minimizers
    for (model, _), curve in curves:
        assert curve.size == 5
        assert clean[model] >= curve.iloc[0] > curve.iloc[-1]
        assert curve.is_monotonic_decreasing


def test_table_1_averages_the_differences_to_the_best(world, inputs_of):
    made = tables.difference_to_best(inputs_of("table-1", world, scale="full")).frame
    ours = made[made["dataset"] == "MNIST"].set_index(["statistic", "attack"])
    assert ours.loc[("max", "PGD-10k"), "published"] == 0.504
    # On the l2-trained model PGD-10k finds 0.9 of the true distance, spread evenly over 0.66 to 5.94.
    radii = np.array([1.0, 1.5, 2.0, 2.5, 3.0])
    behind = ((5.94 - radii) - (5.94 - radii / 0.9)) / 5.28
    assert ours.loc[("max", "ours"), "reproduced"] == pytest.approx(behind.max(), abs=0.003)
    assert ours.loc[("mean", "ours"), "reproduced"] == pytest.approx(behind.sum() / 15, abs=0.003)


def test_costs_stand_beside_the_printed_hours(world, inputs_of):
    world = world.but(passes={"pgd-0.1": 900})
    rows = tables.passes(inputs_of("table-runtime", world, scale="full")).frame.set_index("attack")
    columns = ["forward_passes", "seconds_per_image", "published_runtime", "published_unit"]
    assert rows.loc["PGD, 10,000 restarts", columns].tolist() == [900, 0.5, 18, "hours"]
    assert rows.loc["ours", columns].tolist() == [90000, 0.5, 150, "hours"]
    assert rows.loc["DF", columns].tolist() == [30, 0.5, 1, "minutes"]


@pytest.mark.parametrize(("number", "parameter", "series"), [(1, "q", 6), (2, "gamma", 9)])
def test_curves_are_the_statistics_of_the_recorded_distances(number, parameter, series, world, inputs_of):
    made = figures.convergence(inputs_of(f"figure-{number}", world))
    assert made.frame["series"].nunique() == series
    value = 1.0 if parameter == "q" else 9.0
    curve = made.frame[(made.frame[parameter] == value) & (made.frame["regions"] == 50)]
    # Final distances are spread evenly over 0.8 to 1.2.
    found = curve.set_index("statistic")["l2"]
    assert found["median"] == pytest.approx(1.0)
    assert found["mean"] == pytest.approx(1.0)
    assert found["maximum"] == pytest.approx(1.195)
    assert len(made.canvas.axes) == 3
    assert made.frame["regions"].min() == 0
    assert all(min(line.get_xdata()) == 1 for axes in made.canvas.axes for line in axes.lines)
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in made.canvas.axes)


def test_a_run_is_shown_from_the_training_image_to_the_target(world, inputs_of):
    inputs = inputs_of("figure-5", world)
    made = figures.figure_5(inputs)
    first = made.frame[made.frame["run"] == "gts-plain"]
    assert first["tile"].tolist() == ["training image", "start", "accepted 1", "accepted 2", "final"]
    assert first["distance"].tolist() == pytest.approx([4.0, 2.0, 1.6, 1.2, 1.0])
    assert len(made.canvas.axes) == 3 * 6
    tiles, clean = figures.split_tiles(inputs.results.where(run="gts-plain"), 0)
    assert len(tiles) == 6
    np.testing.assert_array_equal(tiles[0], clean)


def test_the_start_stands_beside_its_regions_solution(world, inputs_of):
    made = figures.figure_6(inputs_of("figure-6", world))
    assert made.frame["start_distance"].tolist() == [2.0, 2.0]
    assert made.frame["solution_distance"].tolist() == [1.0, 1.0]
    assert (made.frame["between"] > 0).all()
