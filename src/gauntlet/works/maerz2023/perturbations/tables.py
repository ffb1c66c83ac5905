"""The result and set-up tables of sections 4.2 and 4.3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gauntlet.analysis.bootstrap import mean, quantile
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import share
from gauntlet.analysis.published import PARENTHESES, beside_published, published_value, side_by_side
from gauntlet.analysis.results import Results
from gauntlet.reporting.artefacts import Table
from gauntlet.reporting.numerals import radius_text
from gauntlet.setting_types import ORDER
from gauntlet.works.maerz2023.versions import (
    HARMONIC,
    SCHEMES,
    SEVEN,
    STEPS,
    Scheme,
    accuracy_by_image,
    as_printed,
    images_text,
    pooled,
    values,
)

VOLUME, NESTED = ("linf", "l2-volume", "l1-volume"), ("l2-nested", "l1-nested")
LAST_SCHEME = Scheme("geometric", False)
"""The scheme that the released scripts for Tables 4.5 and 4.6 end with, overwriting the others."""


def table_4_1(inputs: ArtefactInputs) -> Table:
    """Table 4.1: how many images were attacked, per defence and radius."""
    rows = [
        {
            **_set_up(attack),
            "dataset": attack.label("dataset"),
            "norm": attack.label("norm"),
            "eps": attack.label("eps"),
            "images": len(attack.rows),
            "passed_over": len(attack.table.manifest["selection"]["skipped"]),
            "published_eps": radius_text(attack.label("printed_eps")),
            "published_images": printed,
        }
        for attack, printed in _attacked(inputs)
    ]
    return Table(
        pd.DataFrame(rows),
        "Images attacked per defence and radius, for each pair of step decay and randomization. Images that the "
        "model misclassifies when clean are passed over and counted.",
        decimals={"eps": 5, "images": 0, "passed_over": 0, "published_images": 0},
    )


def table_4_2(inputs: ArtefactInputs) -> Table:
    """Table 4.2: with which radius the attacked models were trained."""
    rows = [
        {
            **_set_up(attack),
            "norm": attack.label("norm"),
            "attack_eps": attack.label("eps"),
            "training_eps": attack.label("train_eps"),
            "published_attack_eps": radius_text(attack.label("printed_eps")),
            "published_training_eps": printed,
        }
        for attack, printed in _attacked(inputs)
    ]
    return Table(
        pd.DataFrame(rows),
        "Training radius of the attacked models, per attack radius.",
        notes=(
            "The work prints 2.5/255 and 5/255 for R-FGSM; these are the lengths of the training step, the radii "
            "that the perturbation is clipped to are 2/255 and 4/255.",
        ),
        decimals=dict.fromkeys(("attack_eps", "training_eps", "published_training_eps"), 5),
    )


def _attacked(inputs: ArtefactInputs) -> Iterator[tuple[Results, float]]:
    """Yield an attack and the printed number per model and radius, sorted by defence."""
    for defence, models in inputs.results.where(perturbation=STEPS[-1], **HARMONIC._asdict()).groups(
        "defence"
    ):
        for _, attack in models.groups("model", "ball"):
            printed = as_printed(attack)
            yield attack, published_value(inputs.published, defence=defence, **printed, absent=np.nan)


def _set_up(attack: Results) -> dict[str, Any]:
    return {"defence": attack.label("defence"), "model": attack.label("model")}


def accuracies(inputs: ArtefactInputs) -> Table:
    """Tables 4.3 and 4.4: accuracy under attacks whose radii one of the two rules converted."""
    natural, released = _natural(inputs)
    rows = []
    for k in inputs.settings["top"]:
        for schemes in (*((scheme,) for scheme in SCHEMES), SCHEMES):
            for ball in inputs.settings["balls"]:
                accuracy = mean(accuracy_by_image(natural, k, ball, schemes=schemes)).scaled(100)
                gradient = accuracy_by_image(natural, k, ball, STEPS, schemes)
                decay, randomized = schemes[0].decay, str(schemes[0].randomized).lower()
                printed = {"decay": decay, "rand": randomized}
                if len(schemes) > 1:
                    decay = randomized = "mean of the four"
                    printed = {"decay": "mean over the 4 schemes"}
                rows.append(
                    {
                        "decay": decay,
                        "randomised": randomized,
                        "metric": f"top-{k}",
                        **_radius(natural, ball),
                        **accuracy.columns(),
                        "gradient_attacks_only": 100 * gradient.mean(),
                        "released_variant": 100
                        * accuracy_by_image(released, k, ball, schemes=schemes).mean(),
                        "published": published_value(
                            inputs.published,
                            absent=np.nan,
                            metric=f"top{k}_accuracy",
                            **printed,
                            **as_printed(natural.where(ball=ball)),
                        ),
                    }
                )
    frame = pd.DataFrame(rows)
    return Table(
        frame,
        "Mean accuracy in % of the natural model over seven perturbations (uniform, boundary and 1 to 16 gradient "
        f"steps), radii converted to {inputs.settings['rule']}; {images_text(natural)}. In brackets the published "
        "numbers (ImageNet).",
        notes=(
            "Uniform and boundary noise hardly change the accuracy, so that a model which every gradient attack "
            "fools still shows 28.6 %. The csv has the mean over gradient attacks alone, our run of the released "
            "code's variant, and 95 % bootstrap intervals over images.",
        ),
        layout=side_by_side(frame, rows=["metric", "decay", "randomised"], columns=["radius"]),
    )


def table_step_schemes(inputs: ArtefactInputs) -> Table:
    """Accuracy by step scheme and number of steps on three models, beside every released number (section 4.2.3)."""
    keys = ["defence", "metric", "decay", "rand", "steps"]
    attacks = inputs.results.where(ball="linf", perturbation=list(STEPS))
    rows = []
    for (defence, *scheme), attack in attacks.groups("defence", "decay", "randomized", "perturbation"):
        for k in inputs.settings["top"]:
            cell = dict(zip(keys, (defence, f"top{k}_accuracy", *scheme), strict=True))
            rows.append({**cell, **share(attack.column("rank") < k).scaled(100).columns()})
    printed = inputs.published.assign(defence=inputs.published["defence"].map(inputs.settings["released"]))
    frame = beside_published(pd.DataFrame(rows).sort_values(keys), printed, on=keys, scale=100)
    images = next(attacks.each())
    return Table(
        frame,
        "Top-k accuracy in % after an attack with so many steps, by step scheme; "
        f"{len(images.rows)} correctly classified images of {images.label('dataset')} per model. {PARENTHESES} They "
        "are of ImageNet, from the released code.",
        layout=side_by_side(frame, rows=keys[:-1], columns=["steps"], decimals=1),
    )


def table_4_5(inputs: ArtefactInputs) -> Table:
    """Table 4.5: quantiles of the cross-entropy loss for five attack models."""
    cells = [(ball, "cross_entropy", percent) for ball in (*VOLUME, *NESTED) for percent in (10, 50, 90)]
    return _quantiles(
        inputs,
        cells,
        "Quantiles of the cross-entropy loss in nats of the natural model",
        "Pool: gradient attacks with 1 to 16 steps, all four step schemes.",
        decimals=2,
    )


def table_4_6(inputs: ArtefactInputs) -> Table:
    """Table 4.6: quantiles of the distortion that attacks of equal volume cause, in three norms."""
    cells = [
        (ball, norm, percent) for ball in VOLUME for norm in ("linf", "l2", "l1") for percent in (5, 50, 95)
    ]
    return _quantiles(
        inputs,
        cells,
        "Quantiles of the distortion (norm of the whole perturbation, pixel scale) caused by attacks of equal "
        "volume on the natural model",
        "Pool as in Table 4.5.",
        decimals=4,
    )


def _quantiles(
    inputs: ArtefactInputs,
    cells: Sequence[tuple[str, str, int]],
    caption: str,
    pooling: str,
    *,
    decimals: int,
) -> Table:
    """Tabulate pooled quantiles of columns; each cell is a ball, a column and a percentage."""
    natural, released = _natural(inputs)
    rows = []
    for ball, column, percent in cells:
        printed = {**as_printed(natural.where(ball=ball)), "quantile": f"{percent}%"}
        if column in ORDER:
            printed["distortion_norm"] = ORDER[column]
        pool = pooled(natural, column, ball)
        images = np.repeat(np.arange(len(pool)), pool.shape[1])
        estimate = quantile(pool.ravel(), percent / 100, clusters=images)
        rows.append(
            {
                **_radius(natural, ball),
                "measured": column if column in ORDER else "cross-entropy",
                "quantile": f"{percent} %",
                **estimate.columns(),
                "with_noise": np.percentile(pooled(natural, column, ball, SEVEN), percent),
                "last_scheme": np.percentile(values(natural, column, ball, scheme=LAST_SCHEME), percent),
                "released_variant": np.percentile(pooled(released, column, ball), percent),
                "published": published_value(inputs.published, **printed),
            }
        )
    frame = pd.DataFrame(rows)
    return Table(
        frame,
        f"{caption}; {images_text(natural)}. {pooling} In brackets the published numbers (ImageNet).",
        notes=(
            "In the csv: with_noise adds uniform and boundary noise to the pool, as the printed caption says; "
            "last_scheme pools the geometric deterministic scheme alone, which is what the released script keeps; "
            "released_variant is our run of the released code's variant; ci_low and ci_high bound a 95 % "
            "bootstrap interval over images.",
        ),
        layout=side_by_side(frame, rows=["radius", "measured"], columns=["quantile"], decimals=decimals),
    )


def _natural(inputs: ArtefactInputs) -> list[Results]:
    """Return the natural model attacked as the document and as the released code has it."""
    return [inputs.results.where(run=run) for run in ("document", "released code")]


def _radius(model: Results, ball: str) -> dict[str, Any]:
    attacks = model.where(ball=ball)
    norm, eps = attacks.label("norm"), attacks.label("eps")
    return {"norm": norm, "eps": eps, "radius": f"{norm}, eps={radius_text(eps)}"}
