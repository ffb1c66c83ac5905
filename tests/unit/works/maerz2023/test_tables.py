"""Tables hold what their definition gives by hand, beside the printed numbers."""

from __future__ import annotations

import numpy as np
import pytest

from gauntlet.analysis.published import published_value
from gauntlet.works.maerz2023.perturbations import tables, taxonomy
from gauntlet.works.maerz2023.versions import STEPS


def test_the_accuracy_averages_over_seven_perturbations(world, inputs_of):
    """Uniform, boundary and five gradient attacks; of the latter 40 % (linf: 10 %) stay in the top 2."""
    table = tables.accuracies(inputs_of("table-4-3", world)).frame
    top1, top2 = (table[table["metric"] == f"top-{k}"] for k in (1, 2))
    np.testing.assert_allclose(top1["reproduced"], 100 * 2 / 7)
    np.testing.assert_allclose(top1["gradient_attacks_only"], 0)
    np.testing.assert_allclose(top2[top2["norm"] == "l2"]["reproduced"], 100 * (2 + 5 * 0.4) / 7)
    np.testing.assert_allclose(top2[top2["norm"] == "linf"]["reproduced"], 100 * (2 + 5 * 0.1) / 7)
    assert (top2["ci_low"] < top2["reproduced"]).all() and (top2["reproduced"] < top2["ci_high"]).all()


@pytest.mark.parametrize(("number", "radius", "mean"), [(3, "l2", 31.12), (4, "l1", 30.22)])
def test_the_printed_means_stand_in_the_last_row(number, radius, mean, world, inputs_of):
    frame = tables.accuracies(inputs_of(f"table-4-{number}", world, top=[1])).frame
    last = frame[(frame["decay"] == "mean of the four") & (frame["norm"] == radius)]
    assert last["published"].tolist() == [mean]
    assert frame["published"].notna().all()


@pytest.mark.parametrize(
    ("metric", "randomized", "noise"),
    [("top1", False, 1.976), ("top1", True, 1.978), ("top5", False, 2.0), ("top5", True, 2.0)],
)
def test_released_accuracies_reproduce_the_printed_averages(metric, randomized, noise, published):
    """The printed mean over seven perturbations is that of the released step values and nearly clean noise."""
    numbers = published("table_4_3.csv", "released_step_schemes.csv")
    for decay in ("harmonic", "geometric"):
        scheme = {"decay": decay, "rand": randomized, "metric": f"{metric}_accuracy"}
        steps = sum(
            published_value(
                numbers, file="released_step_schemes.csv", defence="natural", steps=count, **scheme
            )
            for count in STEPS
        )
        printed = published_value(
            numbers, file="table_4_3.csv", attack_norm="inf", attack_eps="3/255", **scheme
        )
        assert 100 * (steps + noise) / 7 == pytest.approx(printed, abs=0.0051)


def test_every_released_accuracy_stands_beside_ours(world, inputs_of):
    """Of the natural model 10 % stay in the top 2 under decaying steps; defended models are right on half."""
    frame = tables.table_step_schemes(
        inputs_of("table-step-schemes", world.but(only="attacks"), top=[1, 2, 5])
    ).frame
    assert frame["published"].notna().sum() == 180 and frame["reproduced"].notna().all()
    cells = frame.set_index(["defence", "metric", "decay", "rand", "steps"])
    first = cells.loc[("MadryLab", "top1_accuracy", "harmonic", True, 16)]
    assert first[["reproduced", "published"]].tolist() == [50.0, pytest.approx(71.0)]
    assert cells.loc[("Natural", "top2_accuracy", "geometric", False, 4), "reproduced"] == pytest.approx(10)


def test_loss_quantiles_pool_gradient_attacks_of_all_schemes(world, inputs_of):
    """Losses spread evenly around level x step factor, so that the median is that of 4 steps: the level."""
    frame = tables.table_4_5(inputs_of("table-4-5", world)).frame.set_index(["radius", "quantile"])
    first = frame.loc["linf, eps=6/255"]
    pool = np.concatenate(
        [18 * factor * (0.9 + 0.2 * (np.arange(100) + 0.5) / 100) for factor in world.steps.values()]
    )
    assert first.loc["50 %", "reproduced"] == pytest.approx(np.percentile(pool, 50))
    assert first.loc["10 %", "reproduced"] == pytest.approx(np.percentile(pool, 10))
    assert first.loc["50 %", "last_scheme"] == pytest.approx(np.percentile(pool, 50))
    # Two of seven perturbations are noise with a loss near 0.15, so that the lowest decile is among them.
    assert first.loc["10 %", "with_noise"] < 0.2
    assert first["published"].tolist() == [3.26, 17.64, 39.38]
    assert frame["published"].notna().all()


def test_distortion_quantiles_tell_attack_norm_and_measured_norm_apart(world, inputs_of):
    frame = tables.table_4_6(inputs_of("table-4-6", world)).frame
    cell = frame[(frame["norm"] == "l2") & (frame["measured"] == "l1") & (frame["quantile"] == "50 %")].iloc[
        0
    ]
    assert cell["reproduced"] == pytest.approx(380.0)
    assert cell["published"] == 380.19
    assert len(frame) == 27 and frame["published"].notna().all()


def test_set_up_tables_count_what_was_attacked(world, inputs_of):
    counts = tables.table_4_1(inputs_of("table-4-1", world.but(images=20))).frame
    assert len(counts) == 13
    assert set(counts["images"]) == {20} and set(counts["passed_over"]) == {2}
    assert set(counts["published_images"]) == {500.0}
    trained = tables.table_4_2(inputs_of("table-4-2", world)).frame.set_index("model")
    assert trained.loc["maerz-madry-l2-3", "published_training_eps"] == 3.0
    assert trained.loc["maerz-locus-linf-2", "training_eps"] == pytest.approx(2 / 255)
    assert trained.loc["maerz-locus-linf-2", "published_training_eps"] == pytest.approx(2.5 / 255, abs=1e-9)


def test_taxonomies_mark_one_value_per_dimension(world, inputs_of):
    for name in ("table-1-1", "table-1-2"):
        marks = taxonomy.marked(inputs_of(name, world)).frame.set_index("dimension").iloc[:, 1:] == "×"
        assert marks.shape[1] == 2
        assert (marks.groupby(level=0).sum() == 1).all(axis=None)
    instances = taxonomy.table_2_1(inputs_of("table-2-1", world)).frame
    assert len(instances) == 12
    assert instances.set_index("name").loc["untargeted R-FGSM", "random_start"] == "uniform in the ball"
