"""The BOBYQA attack's tables, figures and claims on made-up runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import wilson
from gauntlet.analysis.verdicts import Verdict
from gauntlet.works.maerz2023.black_box import figures, tables
from gauntlet.works.maerz2023.black_box.pairs import common_pairs, queries_of_pairs, success_rate

InputsOf = Callable[..., ArtefactInputs]
VerdictOf = Callable[[ArtefactInputs], Verdict]
Rates = Mapping[str, Sequence[float]]
RADII = (3, 6, 9)
RATES: Rates = {
    "natural": (0.5, 0.9, 0.98), "madry": (0.01, 0.03, 0.08), "locus": (0.02, 0.05, 0.1),
    "salman": (0.02, 0.03, 0.03),
}  # fmt: skip
QUERIES: Rates = {
    "natural": (1500, 800, 300), "madry": (1500, 800, 300), "locus": (1500, 800, 300), "salman": (15, 15, 15),
}  # fmt: skip
RISING, EARLY, RARELY, NEWER = (
    "larger-radii-help-bobyqa-least-against-smoothing",
    "bobyqa-succeeds-early-on-the-smoothed-model",
    "bobyqa-rarely-succeeds-against-defended-models",
    "newer-defences-do-not-beat-pgd-training",
)


@dataclass(frozen=True)
class World:
    """Runs in which the first pairs succeed, as many as the rates say.

    Attributes:
        rates: share of successes by model and radius.
        queries: about how many a success takes; later pairs are quicker, so that the first is not the cheapest.
        pairs: of an image and a target.
        per_image: pairs per image.
        wrong: leading pairs whose clean image is misclassified, by model.
        budget: of each attack.
        corners_fool: leading pairs that random corners fool; of these only two reach their target.
    """

    rates: Rates = field(default_factory=dict)
    queries: Rates = field(default_factory=dict)
    pairs: int = 400
    per_image: int = 1
    wrong: Mapping[str, int] = field(default_factory=dict)
    budget: int = 2000
    corners_fool: int = 2

    def evaluation(self, name: str) -> tuple[pd.DataFrame, dict[str, Any], dict[str, np.ndarray]]:
        """Return the rows of an evaluation, its manifest and the images of its first five pairs."""
        _, defence, *rest = name.split("-")
        radii = [int(each) for each in rest if each.isdigit()] or RADII
        frames, settings, kept = [self._rows(defence, "clean", RADII[0])], {}, {"clean": self._images(0.0)}
        for each in radii:
            for kind in ("bobyqa", "corners", *(["noiseless"] if defence == "salman" else [])):
                procedure = f"{kind}-{each}"
                frames.append(self._rows(defence, kind, each).assign(procedure=procedure))
                settings[procedure] = {"budget": self.budget}
                kept[procedure] = self._images(0.01)
        manifest = {
            "specification": {"procedures": settings},
            "selection": {"samples": self.pairs, "skipped": [3, 5]},
        }
        return pd.concat(frames, ignore_index=True), manifest, kept

    def _rows(self, defence: str, kind: str, radius: int) -> pd.DataFrame:
        place = np.arange(self.pairs)
        column = RADII.index(radius)
        won = place < round((RATES | self.rates)[defence][column] * self.pairs)
        fooled = won
        if kind == "corners":
            won, fooled = place < 2, place < self.corners_fool
        target = 1 + place % self.per_image
        frame = pd.DataFrame(
            {
                "procedure": kind, "index": place // self.per_image, "label": 0, "target": target,
                "correct": place >= self.wrong.get(defence, 0), "success": fooled,
                "prediction": np.select([won, fooled], [target, 99], 0), "prediction_confidence": 0.6,
                "confidence": (place % 7) / 7, "linf": 0.01, "queries": 900.0,
            }
        )  # fmt: skip
        if kind in ("bobyqa", "noiseless"):
            cost = (QUERIES | self.queries)[defence][column]
            frame["queries_to_success"] = np.where(won, cost - place / self.pairs, np.nan)
        if kind == "bobyqa" and defence == "salman":
            frame["smoothed_prediction"] = np.where(place % 2, frame["prediction"], 0)
        return frame

    def _images(self, shift: float) -> np.ndarray:
        return np.full((5, 3, 8, 8), 0.5 + shift, dtype=np.float32)


def test_runs_are_compared_on_the_pairs_that_both_attacked(inputs_of: InputsOf) -> None:
    results = inputs_of("table-4-8", World(pairs=40, per_image=4, wrong={"madry": 6})).results
    natural, madry = (
        queries_of_pairs(results.one(attack="BOBYQA", defence=defence, radius_255=3))
        for defence in ("Natural", "MadryLab")
    )
    first, second = common_pairs(natural, madry)
    assert (len(natural), len(madry), len(first)) == (40, 34, 34)
    assert first.index.equals(second.index)
    assert set(first.index.get_level_values("index")) == set(range(1, 10))


def test_the_share_of_successes_grows_with_the_queries(inputs_of: InputsOf) -> None:
    run = inputs_of("figure-1-2", World(pairs=100)).results.one(attack="BOBYQA", radius_255=9)
    assert [success_rate(run, limit).estimate for limit in (200, 299.5, 300, 2000)] == [0, 0.48, 0.98, 0.98]
    assert success_rate(run) == wilson(98, 100)


def test_table_4_7_counts_what_was_attacked(inputs_of: InputsOf) -> None:
    table = tables.table_4_7(inputs_of("table-4-7", World(pairs=90, per_image=9, wrong={"locus": 9})))
    frame = table.frame.set_index(["defence", "published_eps"])
    natural, locus = frame.loc[("Natural", "9/255")], frame.loc[("LocusLab", "9/255")]
    assert (natural["pairs"], natural["images"], natural["passed_over"]) == (90, 10, 2)
    assert (natural["successes"], natural["reproduced"]) == (88, pytest.approx(88 / 90))
    assert (locus["pairs"], locus["images"], locus["passed_over"]) == (81, 9, 11)
    assert locus["successes"] == 0 and np.isnan(locus["median_queries"])
    assert natural["median_queries"] == pytest.approx(300 - 43.5 / 90)
    smoothed = frame.loc[("HadiSalman", "9/255")]
    assert smoothed["smoothed_success"] == pytest.approx(1 / 90), "of pairs 0 to 2 the second one"
    assert np.isnan(natural["smoothed_success"]) and np.isnan(natural["without_noise"])
    assert smoothed["without_noise"] == pytest.approx(3 / 90)
    assert frame["released_variant"].isna().all(), "only full scale attacks the released pairs"
    assert set(frame["published_pairs"]) == {500}
    assert frame["recorded_attacks"].tolist() == [500] * 3 + [473] * 3 + [401] * 3 + [248, 158, 153]
    attacked = frame["published_attacked"].tolist()
    assert attacked == [500] * 3 + [455] * 3 + [392] * 3 + [176, 113, 99]
    assert frame.loc[("MadryLab", "9/255"), "published_success"] == pytest.approx(54 / 455, abs=1e-5)
    assert table.layout is not None and len(table.layout) == 12


def test_the_released_pairs_stand_beside_the_random_ones_at_full_scale(inputs_of: InputsOf) -> None:
    frame = tables.table_4_7(inputs_of("table-4-7", World(pairs=50), scale="full")).frame
    assert len(frame) == 12
    np.testing.assert_allclose(frame["released_variant"], frame["reproduced"])
    assert frame["eps"].tolist() == [radius / 255 for radius in RADII] * 4


@pytest.mark.parametrize("corners_fool", [2, 30])
def test_random_corners_count_only_where_they_reach_the_target(
    corners_fool: int, inputs_of: InputsOf
) -> None:
    """Corners that lead to a third class fool the network, which is no success against a target."""
    frame = tables.table_4_7(inputs_of("table-4-7", World(pairs=90, corners_fool=corners_fool))).frame
    assert frame["random_corners"].to_numpy() == pytest.approx(2 / 90)


def test_table_4_8_corrects_the_printed_set_up(inputs_of: InputsOf) -> None:
    frame = tables.table_4_8(inputs_of("table-4-8", World(pairs=10))).frame
    # Of the nine rows only two MadryLab rows are printed right.
    agreeing = frame.loc[frame["agrees"], ["defence", "published_attack_eps"]]
    assert agreeing.to_numpy().tolist() == [["MadryLab", "6/255"], ["MadryLab", "9/255"]]
    models = ["maerz-madry-linf-8", "maerz-locus-linf-4", "maerz-salman"]
    assert frame["model"].tolist() == list(np.repeat(models, 3))
    assert frame["training_eps"].tolist() == [8 / 255] * 3 + [4 / 255] * 3 + [1.0] * 3
    assert frame["checkpoint_training_eps"].tolist() == [8 / 255] * 6 + [0.375, 0.625, 1.0]
    np.testing.assert_allclose(frame["attack_eps"], np.tile([12, 24, 36], 3) / 255)


def test_figure_4_12_stands_beside_the_released_curves(inputs_of: InputsOf) -> None:
    figure = figures.figure_4_12(inputs_of("figure-4-12", World(pairs=100)))
    frame = figure.frame.set_index(["defence", "published_eps", "queries"])
    assert frame.loc[("Natural", "3/255", 1000), "reproduced"] == 0
    assert frame.loc[("Natural", "3/255", 1500), "reproduced"] == 0.5
    assert frame.loc[("HadiSalman", "9/255", 15), "reproduced"] == 0.03
    assert frame.loc[("HadiSalman", "9/255", 15), "without_noise"] == 0.03
    last = frame.loc[("Natural", "3/255", 3000)]
    assert np.isnan(last["reproduced"]), "beyond our budget"
    assert last["published"] == pytest.approx(0.516129)
    assert (last["published_full_list"], last["published_deduplicated"]) == (0.544, 0.544)
    assert frame.loc[("Natural", "3/255", 2000), "ci_low"] == pytest.approx(wilson(50, 100).low)


def test_a_model_looks_alike_above_and_below_in_figure_4_12(inputs_of: InputsOf) -> None:
    above = figures.figure_4_12(inputs_of("figure-4-12", World(pairs=20))).canvas.axes
    looks = [[(line.get_label(), line.get_color()) for line in axes.lines[:4]] for axes in above]
    assert all(each == looks[0] for each in looks)


def test_the_released_lists_end_where_the_printed_curves_end(inputs_of: InputsOf) -> None:
    published = inputs_of("figure-4-12", World(pairs=10)).published
    plotted = published["population"].astype(str).str.startswith("as plotted")
    ends = published[(published["queries"] == 3000) & (published["metric"] == "cdf") & plotted]
    for radius, length in zip(RADII, (248, 158, 153), strict=True):
        at_radius = published[published["attack_eps"] == f"{radius}/255"]
        end = ends[ends["attack_eps"] == f"{radius}/255"].set_index("defence")["value"]
        assert len(end) == 4
        for defence, queries in figures.plotted_lists(at_radius, list(end.index)).items():
            assert len(queries) == length
            assert np.mean(queries < 3000) == pytest.approx(end[defence], abs=1e-5)


@pytest.fixture
def split(tmp_path: Path) -> dict[str, Path]:
    """A prepared split of ten color images."""
    folder = tmp_path / "split"
    folder.mkdir()
    np.save(folder / "images.npy", np.zeros((10, 3, 8, 8), dtype=np.uint8))
    np.save(folder / "labels.npy", np.zeros(10, dtype=np.int64))
    manifest = {"shape": [10, 3, 8, 8], "classes": ["cat", "dog", "fox"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return {"made-up/test": folder}


def test_examples_show_a_success_by_their_rule(inputs_of: InputsOf, split: dict[str, Path]) -> None:
    """Confidences rise with the place of the pair, and so does the speed; of ten pairs, the first five are kept."""
    world = World({"natural": (0.4, 0.9, 1), "locus": (0, 0, 0.3)}, pairs=10)
    sure = figures.figure_1_2(replace(inputs_of("figure-1-2", world), datasets=split)).frame.loc[0]
    assert sure[["index", "target_class"]].tolist() == [3, "dog"]
    assert sure["clean_confidence"] == pytest.approx(100 * 3 / 7)
    quick = figures.figure_2_6(replace(inputs_of("figure-2-6", world), datasets=split)).frame.loc[0]
    assert quick["index"] == 2 and quick["queries"] == pytest.approx(299.8)


def test_an_example_without_a_success_says_so(inputs_of: InputsOf, split: dict[str, Path]) -> None:
    inputs = inputs_of("figure-2-6", World({"locus": (0, 0, 0)}, pairs=10))
    figure = figures.figure_2_6(replace(inputs, datasets=split))
    assert "no pair that was kept reached its target" in figure.caption
    assert np.isnan(figure.frame.loc[0, "queries"]) and figure.frame.loc[0, "index"] == 0


@pytest.mark.parametrize("per_image", [1, 4])
@pytest.mark.parametrize(
    ("name", "scale", "held", "broken"),
    [
        (RISING, "demo", {}, {"rates": {"madry": (0.2, 0.1, 0.05)}}),
        (
            RISING,
            "demo",
            {},
            {"rates": {"natural": (0.9, 0.9, 0.95)}, "queries": {"natural": (300, 800, 1900)}},
        ),
        (RISING, "demo", {}, {"rates": {"salman": (0.1, 0.5, 0.95)}}),
        (RARELY, "full", {}, {"rates": {"locus": (0.02, 0.3, 0.4)}}),
        (RARELY, "demo", {}, {"rates": {"madry": (0.9, 0.95, 1.0)}}),
        (EARLY, "demo", {}, {"queries": {"salman": (900, 900, 900)}}),
        (
            NEWER,
            "demo",
            {"rates": {"salman": (0.04, 0.1, 0.24)}},
            {"rates": {"madry": (0.1, 0.2, 0.3), "locus": (0, 0, 0)}},
        ),
    ],
)
def test_a_claim_is_supported_where_it_is_true_and_contradicted_where_it_is_false(
    name: str,
    scale: str,
    held: dict[str, Any],
    broken: dict[str, Any],
    per_image: int,
    inputs_of: InputsOf,
    verdict_of: VerdictOf,
) -> None:
    # As many images whether each has one pair or four.
    size = {"pairs": 400 * per_image, "per_image": per_image}
    for world, decision in ((World(**held, **size), "supported"), (World(**broken, **size), "contradicted")):
        verdict = verdict_of(inputs_of(name, world, scale=scale))
        assert verdict.decision == decision, verdict.reason


@pytest.mark.parametrize(("name", "scale"), [(RISING, "demo"), (RARELY, "full"), (NEWER, "demo")])
def test_ten_pairs_leave_claims_about_rare_successes_open(
    name: str, scale: str, inputs_of: InputsOf, verdict_of: VerdictOf
) -> None:
    rare = World({"madry": (0, 0, 0.1), "locus": (0, 0, 0.1), "salman": (0, 0, 0.1)}, pairs=10)
    verdict = verdict_of(inputs_of(name, rare, scale=scale))
    assert verdict.decision == "inconclusive", verdict.reason


def test_successes_of_single_draws_are_told_from_those_of_the_smoothed_classifier(
    inputs_of: InputsOf,
    verdict_of: VerdictOf,
) -> None:
    """Of 2 + 3 + 3 successful pairs the odd ones, one at each radius, are confirmed."""
    verdict = verdict_of(inputs_of(EARLY, World(pairs=100)))
    for told in ("3 successes of confirmed", "8 successes of single-draw", "8 successes of noiseless"):
        assert told in verdict.reason


def test_early_successes_cannot_be_judged_without_any(inputs_of: InputsOf, verdict_of: VerdictOf) -> None:
    assert verdict_of(inputs_of(EARLY, World({"salman": (0, 0, 0)}))).decision == "not testable"
