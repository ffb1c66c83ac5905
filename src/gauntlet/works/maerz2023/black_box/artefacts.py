"""Tables and figures of the BOBYQA attack: Tables 4.7 and 4.8, Figures 1.2, 2.6 and 4.12 (maerz2023, section 4.4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gauntlet.datasets.imageset import open_split
from gauntlet.reporting.artefacts import Figure, Table
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.panels import draw_cdf, draw_difference, draw_image
from gauntlet.reporting.statistics import Interval, share
from gauntlet.reporting.style import new_figure, shared_legend
from gauntlet.works.maerz2023.black_box.runs import (
    ATTACK,
    CORNERS,
    DEFENCES,
    NOISELESS,
    RADII,
    Run,
    runs,
)
from gauntlet.works.maerz2023.perturbations.examples import magnification, percent
from gauntlet.works.maerz2023.perturbations.observations import number
from gauntlet.works.maerz2023.perturbations.published import norm_name, only_value, records

LABELS = {"natural": "natural", "madry": "PGD", "locus": "R-FGSM", "salman": "smoothed"}
PUBLISHED_BUDGET = 3000
_POPULATIONS = {"published": "as plotted", "published_full_list": "full list"}


def table_4_7(inputs: ArtefactInputs) -> Table:
    """Table 4.7: the set-up of the BOBYQA tests, and what came of them."""
    printed = _of_file(inputs, "table_4_7.csv")
    recorded = _of_file(inputs, "released_bobyqa_attacks.csv")
    curves = _of_file(inputs, "released_figure_4_12.csv")
    attacks, noiseless, corners = runs(inputs), runs(inputs, NOISELESS), runs(inputs, CORNERS)
    released = runs(inputs, released=True)
    rows = []
    for row in records(printed):
        key = _key(row)
        run = attacks.get(key)
        same = _same_configuration(recorded, key)
        rows.append(
            {
                "defence": row["defence"],
                "architecture": row["arch"],
                "trained_on": row["train_on"],
                "attack_norm": norm_name(row["attack_norm"]),
                "published_eps": row["attack_eps"],
                **_evaluated(run),
                "without_noise": _rate(noiseless.get(key)).estimate,
                "random_corners": _hits(corners.get(key)).estimate,
                "released_variant": _rate(released.get(key)).estimate,
                "published_pairs": int(row["value"]),
                "recorded_attacks": int(same.sum()),
                "published_attacked": _deduplicated(curves, key, "n_attacked"),
                "published_success": _deduplicated(curves, key, "success_rate"),
                "published_median_queries": float(
                    recorded.loc[same & (recorded["success"] == 1), "value"].median()
                ),
            }
        )
    frame = pd.DataFrame(rows)
    shown = {
        "defence": "defence",
        "published_eps": "eps (work)",
        "eps": "eps (here)",
        "pairs": "pairs",
        "published_pairs": "printed pairs",
        "published_attacked": "attacked pairs (work)",
        "success": "success [95 %]",
        "smoothed_success": "confirmed",
        "published_success": "success (work)",
        "median_queries": "median queries",
        "published_median_queries": "median queries (work)",
    }
    success = [_with_interval(row) for row in records(frame)]
    layout = frame.assign(success=success, eps=frame["eps"].map(number, na_action="ignore"))
    return Table(
        frame,
        "Pairs of image and target class in the BOBYQA tests, and the share that reached its target within "
        f"{_budgets(attacks)}; beside it the numbers of the work (CIFAR-10, {PUBLISHED_BUDGET} queries): pairs "
        "as printed, pairs that the released logs hold without repetitions, and their success.",
        notes=(
            "Here every pair has a random image, correctly classified when clean, and a random target. In the "
            "work's runs the pairs are the first 56 test images with their wrong classes in turn, and a pair "
            "whose clean image is misclassified is left out; restarted runs recorded some attacks twice.",
            "Intervals are Wilson's, at a sample size that is divided by the design effect where pairs share "
            "an image. Median queries are those of the successes.",
            "The smoothed model is asked one noisy draw per query, and success is that of the one draw; "
            "confirmed is the share of pairs whose final image the smoothed classifier (100 draws) gives to "
            "the target. The csv tells how many pairs succeed without noise, as in the work's runs, and how "
            "many when one draw of random corners of the ball is all that is tried.",
        ),
        layout=layout[list(shown)].rename(columns=shown),
        decimals={
            "success (work)": 3,
            "confirmed": 3,
            "median queries": 0,
            "median queries (work)": 0,
            "pairs": 0,
            "attacked pairs (work)": 0,
        },
    )


def _evaluated(run: Run | None) -> dict[str, Any]:
    """Return what was counted in a run; empty cells where there was none."""
    names = (
        "model", "eps", "budget", "pairs", "images", "passed_over", "successes", "reproduced", "ci_low",
        "ci_high", "smoothed_success", "median_queries", "mean_queries", "queries_spent",
    )  # fmt: skip
    if run is None:
        return dict.fromkeys(names, np.nan)
    found = run.costs[~np.isnan(run.costs)]
    rate = run.rate()
    confirmed = np.nan
    if "smoothed_prediction" in run.pairs:
        confirmed = float(
            (run.pairs["smoothed_prediction"] == run.pairs.index.get_level_values("target")).mean()
        )
    values = (
        run.result.specification["model"], run.eps, run.budget, len(run.pairs), len(np.unique(run.images)),
        run.passed_over, len(found), rate.estimate, rate.low, rate.high, confirmed,
        float(np.median(found)) if len(found) else np.nan, float(found.mean()) if len(found) else np.nan,
        float(run.pairs["queries"].sum()),
    )  # fmt: skip
    return dict(zip(names, values, strict=True))


def _rate(run: Run | None) -> Interval:
    return Interval(np.nan, np.nan, np.nan) if run is None else run.rate()


def _hits(run: Run | None) -> Interval:
    """Return the share of pairs whose one perturbed image has the target's class."""
    if run is None:
        return Interval(np.nan, np.nan, np.nan)
    return share(run.pairs["success"].astype(bool), clusters=run.images)


def _with_interval(row: dict[str, Any]) -> str:
    if np.isnan(row["reproduced"]):
        return "–"
    return f"{row['reproduced']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]"


def _budgets(attacks: dict[tuple[str, str], Run]) -> str:
    return (
        " or ".join(str(budget) for budget in sorted({run.budget for run in attacks.values()})) + " queries"
    )


def table_4_8(inputs: ArtefactInputs) -> Table:
    """Table 4.8: with which radius the models of the BOBYQA tests were trained."""
    corrected, trained, attacks = inputs.settings["corrected"], inputs.settings["training_eps"], runs(inputs)
    rows = []
    for row in records(inputs.published):
        right, key = corrected[row["defence"]], _key(row)
        architecture, run = right["architecture"], attacks.get(key)
        rows.append(
            {
                "defence": row["defence"],
                "training_norm": norm_name(row["train_p"]),
                "model": run.result.specification["model"] if run else "–",
                "attack_eps": run.eps if run else np.nan,
                "training_eps": trained[key[0]][key[1]] if run else np.nan,
                "published_attack_eps": row["attack_eps"],
                "checkpoint_training_eps": right["training_eps"][str(row["attack_eps"])],
                "published_training_eps": row["training_eps_printed"],
                "checkpoint_architecture": architecture,
                "published_architecture": row["arch_printed"],
                "agrees": architecture == row["arch_printed"]
                and np.isclose(right["training_eps"][str(row["attack_eps"])], row["value"]),
            }
        )
    return Table(
        pd.DataFrame(rows),
        "Training radius of the models in the BOBYQA tests per attack radius: of the models attacked here, of the "
        "checkpoints that the work attacked, and as printed. For the checkpoints of the smoothed models it is the "
        "l2 radius at which the model was the best certified one.",
        notes=(
            "The printed table exchanges the architectures of the R-FGSM and the smoothed model, and names a "
            "MadryLab checkpoint for 4/255 that does not exist: the runs used the one for 8/255.",
        ),
        decimals=dict.fromkeys(("attack_eps", "training_eps", "checkpoint_training_eps"), 5),
    )


def figure_4_12(inputs: ArtefactInputs) -> Figure:
    """Figure 4.12: how many queries the BOBYQA attack needs; ours above, the released lists below."""
    attacks, noiseless = runs(inputs), runs(inputs, NOISELESS)
    recorded = _of_file(inputs, "released_bobyqa_attacks.csv")
    curves = _of_file(inputs, "released_figure_4_12.csv")
    canvas, grid = new_figure(3, 2, width=9.5, panel_height=2.6, share_y=True)
    for column, radius in enumerate(RADII):
        here = {LABELS[key[0]]: run.costs for key, run in attacks.items() if key[1] == radius}
        budget = max(run.budget for run in attacks.values())
        here |= {
            f"{LABELS[key[0]]}, asked without noise": run.costs
            for key, run in noiseless.items()
            if key[1] == radius
        }
        draw_cdf(grid[0, column], here, limit=budget)
        eps = next(run.eps for run in attacks.values() if run.radius == radius)
        grid[0, column].set_title(f"here, $\\epsilon$ = {number(eps)}")
        draw_cdf(grid[1, column], _plotted(recorded, radius), limit=PUBLISHED_BUDGET)
        grid[1, column].set_title(f"published, $\\epsilon$ = {radius}/255")
    for axes in grid.flat:
        axes.set(xlabel="queries", ylim=(0, 102))
    for axes in grid[:, 0]:
        axes.set_ylabel("pairs that reached\ntheir target [%]")
    shared_legend(canvas, grid[0, 0], columns=5)
    sizes = sorted({len(run.pairs) for run in attacks.values()})
    datasets = sorted({str(run.result.specification["dataset"]) for run in attacks.values()})
    return Figure(
        canvas,
        pd.concat([_curve(attacks, noiseless, curves, *key) for key in _keys()], ignore_index=True),
        "Share of pairs of image and target class that the BOBYQA attack has brought to the target within so "
        f"many queries. Above {' or '.join(map(str, sizes))} pairs of {', '.join(datasets)} per model and "
        "radius; below the attacks that the author's released lists record for CIFAR-10, cut to the shortest "
        "list as in the printed figure.",
        notes=(
            "The published attacks on the smoothed model asked it without noise and without its input layer. "
            "The csv holds the published curves also over the full lists.",
        ),
    )


def _keys() -> list[tuple[str, str]]:
    return [(defence, radius) for radius in RADII for defence in DEFENCES]


def _plotted(recorded: pd.DataFrame, radius: str) -> dict[str, np.ndarray]:
    """Return the recorded costs per model, cut to the length of the shortest list; NaN for a failure."""
    lists = {}
    for defence in DEFENCES:
        rows = recorded[_same_configuration(recorded, (defence, radius))].sort_values("list_index")
        lists[LABELS[defence]] = rows["value"].astype(float).where(rows["success"] == 1).to_numpy()
    shortest = min(map(len, lists.values()))
    return {label: costs[:shortest] for label, costs in lists.items()}


def _curve(
    attacks: dict[tuple[str, str], Run],
    noiseless: dict[tuple[str, str], Run],
    curves: pd.DataFrame,
    defence: str,
    radius: str,
) -> pd.DataFrame:
    """Tabulate one curve at the published numbers of queries and at our own budget."""
    run, silent = attacks.get((defence, radius)), noiseless.get((defence, radius))
    same = curves[_same_configuration(curves, (defence, radius)) & (curves["metric"] == "cdf")]
    grid = set(same["queries"].astype(int)) | ({run.budget} if run else set())
    rows = []
    for queries in sorted(grid):
        at = same[same["queries"].astype(int) == queries]
        reached = run.rate(queries) if run and queries <= run.budget else Interval(np.nan, np.nan, np.nan)
        rows.append(
            {
                "defence": DEFENCES[defence],
                "model": run.result.specification["model"] if run else "",
                "eps": run.eps if run else np.nan,
                "published_eps": f"{radius}/255",
                "queries": queries,
                "pairs": len(run.pairs) if run else 0,
                "reproduced": reached.estimate,
                "ci_low": reached.low,
                "ci_high": reached.high,
                "without_noise": silent.rate(queries).estimate
                if silent and queries <= silent.budget
                else np.nan,
                **{
                    name: float(at.loc[at["population"].str.startswith(population), "value"].mean())
                    for name, population in _POPULATIONS.items()
                },
                "published_deduplicated": _deduplicated(curves, (defence, radius), "success_rate")
                if queries == PUBLISHED_BUDGET
                else np.nan,
            }
        )
    return pd.DataFrame(rows)


def figure_1_2(inputs: ArtefactInputs) -> Figure:
    """Figure 1.2: the attack on the natural model at the smallest radius, where the model was surest."""
    return _example(inputs, "natural", "3", blocks=False)


def figure_2_6(inputs: ArtefactInputs) -> Figure:
    """Figure 2.6: the attack on the R-FGSM model at the largest radius, won while its blocks are large."""
    return _example(inputs, "locus", "9", blocks=True)


def _example(inputs: ArtefactInputs, defence: str, radius: str, *, blocks: bool) -> Figure:
    """Show one success among the kept images, or the attempt of the first pair if there is none."""
    run = runs(inputs)[defence, radius]
    kept = run.result.specification["keep_images"]
    clean, attacked = (run.result.rows(name).iloc[:kept] for name in ("clean", run.procedure))
    costs = run.costs[:kept]
    won = ~np.isnan(costs)
    score = -np.where(won, costs, np.inf) if blocks else np.where(won, clean["confidence"], -1.0)
    row = int(np.argmax(score))
    images = run.result.images()
    before, after = images["clean"][row], images[f"{ATTACK}-{radius}"][row]
    (folder,) = inputs.datasets.values()
    classes = open_split(folder).classes
    true, target, predicted = (
        classes[int(value)]
        for value in (
            clean["label"].iloc[row], attacked["target"].iloc[row], attacked["prediction"].iloc[row]
        )
    )  # fmt: skip
    canvas, panels = new_figure(3, panel_height=2.9)
    left, middle, right = panels[0]
    draw_image(left, before, f"clean\n{true}: {percent(clean['confidence'].iloc[row])}")
    draw_image(
        middle, after, f"attacked\n{predicted}: {percent(attacked['prediction_confidence'].iloc[row])}"
    )
    draw_difference(right, after - before, f"difference, ×{magnification(before, after):.3g}")
    canvas.suptitle(
        f"BOBYQA attack on the {LABELS[defence]} model, target {target}, "
        f"$\\ell_\\infty$, $\\epsilon$ = {number(run.eps)}"
    )
    frame = pd.DataFrame(
        [
            {
                "index": int(clean["index"].iloc[row]),
                "true_class": true,
                "target_class": target,
                "adversarial_class": predicted,
                "eps": run.eps,
                "queries": costs[row],
                "clean_confidence": 100 * clean["confidence"].iloc[row],
                "adversarial_confidence_predicted": 100 * attacked["prediction_confidence"].iloc[row],
                "linf": attacked["linf"].iloc[row],
            }
        ]
    )
    chosen = "the fewest queries" if blocks else "the largest clean confidence"
    told = (
        f"the pair with {chosen} among the successes, {costs[row]:.0f} queries"
        if won[row]
        else "no pair that was kept reached its target; the first one"
    )
    return Figure(
        canvas,
        frame,
        f"One image of {run.result.specification['dataset']}, {told}: clean, attacked, and the difference.",
    )


def _of_file(inputs: ArtefactInputs, file: str) -> pd.DataFrame:
    return inputs.published[inputs.published["file"] == file]


def _key(row: dict[str, Any]) -> tuple[str, str]:
    """Return defence and radius of a published row, in our names."""
    defence = next(name for name, published in DEFENCES.items() if published == row["defence"])
    return defence, str(row["attack_eps"]).partition("/")[0]


def _same_configuration(published: pd.DataFrame, key: tuple[str, str]) -> pd.Series:
    return (published["defence"] == DEFENCES[key[0]]) & (published["attack_eps"] == f"{key[1]}/255")


def _deduplicated(curves: pd.DataFrame, key: tuple[str, str], metric: str) -> float:
    """Return a number of the released logs after repetitions were removed."""
    return only_value(
        curves[curves["population"].str.startswith("deduplicated")],
        defence=DEFENCES[key[0]], attack_eps=f"{key[1]}/255", metric=metric,
    )  # fmt: skip
