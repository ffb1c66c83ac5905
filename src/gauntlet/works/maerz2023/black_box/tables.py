"""Tables of the BOBYQA attack: 4.7 and 4.8."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.published import published_value
from gauntlet.analysis.results import Results
from gauntlet.reporting.artefacts import Table
from gauntlet.reporting.numerals import radius_text
from gauntlet.works.maerz2023.black_box.pairs import (
    ATTACK,
    CORNERS,
    WITHOUT_NOISE,
    at_target,
    images_of,
    queries_of_pairs,
    success_rate,
)

SHOWN = {
    "defence": "defence",
    "published_eps": "eps (work)",
    "eps": "eps (here)",
    "pairs": "pairs",
    "published_pairs": "printed pairs",
    "published_attacked": "attacked pairs (work)",
    "success": "success [95 %]",
    "smoothed_success": "confirmed",
    "without_noise": "without noise",
    "published_success": "success (work)",
    "median_queries": "median queries",
    "published_median_queries": "median queries (work)",
}
"""Columns of Table 4.7 as a reader sees them."""


def table_4_7(inputs: ArtefactInputs) -> Table:
    """Table 4.7: the set-up of the BOBYQA tests, and what came of them."""
    files = dict(list(inputs.published.groupby("file")))
    rows = []
    for (defence, radius), here in inputs.results.groups("defence", "radius_255"):
        key = {"defence": defence, "attack_eps": f"{radius:g}/255"}
        setup = _rows(files["table_4_7.csv"], **key).iloc[0]
        recorded, curves = (
            _rows(files["released_bobyqa_attacks.csv"], **key),
            files["released_figure_4_12.csv"],
        )
        runs = here.where(pairs="random")
        attack = runs.one(attack=ATTACK)
        rows.append(
            {
                "defence": defence,
                "architecture": setup["arch"],
                "trained_on": setup["train_on"],
                "attack_norm": attack.label("norm"),
                "published_eps": key["attack_eps"],
                **_found(attack),
                "without_noise": _rate_if_run(runs.where(attack=WITHOUT_NOISE)),
                "random_corners": at_target(runs.one(attack=CORNERS)).mean(),
                "released_variant": _rate_if_run(here.where(pairs="released")),
                "published_pairs": int(setup["value"]),
                "recorded_attacks": len(recorded),
                "published_attacked": published_value(curves, **key, metric="n_attacked"),
                "published_success": published_value(curves, **key, metric="success_rate"),
                "published_median_queries": recorded.loc[recorded["success"] == 1, "value"].median(),
            }
        )
    frame = pd.DataFrame(rows)
    intervals = zip(frame["reproduced"], frame["ci_low"], frame["ci_high"], strict=True)
    layout = frame.assign(
        success=[f"{rate:.3f} [{low:.3f}, {high:.3f}]" for rate, low, high in intervals],
        eps=frame["eps"].map(radius_text),
    )
    return Table(
        frame,
        "Pairs of image and target class in the BOBYQA tests, and the share that reached its target within "
        f"{' or '.join(map(str, frame['budget'].unique()))} queries; beside it the numbers of the work (CIFAR-10, "
        "3000 queries): pairs as printed, pairs that the released logs hold without repetitions, and their success.",
        notes=(
            "Here every pair has a random image, correctly classified when clean, and a random target. In the "
            "work's runs the pairs are the first 56 test images with their wrong classes in turn, and a pair "
            "whose clean image is misclassified is left out; restarted runs recorded some attacks twice.",
            "Intervals are Wilson's, at a sample size that is divided by the design effect where pairs share "
            "an image. Median queries are those of the successes.",
            "The smoothed model is asked one noisy draw per query, and success is that of the one draw; "
            "confirmed is the share of pairs whose final image the smoothed classifier (100 draws) gives to "
            "the target, which decides the claims; without noise is how many succeed where queries add none, as in "
            "the work's runs. The csv tells how many do when one draw of random corners of the ball is all that is "
            "tried.",
        ),
        layout=layout[list(SHOWN)].rename(columns=SHOWN),
        decimals={
            "success (work)": 3,
            "confirmed": 3,
            "without noise": 3,
            "median queries": 0,
            "median queries (work)": 0,
        },
    )


def table_4_8(inputs: ArtefactInputs) -> Table:
    """Table 4.8: with which radius the models of the BOBYQA tests were trained."""
    files = dict(list(inputs.published.groupby("file")))
    architectures = files["table_4_7.csv"].groupby("defence")["arch"].first()
    rows = []
    for printed in files["table_4_8.csv"].to_dict("records"):
        defence, attack_eps = printed["defence"], printed["attack_eps"]
        radius = int(attack_eps.partition("/")[0])
        run = inputs.results.one(attack=ATTACK, defence=defence, radius_255=radius)
        rows.append(
            {
                "defence": defence,
                "training_norm": f"l{printed['train_p']:g}",
                "model": run.label("model"),
                "attack_eps": run.label("radius"),
                "training_eps": run.label("training_eps"),
                "published_attack_eps": attack_eps,
                "checkpoint_training_eps": run.label("checkpoint_eps"),
                "published_training_eps": printed["training_eps_printed"],
                "checkpoint_architecture": architectures[defence],
                "published_architecture": printed["arch_printed"],
                "agrees": architectures[defence] == printed["arch_printed"]
                and np.isclose(run.label("checkpoint_eps"), printed["value"]),
            }
        )
    return Table(
        pd.DataFrame(rows),
        "Training radius of the models in the BOBYQA tests per attack radius: of the models attacked here, of the "
        "checkpoints that the work attacked, and as printed. For the checkpoints of the smoothed models it is the "
        "l2 radius at which the model was the best certified one.",
        notes=(
            "The printed table exchanges the architectures of the R-FGSM and the smoothed model, which Table 4.7 has "
            "right, and names a MadryLab checkpoint for 4/255 that does not exist: the runs used the one for 8/255.",
        ),
        decimals=dict.fromkeys(("attack_eps", "training_eps", "checkpoint_training_eps"), 5),
    )


def _found(attack: Results) -> dict[str, Any]:
    """Return what the attack found on its pairs."""
    queries = queries_of_pairs(attack)
    return {
        "model": attack.label("model"),
        "eps": attack.label("radius"),
        "budget": attack.setting("budget"),
        "pairs": len(queries),
        "images": len(np.unique(images_of(queries))),
        "passed_over": len(attack.table.manifest["selection"]["skipped"]) + int((~attack.correct).sum()),
        "successes": int(queries.count()),
        **success_rate(attack).columns(),
        "smoothed_success": at_target(attack, "smoothed_prediction").mean(),
        "median_queries": queries.median(),
        "mean_queries": queries.mean(),
        "queries_spent": float(attack.column("queries")[attack.correct].sum()),
    }


def _rate_if_run(attack: Results) -> float:
    return success_rate(attack).estimate if len(attack) else float("nan")


def _rows(published: pd.DataFrame, *, defence: str, attack_eps: str) -> pd.DataFrame:
    return published[(published["defence"] == defence) & (published["attack_eps"] == attack_eps)]
