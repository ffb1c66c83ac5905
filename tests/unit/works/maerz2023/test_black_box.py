"""The BOBYQA attack's tables, figures and claims on made-up runs, and the intervals they use."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gauntlet.reporting.inputs import EvaluationResult
from gauntlet.reporting.statistics import wilson
from gauntlet.works.maerz2023 import black_box_artefacts, claims_black_box
from gauntlet.works.maerz2023.perturbations.black_box import (
    RADII,
    matched,
    runs,
    spent,
)

Rates = Mapping[str, Sequence[float]]
RATES: Rates = {
    "natural": (0.5, 0.9, 0.98), "madry": (0.01, 0.03, 0.08), "locus": (0.02, 0.05, 0.1),
    "salman": (0.02, 0.03, 0.03),
}  # fmt: skip
NOTHING: Mapping[str, Any] = {}
QUERIES: Rates = {
    "natural": (1500, 800, 300), "madry": (1500, 800, 300), "locus": (1500, 800, 300),
    "salman": (15, 15, 15),
}  # fmt: skip
Made = dict[str, EvaluationResult]


@pytest.fixture
def attacked(saved: Callable[..., EvaluationResult]) -> Callable[..., Made]:
    """Return a function that writes runs in which the first pairs succeed, as many as the rates say."""

    def write(
        rates: Rates = NOTHING,
        queries: Rates = NOTHING,
        *,
        pairs: int = 400,
        per_image: int = 1,
        wrong: Mapping[str, int] = NOTHING,
        budget: int = 2000,
    ) -> Made:
        made = {}
        for defence, shares in (RATES | rates).items():
            for names, radii in (
                [(f"-{radius}", [radius]) for radius in RADII] if defence == "salman" else [("", RADII)]
            ):
                frames, procedures = [], {}
                for radius in radii:
                    share = shares[RADII.index(radius)]
                    cost = (QUERIES | queries)[defence][RADII.index(radius)]
                    kinds = ("bobyqa", "corners", *(["noiseless"] if defence == "salman" else []))
                    for kind in kinds:
                        place = np.arange(pairs)
                        won = place < round(share * pairs) if kind != "corners" else place < 2
                        frame = pd.DataFrame(
                            {
                                "procedure": f"{kind}-{radius}", "index": place // per_image, "label": 0,
                                "target": 1 + place % per_image, "success": won, "queries": 900.0,
                                "correct": place >= wrong.get(defence, 0), "linf": 0.01,
                                "prediction": np.where(won, 1 + place % per_image, 0),
                                "prediction_confidence": 0.6, "confidence": (place % 7) / 7,
                            }
                        )  # fmt: skip
                        if kind != "corners":
                            # Later pairs are quicker, so that the first success is not the cheapest.
                            frame["queries_to_success"] = np.where(won, cost - place / pairs, np.nan)
                        if kind == "bobyqa" and defence == "salman":
                            frame["smoothed_prediction"] = np.where(place % 2, frame["prediction"], 0)
                        frames.append(frame)
                        procedures[f"{kind}-{radius}"] = {"eps": int(radius) / 255, "budget": budget}
                clean = frames[0].assign(procedure="clean", queries_to_success=np.nan)
                manifest = {
                    "specification": {
                        "model": f"maerz-{defence}", "dataset": "made-up", "procedures": procedures,
                        "keep_images": 5,
                    },
                    "selection": {"samples": pairs, "skipped": [3, 5]},
                }  # fmt: skip
                name = f"bobyqa-{defence}{names}"
                made[name] = saved(name, pd.concat([clean, *frames]), manifest)
        return made

    return write


def test_runs_are_matched_pair_by_pair(attacked, inputs):
    found = runs(inputs(evaluations=attacked(pairs=40, per_image=4, wrong={"madry": 6})))
    assert list(found)[:4] == [("natural", "3"), ("natural", "6"), ("natural", "9"), ("madry", "3")]
    natural, madry = found["natural", "3"], found["madry", "3"]
    assert (len(natural.pairs), len(madry.pairs)) == (40, 34)
    assert (natural.passed_over, madry.passed_over) == (2, 8)
    (first, second), images = matched([natural, madry])
    assert len(first) == len(second) == 34 and first.index.equals(second.index)
    assert set(images) == set(range(1, 10))
    assert spent(second, 2000).min() == 2000


def test_the_share_grows_with_the_queries(attacked, inputs):
    run = runs(inputs(evaluations=attacked(pairs=100)))["natural", "9"]
    assert [run.rate(queries).estimate for queries in (200, 299.5, 300, 2000)] == [0, 0.48, 0.98, 0.98]
    assert run.rate() == wilson(98, 100)


FILES = ("table_4_7.csv", "released_bobyqa_attacks.csv", "released_figure_4_12.csv")


def test_table_4_7_counts_what_was_attacked(attacked, inputs, published):
    found = attacked(pairs=90, per_image=9, wrong={"locus": 9})
    table = black_box_artefacts.table_4_7(inputs(evaluations=found, published=published(*FILES)))
    frame = table.frame.set_index(["defence", "published_eps"])
    natural, locus = frame.loc[("Natural", "9/255")], frame.loc[("LocusLab", "9/255")]
    assert (natural["pairs"], natural["images"], natural["passed_over"]) == (90, 10, 2)
    assert (natural["successes"], natural["reproduced"]) == (88, pytest.approx(88 / 90))
    assert (locus["pairs"], locus["images"], locus["passed_over"]) == (81, 9, 11)
    assert locus["successes"] == 0 and np.isnan(locus["median_queries"])
    assert natural["median_queries"] == pytest.approx(300 - 43.5 / 90)
    assert natural["random_corners"] == pytest.approx(2 / 90)
    smoothed = frame.loc[("HadiSalman", "9/255")]
    assert smoothed["smoothed_success"] == pytest.approx(1 / 90), "of pairs 0 to 2 the second one"
    assert smoothed["without_noise"] == pytest.approx(3 / 90)
    assert set(frame["published_pairs"]) == {500}
    assert frame["recorded_attacks"].tolist() == [500] * 3 + [473] * 3 + [401] * 3 + [248, 158, 153]
    attacks = frame["published_attacked"].tolist()
    assert attacks == [500] * 3 + [455] * 3 + [392] * 3 + [176, 113, 99]
    assert frame.loc[("MadryLab", "9/255"), "published_success"] == pytest.approx(54 / 455, abs=1e-5)
    assert len(table.layout) == 12


def test_table_4_7_has_empty_cells_for_models_that_were_not_attacked(inputs, published):
    frame = black_box_artefacts.table_4_7(inputs(published=published(*FILES))).frame
    assert frame["reproduced"].isna().all() and frame["published_success"].notna().all()


def test_figure_4_12_stands_beside_the_released_curves(attacked, inputs, published):
    found = attacked(pairs=100, budget=2000)
    figure = black_box_artefacts.figure_4_12(inputs(evaluations=found, published=published(*FILES[1:])))
    frame = figure.frame.set_index(["defence", "published_eps", "queries"])
    assert frame.loc[("Natural", "3/255", 1000), "reproduced"] == 0
    assert frame.loc[("Natural", "3/255", 1500), "reproduced"] == 0.5
    assert frame.loc[("HadiSalman", "9/255", 15), "reproduced"] == 0.03
    assert frame.loc[("HadiSalman", "9/255", 15), "without_noise"] == 0.03
    assert np.isnan(frame.loc[("Natural", "3/255", 3000), "reproduced"]), "beyond our budget"
    last = frame.loc[("Natural", "3/255", 3000)]
    assert last["published"] == pytest.approx(0.516129)
    assert (last["published_full_list"], last["published_deduplicated"]) == (0.544, 0.544)
    assert frame.loc[("Natural", "3/255", 2000), "ci_low"] == pytest.approx(wilson(50, 100).low)


def test_the_released_lists_give_the_printed_curves(published):
    """The recorded attacks, cut to the shortest list, have the end points of the released plot."""
    recorded, curves = published(FILES[1]), published(FILES[2])
    plotted = curves["population"].str.startswith("as plotted")
    ends = curves[(curves["queries"] == 3000) & (curves["metric"] == "cdf") & plotted]
    for radius, length in zip(RADII, (248, 158, 153), strict=True):
        lists = black_box_artefacts._plotted(recorded, radius)
        assert {len(costs) for costs in lists.values()} == {length}
        for defence, label in black_box_artefacts.LABELS.items():
            end = ends[
                (ends["defence"] == black_box_artefacts.DEFENCES[defence])
                & (ends["attack_eps"] == f"{radius}/255")
            ]
            share = np.mean(lists[label] < 3000)
            assert share == pytest.approx(float(end["value"].iloc[0]), abs=1e-5)


SETTINGS_4_8 = {
    "training_eps": {
        "madry": dict.fromkeys(RADII, 8 / 255),
        "locus": dict.fromkeys(RADII, 4 / 255),
        "salman": {"3": 0.1, "6": 0.2, "9": 0.3},
    },
    "corrected": {
        "MadryLab": {"architecture": "ResNet50", "training_eps": dict.fromkeys(("3/255", "6/255", "9/255"), 8 / 255)},
        "LocusLab": {
            "architecture": "PreAct ResNet18",
            "training_eps": dict.fromkeys(("3/255", "6/255", "9/255"), 8 / 255),
        },
        "HadiSalman": {
            "architecture": "ResNet110",
            "training_eps": {"3/255": 0.375, "6/255": 0.625, "9/255": 1.0},
        },
    },
}  # fmt: skip


def test_the_printed_set_up_of_the_black_box_tests_is_corrected(attacked, inputs, published):
    frame = black_box_artefacts.table_4_8(
        inputs(settings=SETTINGS_4_8, evaluations=attacked(pairs=10), published=published("table_4_8.csv"))
    ).frame
    # Of the nine rows only two MadryLab rows are printed right.
    agreeing = frame.loc[frame["agrees"], ["defence", "published_attack_eps"]]
    assert agreeing.to_numpy().tolist() == [["MadryLab", "6/255"], ["MadryLab", "9/255"]]
    assert frame["model"].tolist() == ["maerz-madry"] * 3 + ["maerz-locus"] * 3 + ["maerz-salman"] * 3
    assert frame["training_eps"].tolist() == [8 / 255] * 3 + [4 / 255] * 3 + [0.1, 0.2, 0.3]
    np.testing.assert_allclose(frame["attack_eps"], np.tile([3, 6, 9], 3) / 255)


@pytest.fixture
def split(tmp_path: Path) -> dict[str, Path]:
    """A prepared split of ten colour images."""
    folder = tmp_path / "split"
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (10, 3, 8, 8), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", np.zeros(10, dtype=np.int64))
    manifest = {"shape": list(images.shape), "classes": ["cat", "dog", "fox"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return {"made-up/test": folder}


def _keep(result: EvaluationResult) -> None:
    images = np.random.default_rng(0).random((5, 3, 8, 8), dtype=np.float32)
    attacks = {name: np.clip(images + 0.01, 0, 1) for name in ("bobyqa-3", "bobyqa-9")}
    np.savez(result.path.with_suffix(".npz"), clean=images, **attacks)


def test_examples_show_a_success_by_their_rule(attacked, inputs, split):
    """Confidences rise with the place of the pair, and so does the speed; of ten pairs, the first five are kept."""
    found = attacked({"natural": (0.4, 0.9, 1), "locus": (0, 0, 0.3)}, pairs=10)
    for name in ("natural", "locus"):
        _keep(found[f"bobyqa-{name}"])
    sure = black_box_artefacts.figure_1_2(
        inputs(evaluations={"bobyqa-natural": found["bobyqa-natural"]}, datasets=split)
    )
    assert sure.frame.loc[0, ["index", "target_class"]].tolist() == [3, "dog"]
    assert sure.frame.loc[0, "clean_confidence"] == pytest.approx(100 * 3 / 7)
    quick = black_box_artefacts.figure_2_6(
        inputs(evaluations={"bobyqa-locus": found["bobyqa-locus"]}, datasets=split)
    )
    assert quick.frame.loc[0, "index"] == 2
    assert quick.frame.loc[0, "queries"] == pytest.approx(299.8)


def test_an_example_without_a_success_says_so(attacked, inputs, split):
    found = attacked({"locus": (0, 0, 0)}, pairs=10)["bobyqa-locus"]
    _keep(found)
    figure = black_box_artefacts.figure_2_6(inputs(evaluations={"bobyqa-locus": found}, datasets=split))
    assert "no pair that was kept reached its target" in figure.caption
    assert np.isnan(figure.frame.loc[0, "queries"])


CLAIMS: dict[str, tuple[dict[str, object], Rates, Rates, Rates]] = {
    # settings; rates where the claim holds; rates and queries where it does not
    "c18": ({}, {}, {"madry": (0.2, 0.1, 0.05)}, {}),
    "c19": ({"reduced": False}, {}, {"locus": (0.02, 0.3, 0.4)}, {}),
    "c20": ({"early": 50, "share": 0.5}, {}, {}, {"salman": (900, 900, 900)}),
    "c21": (
        {"margin": 0.03},
        {"salman": (0.02, 0.05, 0.12)},
        {"madry": (0.1, 0.2, 0.3), "locus": (0, 0, 0)},
        {},
    ),
}


@pytest.mark.parametrize("per_image", [1, 4])
@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_about_the_black_box_attack_follows_the_data(name, per_image, attacked, inputs, published):
    settings, rates, others, queries = CLAIMS[name]
    check = getattr(claims_black_box, name)
    # As many images whether each has one pair or four.
    size = {"pairs": 400 * per_image, "per_image": per_image}
    bounds = published("figure_4_12.csv")
    held = check(inputs(settings=settings, evaluations=attacked(rates, **size), published=bounds))
    assert held.decision == "supported", held.reason
    found = attacked(others, queries, **size)
    broken = check(inputs(settings=settings, evaluations=found, published=bounds))
    assert broken.decision == "contradicted", broken.reason


@pytest.mark.parametrize(
    ("queries", "others"), [({"natural": (300, 800, 1900)}, {}), ({}, {"salman": (0.1, 0.5, 0.95)})]
)
def test_every_part_of_the_claim_about_radii_counts(queries, others, attacked, inputs):
    """Queries that rise at equal success, or a smoothed model that reacts more than the others, contradict it."""
    rates = {"natural": (0.9, 0.9, 0.95)} if queries else others
    verdict = claims_black_box.c18(inputs(evaluations=attacked(rates, queries)))
    assert verdict.decision == "contradicted", verdict.reason


@pytest.mark.parametrize(
    ("rates", "decision"), [({}, "supported"), ({"madry": (0.9, 0.95, 1.0)}, "contradicted")]
)
def test_the_reduced_form_compares_with_the_natural_model(rates, decision, attacked, inputs):
    verdict = claims_black_box.c19(inputs(settings={"reduced": True}, evaluations=attacked(rates)))
    assert verdict.decision == decision, verdict.reason


@pytest.mark.parametrize("name", ["c18", "c19", "c21"])
def test_ten_pairs_leave_claims_about_rare_successes_open(name, attacked, inputs, published):
    settings = CLAIMS[name][0]
    found = attacked({"madry": (0, 0, 0.1), "locus": (0, 0, 0.1), "salman": (0, 0, 0.1)}, pairs=10)
    verdict = getattr(claims_black_box, name)(
        inputs(settings=settings, evaluations=found, published=published("figure_4_12.csv"))
    )
    assert verdict.decision == "inconclusive", verdict.reason


def test_successes_of_single_draws_are_told_from_those_of_the_smoothed_classifier(attacked, inputs):
    """Of 2 + 3 + 3 successful pairs the odd ones, one at each radius, are confirmed."""
    verdict = claims_black_box.c20(
        inputs(settings={"early": 50, "share": 0.5}, evaluations=attacked(pairs=100))
    )
    assert verdict.numbers["final images confirmed by the smoothed classifier"] == 3
    assert "of the 8 successes" in verdict.reason and "Asked without noise" in verdict.reason


def test_early_successes_cannot_be_judged_without_any(attacked, inputs):
    verdict = claims_black_box.c20(
        inputs(settings={"early": 50, "share": 0.5}, evaluations=attacked({"salman": (0, 0, 0)}))
    )
    assert verdict.decision == "not testable"
