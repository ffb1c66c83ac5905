"""Pictures of attacked images that several works show: clean, attacked, and the difference."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure as Canvas

from gauntlet.reporting.panels import draw_difference, draw_image
from gauntlet.reporting.style import new_figure


def draw_attack(
    before: np.ndarray, after: np.ndarray, *, clean: str, attacked: str, heading: str = ""
) -> Canvas:
    """Return a drawing of an image, its attacked version and their magnified difference.

    Args:
        before: the clean image ``[C, H, W]``.
        after: the attacked one.
        clean: what the network says of the clean image.
        attacked: what it says of the attacked one.
        heading: above all three.
    """
    canvas, panels = new_figure(3, panel_height=2.9)
    left, middle, right = panels[0]
    draw_image(left, before, f"clean\n{clean}")
    draw_image(middle, after, f"attacked\n{attacked}")
    draw_difference(right, after - before, f"difference, ×{magnification(before, after):.3g}")
    canvas.suptitle(heading)
    return canvas


def magnification(before: np.ndarray, after: np.ndarray) -> float:
    """Return how much a difference is enlarged when its largest entry fills half the pixel range."""
    largest = float(np.abs(after - before).max())
    return 0.5 / largest if largest > 0 else 1.0
