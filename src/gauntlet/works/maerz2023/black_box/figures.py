"""Figures of the BOBYQA attack: 1.2, 2.6 and 4.12."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import Interval
from gauntlet.analysis.queries import queries_to_success
from gauntlet.analysis.results import Results
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.numerals import percent, radius_text
from gauntlet.reporting.panels import draw_cdf
from gauntlet.reporting.pictures import draw_attack
from gauntlet.reporting.style import new_figure, shared_legend
from gauntlet.works.maerz2023.black_box.pairs import ATTACK, WITHOUT_NOISE, queries_of_pairs, success_rate

POPULATIONS = {
    "as plotted": "published",
    "full list": "published_full_list",
    "deduplicated": "published_deduplicated",
}
"""Columns for the attacks that the work's numbers are over, by how their description begins."""


def figure_1_2(inputs: ArtefactInputs) -> Figure:
    """Figure 1.2: the attack on the natural model at the smallest radius, where the model was surest."""
    attack = inputs.results.one(attack=ATTACK, radius_255=3)
    return _example(inputs, attack, "the largest clean confidence")


def figure_2_6(inputs: ArtefactInputs) -> Figure:
    """Figure 2.6: the attack on the R-FGSM model at the largest radius, won while its blocks are large."""
    attack = inputs.results.one(attack=ATTACK, radius_255=9)
    return _example(inputs, attack, "the fewest queries")


def _example(inputs: ArtefactInputs, attack: Results, rule: str) -> Figure:
    """Show the success among the kept images that a rule picks, or the attempt of the first pair if there is none."""
    images = attack.table.images()
    kept = len(images["clean"])
    clean = inputs.results.one(procedure="clean").rows.iloc[:kept]
    queries = queries_to_success(attack).to_numpy()[:kept]
    merit = -queries if rule == "the fewest queries" else clean["confidence"].to_numpy()
    row = int(np.argmax(np.where(np.isnan(queries), -np.inf, merit)))
    classes = inputs.split.classes
    before, after = clean.iloc[row], attack.rows.iloc[row]
    true, target, predicted = (
        classes[int(value)] for value in (before["label"], after["target"], after["prediction"])
    )
    told = (
        "no pair that was kept reached its target; the first one"
        if np.isnan(queries[row])
        else f"the pair with {rule} among the successes, {queries[row]:.0f} queries"
    )
    numbers = {
        "index": int(before["index"]),
        "true_class": true,
        "target_class": target,
        "adversarial_class": predicted,
        "eps": attack.label("radius"),
        "queries": queries[row],
        "clean_confidence": 100 * before["confidence"],
        "adversarial_confidence_predicted": 100 * after["prediction_confidence"],
        "linf": after["linf"],
    }
    return Figure(
        draw_attack(
            images["clean"][row],
            images[attack.label("procedure")][row],
            clean=f"{true}: {percent(before['confidence'])}",
            attacked=f"{predicted}: {percent(after['prediction_confidence'])}",
            heading=f"BOBYQA attack on the model {attack.label('defence')}, target {target}, "
            f"$\\ell_\\infty$, $\\epsilon$ = {radius_text(attack.label('radius'))}",
        ),
        pd.DataFrame([numbers]),
        f"One image of {attack.label('dataset')}, {told}: clean, attacked, and the difference.",
    )


def figure_4_12(inputs: ArtefactInputs) -> Figure:
    """Figure 4.12: how many queries the BOBYQA attack needs; ours above, the released lists below."""
    runs = inputs.results.where(attack=[ATTACK, WITHOUT_NOISE])
    budget = runs.setting("budget")
    canvas, grid = new_figure(3, 2, width=9.5, panel_height=2.6, share_y=True)
    rows: list[dict[str, Any]] = []
    for column, (radius, here) in enumerate(runs.groups("radius_255")):
        curves = {
            defence if attack == ATTACK else f"{defence}, asked without noise": queries_of_pairs(run)
            for (attack, defence), run in here.groups("attack", "defence")
        }
        draw_cdf(grid[0, column], curves, limit=budget)
        grid[0, column].set_title(f"here, $\\epsilon$ = {radius_text(here.label('radius'))}")
        published = inputs.published[inputs.published["attack_eps"] == f"{radius:g}/255"]
        draw_cdf(
            grid[1, column],
            plotted_lists(published, here.values("defence")),
            limit=published["queries"].max(),
        )
        grid[1, column].set_title(f"published, $\\epsilon$ = {radius:g}/255")
        for defence, of_defence in here.groups("defence"):
            rows += _curve(of_defence, published[published["defence"] == defence], budget)
    for axes in grid.flat:
        axes.set(xlabel="queries", ylim=(0, 102))
    for axes in grid[:, 0]:
        axes.set_ylabel("pairs that reached\ntheir target [%]")
    shared_legend(canvas, grid[0, 0], columns=5)
    frame = pd.DataFrame(rows)
    return Figure(
        canvas,
        frame,
        "Share of pairs of image and target class that the BOBYQA attack has brought to the target within so "
        f"many queries. Above {' or '.join(map(str, sorted(frame['pairs'].unique())))} pairs of "
        f"{runs.label('dataset')} per model and radius; below the attacks that the author's released lists record "
        "for CIFAR-10, cut to the shortest list as in the printed figure.",
        notes=(
            "MadryLab is trained against PGD, LocusLab against R-FGSM, HadiSalman is smoothed. The published attacks "
            "on the smoothed model asked it without noise and without its input layer. The csv holds the published "
            "curves also over the full lists.",
        ),
    )


def plotted_lists(published: pd.DataFrame, defences: Sequence[str]) -> dict[str, pd.Series]:
    """Return the recorded queries at one radius, cut to the length of the shortest list; NaN for a failure."""
    recorded = published[published["file"] == "released_bobyqa_attacks.csv"].sort_values("list_index")
    queries = recorded["value"].where(recorded["success"] == 1)
    shortest = recorded["defence"].value_counts().min()
    return {defence: queries[recorded["defence"] == defence].iloc[:shortest] for defence in defences}


def _curve(runs: Results, published: pd.DataFrame, budget: int) -> list[dict[str, Any]]:
    """Return one model's curve at the published numbers of queries and at our own budget."""
    attack, silent = runs.one(attack=ATTACK), runs.where(attack=WITHOUT_NOISE)
    numbers = published[published["metric"].isin(["cdf", "success_rate"])]
    rows = []
    for limit in sorted({*numbers["queries"].astype(int), budget}):
        at_limit = numbers[numbers["queries"] == limit]
        within = limit <= budget
        rate = success_rate(attack, limit) if within else Interval(np.nan, np.nan, np.nan)
        rows.append(
            {
                "defence": attack.label("defence"),
                "model": attack.label("model"),
                "eps": attack.label("radius"),
                "published_eps": published["attack_eps"].iloc[0],
                "queries": limit,
                "pairs": int(attack.correct.sum()),
                **rate.columns(),
                "without_noise": success_rate(silent, limit).estimate if within and len(silent) else np.nan,
                **{
                    column: at_limit.loc[at_limit["population"].str.startswith(start), "value"].mean()
                    for start, column in POPULATIONS.items()
                },
            }
        )
    return rows
