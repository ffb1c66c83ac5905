"""The result and set-up tables of chapter 4 (maerz2023, sections 4.2 and 4.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gauntlet.reporting.artefacts import Table
from gauntlet.reporting.comparison import side_by_side
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.statistics import mean, quantile
from gauntlet.works.maerz2023.perturbations.observations import (
    GRADIENT,
    SCHEMES,
    SEVEN,
    Observations,
    Scheme,
    number,
    observe,
    provenance,
)
from gauntlet.works.maerz2023.perturbations.published import (
    DEFENCES,
    PUBLISHED_EPS,
    only_value,
    radius_conditions,
    scheme_conditions,
)

LAST_SCHEME = Scheme("geometric", False)
"""The scheme that the released scripts for Tables 4.5 and 4.6 end with, overwriting the others."""


def table_4_1(inputs: ArtefactInputs) -> Table:
    """Table 4.1: how many images were attacked, per defence and radius."""
    rows = []
    for name, defence in DEFENCES.items():
        observations = observe(inputs, name)
        skipped = observations.result.manifest["selection"]["skipped"]
        for radius in filter(observations.has, PUBLISHED_EPS):
            rows.append(
                {
                    "defence": defence,
                    "model": observations.result.specification["model"],
                    "dataset": observations.dataset,
                    "norm": observations.norm(radius),
                    "eps": observations.eps(radius),
                    "images": int(observations.values("cross_entropy", radius, ["16"]).size),
                    "passed_over": len(skipped),
                    "published_eps": PUBLISHED_EPS[radius],
                    "published_images": only_value(
                        inputs.published, defence=defence, **radius_conditions(radius)
                    ),
                }
            )
    return Table(
        pd.DataFrame(rows),
        "Images attacked per defence and radius, for each pair of step decay and randomisation. Images "
        "that the model "
        "misclassifies when clean are passed over and counted.",
        decimals={"eps": 5, "images": 0, "passed_over": 0, "published_images": 0},
    )


def table_4_2(inputs: ArtefactInputs) -> Table:
    """Table 4.2: with which radius the attacked models were trained."""
    rows = []
    for name, used in inputs.settings["training_eps"].items():
        observations = observe(inputs, name)
        for radius in filter(observations.has, PUBLISHED_EPS):
            conditions = {"defence": DEFENCES[name], **radius_conditions(radius)}
            rows.append(
                {
                    "defence": DEFENCES[name],
                    "model": observations.result.specification["model"],
                    "norm": observations.norm(radius),
                    "attack_eps": observations.eps(radius),
                    "training_eps": used,
                    "published_attack_eps": PUBLISHED_EPS[radius],
                    "published_training_eps": only_value(inputs.published, **conditions),
                }
            )
    return Table(
        pd.DataFrame(rows),
        "Training radius of the attacked models, per attack radius.",
        notes=(
            "The work prints 2.5/255 and 5/255 for R-FGSM; these are the lengths of the training step, the "
            "radii that "
            "the perturbation is clipped to are 2/255 and 4/255.",
        ),
        decimals=dict.fromkeys(("attack_eps", "training_eps", "published_training_eps"), 5),
    )


def table_4_3(inputs: ArtefactInputs) -> Table:
    """Table 4.3: accuracy under attacks of equal volume (T)."""
    return _accuracies(inputs, ("linf", "l2-volume", "l1-volume"), "balls of equal volume ($T$)")


def table_4_4(inputs: ArtefactInputs) -> Table:
    """Table 4.4: accuracy under attacks in the smallest ball that contains the linf ball (Tbar)."""
    return _accuracies(inputs, ("linf", "l2-nested", "l1-nested"), r"smallest enclosing balls ($\bar{T}$)")


def _accuracies(inputs: ArtefactInputs, radii: Sequence[str], rule: str) -> Table:
    natural, released = observe(inputs, "natural"), observe(inputs, "natural-released")
    rows = []
    for k in inputs.settings["top"]:
        for scheme in (*SCHEMES, None):
            for radius in radii:
                per_image = seven_type_accuracy(natural, k, radius, scheme)
                accuracy = mean(per_image).scaled(100)
                gradient = seven_type_accuracy(natural, k, radius, scheme, GRADIENT)
                rows.append(
                    {
                        "decay": scheme.decay if scheme else "mean of the four",
                        "randomised": str(scheme.randomized).lower() if scheme else "mean of the four",
                        "metric": f"top-{k}",
                        "norm": natural.norm(radius),
                        "eps": natural.eps(radius),
                        "radius": f"{natural.norm(radius)}, eps={number(natural.eps(radius))}",
                        "reproduced": accuracy.estimate,
                        "ci_low": accuracy.low,
                        "ci_high": accuracy.high,
                        "gradient_attacks_only": 100 * gradient.mean(),
                        "released_variant": 100 * seven_type_accuracy(released, k, radius, scheme).mean(),
                        "published": only_value(
                            inputs.published,
                            metric=f"top{k}_accuracy",
                            **scheme_conditions(scheme),
                            **radius_conditions(radius),
                        ),
                    }
                )
    frame = pd.DataFrame(rows)
    return Table(
        frame,
        f"Mean accuracy in % of the natural model over seven perturbations (uniform, boundary and 1 to 16 "
        "gradient "
        f"steps), radii converted to {rule}; {provenance(natural)}. In brackets the published numbers "
        "(ImageNet).",
        notes=(
            "Uniform and boundary noise hardly change the accuracy, so that a model which every gradient "
            "attack fools "
            "still shows 28.6 %. The csv has the mean over gradient attacks alone, our run of the released "
            "code's variant, "
            "and 95 % bootstrap intervals over images.",
        ),
        layout=side_by_side(frame, rows=["metric", "decay", "randomised"], columns=["radius"]),
    )


def seven_type_accuracy(
    observations: Observations,
    k: int,
    radius: str,
    scheme: Scheme | None,
    perturbations: Sequence[str] = SEVEN,
) -> np.ndarray:
    """Average top-k accuracy over perturbations (and, for None, the four schemes): one number per image."""
    schemes = SCHEMES if scheme is None else (scheme,)
    return np.mean([observations.top(k, radius, perturbations, each).mean(1) for each in schemes], axis=0)


def table_4_5(inputs: ArtefactInputs) -> Table:
    """Table 4.5: quantiles of the cross-entropy loss for five attack models."""
    radii = ("linf", "l2-volume", "l1-volume", "l2-nested", "l1-nested")
    cells = [(radius, "cross_entropy", quantile) for radius in radii for quantile in (10, 50, 90)]
    return _quantiles(
        inputs,
        cells,
        f"Quantiles of the cross-entropy loss in nats of the natural model; "
        f"{provenance(observe(inputs, 'natural'))}. Pool: gradient attacks with 1 to 16 steps, all four "
        "step schemes.",
    )


def table_4_6(inputs: ArtefactInputs) -> Table:
    """Table 4.6: quantiles of the distortion that attacks of equal volume cause, in three norms."""
    radii, norms = ("linf", "l2-volume", "l1-volume"), ("linf", "l2", "l1")
    cells = [(radius, norm, quantile) for radius in radii for norm in norms for quantile in (5, 50, 95)]
    return _quantiles(
        inputs,
        cells,
        "Quantiles of the distortion (norm of the whole perturbation, pixel scale) caused by attacks of "
        "equal "
        f"volume on the natural model; {provenance(observe(inputs, 'natural'))}. Pool as in Table 4.5.",
    )


def _quantiles(inputs: ArtefactInputs, cells: Sequence[tuple[str, str, int]], caption: str) -> Table:
    """Tabulate pooled quantiles of columns; each cell is a radius, a column and a percentage."""
    natural, released = observe(inputs, "natural"), observe(inputs, "natural-released")
    rows = []
    for radius, column, percent in cells:
        conditions = radius_conditions(radius) | {"quantile": f"{percent}%"}
        if column != "cross_entropy":
            conditions["distortion_norm"] = column.removeprefix("l")
        pool = natural.pooled(column, radius, GRADIENT)
        images = np.repeat(np.arange(len(pool)), pool.shape[1])
        estimate = quantile(pool.ravel(), percent / 100, clusters=images, resamples=300)
        rows.append(
            {
                "norm": natural.norm(radius),
                "eps": natural.eps(radius),
                "radius": f"{natural.norm(radius)}, eps={number(natural.eps(radius))}",
                "measured": "cross-entropy" if column == "cross_entropy" else column,
                "quantile": f"{percent} %",
                "reproduced": estimate.estimate,
                "ci_low": estimate.low,
                "ci_high": estimate.high,
                "with_noise": np.percentile(natural.pooled(column, radius, SEVEN), percent),
                "last_scheme": np.percentile(natural.values(column, radius, GRADIENT, LAST_SCHEME), percent),
                "released_variant": np.percentile(released.pooled(column, radius, GRADIENT), percent),
                "published": only_value(inputs.published, **conditions),
            }
        )
    frame = pd.DataFrame(rows)
    decimals = 2 if cells[0][1] == "cross_entropy" else 4
    return Table(
        frame,
        f"{caption} In brackets the published numbers (ImageNet).",
        notes=(
            "In the csv: with_noise adds uniform and boundary noise to the pool, as the printed caption "
            "says; last_scheme pools the "
            "geometric deterministic scheme alone, which is what the released script keeps; "
            "released_variant is our run "
            "of the released code's variant; ci_low and ci_high bound a 95 % bootstrap interval over images.",
        ),
        layout=side_by_side(frame, rows=["radius", "measured"], columns=["quantile"], decimals=decimals),
    )
