"""Pictures of attacked images: Figures 1.1, 1.3, 4.5 and 4.8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gauntlet.datasets.imageset import open_split
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.inputs import ArtefactInputs, EvaluationResult
from gauntlet.reporting.panels import draw_difference, draw_image
from gauntlet.reporting.style import new_figure
from gauntlet.works.maerz2023.perturbations.observations import HARMONIC, NORM_SYMBOLS, number, procedure
from gauntlet.works.maerz2023.perturbations.published import PUBLISHED_EPS, records

EXAMPLES = "natural-examples"
DISTORTIONS = ("linf", "l2", "l1")


def figure_1_1(inputs: ArtefactInputs) -> Figure:
    """Figure 1.1: a targeted attack, an image that the network was sure of."""
    return _before_and_after(inputs, "targeted", "targeted attack")


def figure_1_3(inputs: ArtefactInputs) -> Figure:
    """Figure 1.3: an untargeted attack with a radius that can be seen."""
    return _before_and_after(inputs, "visible", "untargeted attack with a large radius")


def figure_4_5(inputs: ArtefactInputs) -> Figure:
    """Figure 4.5: the image that is left with the least confidence in its true class."""
    return _before_and_after(
        inputs, procedure("linf", "16"), "16 deterministic harmonic steps", least_confidence=True
    )


def _before_and_after(
    inputs: ArtefactInputs, name: str, what: str, *, least_confidence: bool = False
) -> Figure:
    result = inputs.evaluations[EXAMPLES]
    clean, attacked = _kept(result, "clean"), _kept(result, name)
    order = (
        attacked["cross_entropy"]
        if least_confidence
        else np.where(attacked["success"], clean["confidence"], -1.0)
    )
    row = int(np.argmax(order))
    images, classes = result.images(), _classes(inputs)
    before, after = images["clean"][row], images[name][row]
    settings = result.specification["procedures"][name]
    canvas, panels = new_figure(3, panel_height=2.9)
    left, middle, right = panels[0]
    true, predicted = int(clean["label"][row]), int(attacked["prediction"][row])
    draw_image(left, before, f"clean\n{classes[true]}: {percent(clean['confidence'][row])}")
    draw_image(
        middle, after, f"attacked\n{classes[true]}: {percent(attacked['confidence'][row])}, "
        f"{classes[predicted]}: {percent(attacked['prediction_confidence'][row])}",
    )  # fmt: skip
    draw_difference(right, after - before, f"difference, ×{magnification(before, after):.3g}")
    canvas.suptitle(f"{what}, {NORM_SYMBOLS[settings['norm']]}, $\\epsilon$ = {number(settings['eps'])}")
    numbers = {
        "index": int(clean["index"][row]),
        "true_class": classes[true],
        "adversarial_class": classes[predicted],
        "target_class": classes[int(attacked["target"][row])] if settings["target"] == "samples" else "",
        "norm": settings["norm"],
        "eps": settings["eps"],
        "clean_confidence": 100 * clean["confidence"][row],
        "adversarial_confidence_true": 100 * attacked["confidence"][row],
        "adversarial_confidence_predicted": 100 * attacked["prediction_confidence"][row],
        "adversarial_cross_entropy": attacked["cross_entropy"][row],
        "linf": attacked["linf"][row],
        "l2": attacked["l2"][row],
        "l1": attacked["l1"][row],
    }
    rule = (
        "the least confidence left in the true class"
        if least_confidence
        else "the largest clean confidence among the successes"
    )
    return Figure(
        canvas,
        pd.DataFrame([{**numbers, **_published(inputs)}]),
        f"The natural model's image of {result.specification['dataset']} with {rule}: clean, attacked, and "
        "their difference.",
    )


def _published(inputs: ArtefactInputs) -> dict[str, float]:
    """Return the printed confidences in %: clean, attacked (true class), attacked (predicted class)."""
    if inputs.published.empty:
        return {}
    names = ("published_clean", "published_adversarial_true", "published_adversarial_predicted")
    return dict(zip(names, inputs.published["value"].astype(float), strict=False))


def figure_4_8(inputs: ArtefactInputs) -> Figure:
    """Figure 4.8: one image under attacks of equal volume in three norms, with its distortions."""
    result = inputs.evaluations[EXAMPLES]
    radii = ("linf", "l2-volume", "l1-volume")
    kept = {radius: _kept(result, procedure(radius, "16")) for radius in radii}
    clean, images, classes = _kept(result, "clean"), result.images(), _classes(inputs)
    fooled = np.all([kept[radius]["success"] for radius in radii], axis=0)
    row = int(np.argmax(np.where(fooled, clean["confidence"], clean["confidence"] - 1)))
    before = images["clean"][row]
    canvas, grid = new_figure(4, 2, panel_height=2.5)
    draw_image(
        grid[0, 0],
        before,
        f"clean\n{classes[int(clean['label'][row])]}: {percent(clean['confidence'][row])}",
    )
    grid[1, 0].set_axis_off()
    rows = []
    for column, radius in enumerate(radii, start=1):
        found = kept[radius]
        settings = result.specification["procedures"][procedure(radius, "16")]
        after = images[procedure(radius, "16")][row]
        draw_image(
            grid[0, column], after,
            f"{NORM_SYMBOLS[settings['norm']]}, $\\epsilon$ = {number(settings['eps'])}\n"
            f"{classes[int(found['prediction'][row])]}: {percent(found['prediction_confidence'][row])}",
        )  # fmt: skip
        distortions = "\n".join(
            f"{NORM_SYMBOLS[norm]} distortion {found[norm][row]:.4g}" for norm in DISTORTIONS
        )
        draw_difference(
            grid[1, column], after - before, f"difference, ×{magnification(before, after):.3g}\n{distortions}"
        )
        for norm in DISTORTIONS:
            rows.append(
                {
                    "index": int(clean["index"][row]),
                    "true_class": classes[int(clean["label"][row])],
                    "attack_norm": settings["norm"],
                    "eps": settings["eps"],
                    "distortion_norm": norm,
                    "distortion": found[norm][row],
                    "published": _published_distortion(inputs, radius, norm),
                }
            )
    canvas.suptitle(f"16 steps, {HARMONIC}; radii of equal volume")
    return Figure(
        canvas,
        pd.DataFrame(rows),
        f"One image of {result.specification['dataset']} attacked in three norms with balls of equal volume; "
        "below, the magnified differences and their size.",
    )


def _published_distortion(inputs: ArtefactInputs, radius: str, norm: str) -> float:
    printed = inputs.published
    for row in records(printed):
        same_attack = str(row["attack_eps"]).startswith(PUBLISHED_EPS[radius])
        if same_attack and float(row["distortion_norm"]) == float(norm.removeprefix("l")):
            return float(row["value"])
    return float("nan")


def magnification(before: np.ndarray, after: np.ndarray) -> float:
    """Return how much a difference is enlarged when its largest entry fills half the pixel range."""
    largest = float(np.abs(after - before).max())
    return 0.5 / largest if largest > 0 else 1.0


def _kept(result: EvaluationResult, name: str) -> dict[str, Any]:
    """Return the columns of a procedure for the samples whose images were kept."""
    rows = result.rows(name).iloc[: result.specification["keep_images"]]
    return {str(column): rows[column].to_numpy() for column in rows}


def _classes(inputs: ArtefactInputs) -> Sequence[str]:
    (folder,) = inputs.datasets.values()
    return open_split(folder).classes


def percent(probability: float) -> str:
    """Write a probability in percent."""
    return f"{100 * probability:.2f} %"
