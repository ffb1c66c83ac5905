"""Figure 5.2, a sketch: robust images are those that are correct and stable (chen2021, section 5.3.1)."""

from __future__ import annotations

import pandas as pd
from matplotlib.patches import Ellipse

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.style import COLOURS, new_figure

SETS = {"correct": ((0.38, 0.5), COLOURS[2]), "stable": ((0.62, 0.5), COLOURS[5])}
"""Center and color of each set."""


def figure_5_2(inputs: ArtefactInputs) -> Figure:
    """Figure 5.2: two sets of images and what they share."""
    canvas, axes = new_figure(panel_height=2.2)
    panel = axes[0, 0]
    panel.set(xlim=(0, 1), ylim=(0, 1))
    panel.set_axis_off()
    for (x, y), color in SETS.values():
        panel.add_patch(Ellipse((x, y), 0.56, 0.8, facecolor=color, edgecolor="0.2", alpha=0.35))
    texts = {
        "classified correctly": (0.22, 0.5),
        "robust": (0.5, 0.5),
        "same class in\nthe whole ball": (0.78, 0.5),
    }
    for text, (x, y) in texts.items():
        panel.text(x, y, text, ha="center", va="center")
    frame = pd.DataFrame({"set": list(SETS), "share": ["natural accuracy", "perturbation stability"]})
    return Figure(
        canvas,
        frame,
        "Robust images are those that are classified correctly and whose class is the same in the whole ball. The "
        "share of the one set is natural accuracy, that of the other perturbation stability.",
    )
