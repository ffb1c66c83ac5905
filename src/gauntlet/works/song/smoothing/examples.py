"""Pictures of attacked images (song, section 2.2): Figures 2.3 to 2.6, drawn with digits of our own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gauntlet.datasets.imageset import open_split
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.panels import draw_difference, draw_image
from gauntlet.reporting.style import new_figure

SOURCES = 4
"""Images in the grid of Figure 2.4."""

BORROWED = (
    "The work shows a picture from the literature in this place; this one is made with a network of our own."
)


def figure_2_3(inputs: ArtefactInputs) -> Figure:
    """Figure 2.3: an image, a perturbation, and the adversarial image."""
    clean, attacked, images, classes = _kept(inputs, "fgsm")
    row = int(np.argmax(np.where(attacked["success"], clean["confidence"], -1.0)))
    before, after = images["clean"][row], images["fgsm"][row]
    settings = inputs.evaluation().specification["procedures"]["fgsm"]
    true, predicted = classes[clean["label"][row]], classes[attacked["prediction"][row]]
    canvas, panels = new_figure(3, width=6, panel_height=2.3)
    draw_image(panels[0, 0], before, f"{true}: {_percent(clean['confidence'][row])}")
    draw_difference(panels[0, 1], after - before, f"sign of the gradient,\n$\\epsilon$ = {settings['eps']:g}")
    draw_image(panels[0, 2], after, f"{predicted}: {_percent(attacked['prediction_confidence'][row])}")
    frame = pd.DataFrame(
        [
            {
                "index": int(clean["index"][row]),
                "true_class": true,
                "clean_confidence": clean["confidence"][row],
                "predicted_class": predicted,
                "adversarial_confidence": attacked["prediction_confidence"][row],
                "eps": settings["eps"],
            }
        ]
    )
    return Figure(
        canvas,
        frame,
        "An image, one step along the sign of the loss gradient (in colours around white), and the adversarial image, "
        "with the class that the undefended network sees and its probability.",
        notes=(BORROWED,),
    )


def figure_2_4(inputs: ArtefactInputs) -> Figure:
    """Figure 2.4: targeted images of the Carlini-Wagner attack, every source with every target."""
    _, attacked, images, classes = _kept(inputs, "carlini-wagner")
    per_source = len(classes) - 1
    canvas, panels = new_figure(len(classes), SOURCES, width=7, panel_height=0.8)
    rows = []
    for source in range(SOURCES):
        label = int(attacked["label"][source * per_source])
        draw_image(panels[source, label], images["clean"][source * per_source])
        panels[source, label].add_patch(_frame(images["clean"].shape[-1]))
        for row in range(source * per_source, (source + 1) * per_source):
            target = int(attacked["target"][row])
            if attacked["success"][row]:
                draw_image(panels[source, target], images["carlini-wagner"][row])
            else:
                panels[source, target].set_axis_off()
            rows.append(
                {
                    "index": int(attacked["index"][row]),
                    "true_class": classes[label],
                    "target_class": classes[target],
                    "success": bool(attacked["success"][row]),
                    "l2": float(attacked["l2"][row]),
                }
            )
    for name, axes in zip(classes, panels[0], strict=True):
        axes.set_title(name, loc="center", fontsize=7)
    return Figure(
        canvas,
        pd.DataFrame(rows),
        "Adversarial images of the l2 attack of Carlini and Wagner on an undefended network. Framed: the clean images; "
        "in every column, what the attack makes the network take for the class above.",
        notes=(BORROWED, "A gap is a target that the attack did not reach."),
    )


def _frame(side: int) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((-0.5, -0.5), side, side, fill=False, edgecolor="#ad5f30", linewidth=2.5)


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


def _pairs(inputs: ArtefactInputs, name: str, caption: str, most: int = 6) -> Figure:
    """Show the first fooled images, no image twice, above what became of them."""
    clean, attacked, images, classes = _kept(inputs, name)
    fooled = pd.DataFrame({"row": np.arange(len(attacked["index"])), "index": attacked["index"]})
    fooled = fooled[np.asarray(attacked["success"], dtype=bool)].drop_duplicates("index").head(most)
    canvas, panels = new_figure(most, 2, width=7, panel_height=1.35)
    for axes in panels.flat:
        axes.set_axis_off()
    rows = []
    for column, row in enumerate(fooled["row"]):
        true, seen = classes[clean["label"][row]], classes[attacked["prediction"][row]]
        draw_image(panels[0, column], images["clean"][row], true)
        draw_image(panels[1, column], images[name][row], seen)
        rows.append(
            {
                "index": int(attacked["index"][row]),
                "true_class": true,
                "predicted_class": seen,
                "linf": float(attacked["linf"][row]),
                "queries": int(attacked["queries"][row]),
            }
        )
    return Figure(
        canvas,
        pd.DataFrame(rows, columns=["index", "true_class", "predicted_class", "linf", "queries"]),
        f"{caption}, with the classes that an undefended network sees.",
        notes=(BORROWED,),
    )


def _kept(
    inputs: ArtefactInputs, name: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, np.ndarray], list[str]]:
    """Return the columns of the clean and of the attacked images, the images, and the names of the classes."""
    result = inputs.evaluation()
    (folder,) = inputs.datasets.values()
    return (
        _columns(result.rows("clean")),
        _columns(result.rows(name)),
        result.images(),
        list(open_split(folder).classes),
    )


def _columns(frame: pd.DataFrame) -> dict[str, Any]:
    return {str(column): frame[column].to_numpy() for column in frame}


def _percent(probability: float) -> str:
    return f"{100 * probability:.1f} %"
