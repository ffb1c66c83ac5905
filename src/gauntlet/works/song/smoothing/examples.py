"""Pictures of attacked images (song, section 2.2): Figures 2.3 to 2.6, drawn with digits of our own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.numerals import percent
from gauntlet.reporting.panels import draw_image
from gauntlet.reporting.pictures import draw_attack
from gauntlet.reporting.style import new_figure

SOURCES = 4
"""Images in the grid of Figure 2.4."""

PAIRS = 6
"""Images in Figures 2.5 and 2.6."""

BORROWED = (
    "The work shows a picture from the literature in this place; this one is made with a network of our own."
)


@dataclass(frozen=True)
class Attacked:
    """One attack's images beside the clean ones.

    Attributes:
        rows: the attack's rows, with the names of the classes: ``true_class``, ``target_class``, ``predicted_class``.
        clean: the clean images, in the order of the rows.
        images: the final ones.
        classes: names of all classes.
    """

    rows: pd.DataFrame
    clean: np.ndarray
    images: np.ndarray
    classes: list[str]


def _attacked(inputs: ArtefactInputs, procedure: str) -> Attacked:
    found = inputs.results.one(procedure=procedure)
    classes = inputs.split.classes
    named = {"true_class": "label", "target_class": "target", "predicted_class": "prediction"}
    names = {name: found.rows[column].map(dict(enumerate(classes))) for name, column in named.items()}
    images = found.table.images()
    return Attacked(found.rows.assign(**names), images["clean"], images[procedure], classes)


def figure_2_3(inputs: ArtefactInputs) -> Figure:
    """Figure 2.3: an image, a perturbation, and the adversarial image."""
    found = _attacked(inputs, "fgsm")
    eps = inputs.results.one(procedure="fgsm").setting("eps")
    rows = found.rows.assign(
        clean_confidence=inputs.results.one(procedure="clean").rows["confidence"],
        adversarial_confidence=found.rows["prediction_confidence"],
        eps=eps,
    )
    # The surest image that was fooled.
    number = int(np.argmax(np.where(rows["success"], rows["clean_confidence"], -1.0)))
    row = rows.iloc[number]
    canvas = draw_attack(
        found.clean[number],
        found.images[number],
        clean=f"{row['true_class']}: {percent(row['clean_confidence'])}",
        attacked=f"{row['predicted_class']}: {percent(row['adversarial_confidence'])}",
        heading=f"one step along the sign of the gradient, $\\epsilon$ = {eps:g}",
    )
    columns = ["index", "true_class", "clean_confidence", "predicted_class", "adversarial_confidence", "eps"]
    return Figure(
        canvas,
        rows.iloc[[number]][columns].reset_index(drop=True),
        "An image, the adversarial image, and the step between them along the sign of the loss gradient (in colors "
        "around white), with the class that the undefended network sees and its probability.",
        notes=(BORROWED,),
    )


def figure_2_4(inputs: ArtefactInputs) -> Figure:
    """Figure 2.4: targeted images of the Carlini-Wagner attack, every source with every target."""
    found = _attacked(inputs, "carlini-wagner")
    per_source = len(found.classes) - 1
    rows = found.rows.head(SOURCES * per_source)
    canvas, panels = new_figure(len(found.classes), SOURCES, width=7, panel_height=0.8)
    for number, (label, target, success) in enumerate(
        rows[["label", "target", "success"]].itertuples(index=False, name=None)
    ):
        source, axes = panels[number // per_source], panels[number // per_source, target]
        if number % per_source == 0:
            draw_image(source[label], found.clean[number])
            side = found.clean.shape[-1]
            frame = Rectangle((-0.5, -0.5), side, side, fill=False, edgecolor="#ad5f30", linewidth=2.5)
            source[label].add_patch(frame)
        if success:
            draw_image(axes, found.images[number])
        else:
            axes.set_axis_off()
    for name, axes in zip(found.classes, panels[0], strict=True):
        axes.set_title(name, loc="center", fontsize=7)
    return Figure(
        canvas,
        rows[["index", "true_class", "target_class", "success", "l2"]],
        "Adversarial images of the l2 attack of Carlini and Wagner on an undefended network. Framed: the clean images; "
        "in every column, what the attack makes the network take for the class above.",
        notes=(BORROWED, "A gap is a target that the attack did not reach."),
    )


def figure_2_5(inputs: ArtefactInputs) -> Figure:
    """Figure 2.5: black-box adversarial images."""
    return _pairs(
        inputs,
        "square",
        "Clean images (above) and adversarial images of a black-box attack that sees the network's scores only, within "
        "an linf ball (below)",
    )


def figure_2_6(inputs: ArtefactInputs) -> Figure:
    """Figure 2.6: a watermark as a black-box attack."""
    return _pairs(
        inputs,
        "watermark",
        "Clean images (above) and the same images under a translucent watermark, placed by a black-box search so that "
        "the network errs (below)",
    )


def _pairs(inputs: ArtefactInputs, procedure: str, caption: str) -> Figure:
    """Show the first fooled images, no image twice, above what became of them."""
    found = _attacked(inputs, procedure)
    fooled = found.rows[found.rows["success"].astype(bool)].drop_duplicates("index").head(PAIRS)
    canvas, panels = new_figure(PAIRS, 2, width=7, panel_height=1.35)
    for axes in panels.flat:
        axes.set_axis_off()
    for (above, below), number in zip(panels.T, fooled.index.tolist(), strict=False):
        draw_image(above, found.clean[number], fooled["true_class"][number])
        draw_image(below, found.images[number], fooled["predicted_class"][number])
    return Figure(
        canvas,
        fooled[["index", "true_class", "predicted_class", "linf", "queries"]].reset_index(drop=True),
        f"{caption}, with the classes that an undefended network sees.",
        notes=(BORROWED,),
    )
