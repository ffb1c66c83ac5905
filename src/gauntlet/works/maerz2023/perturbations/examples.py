"""Pictures of attacked images: Figures 1.1, 1.3, 4.5 and 4.8."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.published import published_value
from gauntlet.analysis.results import Results
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.numerals import percent, radius_text
from gauntlet.reporting.panels import draw_difference, draw_image
from gauntlet.reporting.pictures import draw_attack, magnification
from gauntlet.reporting.style import new_figure
from gauntlet.setting_types import ORDER
from gauntlet.works.maerz2023.versions import HARMONIC, NORM_SYMBOLS

DISTORTIONS = ("linf", "l2", "l1")


def figure_1_1(inputs: ArtefactInputs) -> Figure:
    """Figure 1.1: a targeted attack on an image that the network was sure of."""
    return _surest(inputs, "targeted", "targeted attack")


def figure_1_3(inputs: ArtefactInputs) -> Figure:
    """Figure 1.3: an untargeted attack with a radius that can be seen."""
    return _surest(inputs, "visible", "untargeted attack with a large radius")


def figure_4_5(inputs: ArtefactInputs) -> Figure:
    """Figure 4.5: the image that is left with the least confidence in its true class."""
    attack = inputs.results.one(attack="equal volume", ball="linf")
    row = int(np.argmax(_kept(attack)["cross_entropy"]))
    rule = "the least confidence left in the true class"
    return _before_and_after(inputs, attack, row, "16 deterministic harmonic steps", rule)


def _surest(inputs: ArtefactInputs, name: str, heading: str) -> Figure:
    """Show the image with the largest clean confidence among those that an attack fooled."""
    attack = inputs.results.one(attack=name)
    confidence = _kept(_clean(inputs))["confidence"]
    row = int(np.argmax(confidence.where(_kept(attack)["success"].astype(bool), -1.0)))
    return _before_and_after(inputs, attack, row, heading, "the largest clean confidence among the successes")


def _before_and_after(inputs: ArtefactInputs, attack: Results, row: int, heading: str, rule: str) -> Figure:
    clean, attacked = _kept(_clean(inputs)).iloc[row], _kept(attack).iloc[row]
    images, classes = attack.table.images(), inputs.split.classes
    norm, eps = attack.label("norm"), attack.label("radius")
    true, predicted = classes[int(clean["label"])], classes[int(attacked["prediction"])]
    canvas = draw_attack(
        images["clean"][row],
        images[attack.label("procedure")][row],
        clean=f"{true}: {percent(clean['confidence'])}",
        attacked=f"{true}: {percent(attacked['confidence'])}, "
        f"{predicted}: {percent(attacked['prediction_confidence'])}",
        heading=f"{heading}, {NORM_SYMBOLS[norm]}, $\\epsilon$ = {radius_text(eps)}",
    )
    numbers = {
        "index": int(clean["index"]),
        "true_class": true,
        "adversarial_class": predicted,
        "target_class": classes[int(attacked["target"])] if attack.label("attack") == "targeted" else "",
        "norm": norm,
        "eps": eps,
        "clean_confidence": 100 * clean["confidence"],
        "adversarial_confidence_true": 100 * attacked["confidence"],
        "adversarial_confidence_predicted": 100 * attacked["prediction_confidence"],
        "adversarial_cross_entropy": attacked["cross_entropy"],
        **{distortion: attacked[distortion] for distortion in DISTORTIONS},
    }
    printed = ("published_clean", "published_adversarial_true", "published_adversarial_predicted")
    numbers |= dict(zip(printed, inputs.published["value"].astype(float), strict=True))
    return Figure(
        canvas,
        pd.DataFrame([numbers]),
        f"The natural model's image of {attack.label('dataset')} with {rule}: clean, attacked, and their difference.",
    )


def figure_4_8(inputs: ArtefactInputs) -> Figure:
    """Figure 4.8: one image under attacks of equal volume in three norms, with its distortions."""
    attacks = [attack for _, attack in inputs.results.where(attack="equal volume").groups("ball")]
    clean, images, classes = _kept(_clean(inputs)), inputs.results.table.images(), inputs.split.classes
    fooled = np.all([_kept(attack)["success"] for attack in attacks], axis=0)
    row = int(np.argmax(np.where(fooled, clean["confidence"], clean["confidence"] - 1)))
    before, image = images["clean"][row], clean.iloc[row]
    true = classes[int(image["label"])]
    canvas, grid = new_figure(4, 2, panel_height=2.5)
    draw_image(grid[0, 0], before, f"clean\n{true}: {percent(image['confidence'])}")
    grid[1, 0].set_axis_off()
    rows = []
    for (above, below), attack in zip(grid.T[1:], attacks, strict=True):
        found, after = _kept(attack).iloc[row], images[attack.label("procedure")][row]
        norm, eps = attack.label("norm"), attack.label("radius")
        predicted = classes[int(found["prediction"])]
        draw_image(
            above, after, f"{NORM_SYMBOLS[norm]}, $\\epsilon$ = {radius_text(eps)}\n"
            f"{predicted}: {percent(found['prediction_confidence'])}",
        )  # fmt: skip
        sizes = "\n".join(f"{NORM_SYMBOLS[each]} distortion {found[each]:.4g}" for each in DISTORTIONS)
        draw_difference(below, after - before, f"difference, ×{magnification(before, after):.3g}\n{sizes}")
        rows += [
            {
                "index": int(image["index"]),
                "true_class": true,
                "attack_norm": norm,
                "eps": eps,
                "distortion_norm": distortion,
                "distortion": found[distortion],
                "published": published_value(
                    inputs.published,
                    absent=np.nan,
                    attack_norm=ORDER[norm],
                    distortion_norm=ORDER[distortion],
                ),
            }
            for distortion in DISTORTIONS
        ]
    canvas.suptitle(f"16 steps, {HARMONIC}; radii of equal volume")
    return Figure(
        canvas,
        pd.DataFrame(rows),
        f"One image of {inputs.results.label('dataset')} attacked in three norms with balls of equal volume; "
        "below, the magnified differences and their size.",
    )


def _clean(inputs: ArtefactInputs) -> Results:
    return inputs.results.one(perturbation="clean")


def _kept(procedure: Results) -> pd.DataFrame:
    """Return the rows of the samples whose images were kept."""
    return procedure.rows.iloc[: procedure.table.specification["keep_images"]]
