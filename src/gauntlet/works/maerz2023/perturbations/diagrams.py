"""Drawings: Figures 1.4, 1.5, 2.4, 2.5 and 4.1."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.diagrams import cells, convolved, draw_numbers, flow_chart
from gauntlet.reporting.panels import draw_image
from gauntlet.reporting.style import SEQUENTIAL, new_figure

EDGES = np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], dtype=float)
"""The 3x3 kernel of Figure 1.4: responds where a pixel differs from its neighbors."""

GRIDS = (2, 4, 8, 16, 32)
"""Blocks per side on each level of the hierarchical lifting (levels 0 to 4 of a 32x32 image)."""


def figure_1_4(inputs: ArtefactInputs) -> Figure:
    """Figure 1.4: what a 3x3 kernel does to a picture."""
    images = inputs.split
    # The image with the strongest contrast among the first hundred shows the effect best.
    row = int(np.argmax(images.images[:100].astype(float).std(axis=(1, 2, 3))))
    gray = images.images[row].mean(axis=0) / 255
    filtered = convolved(gray, EDGES)
    canvas, panels = new_figure(3, panel_height=2.5)
    draw_image(panels[0, 0], gray, f"image ({images.classes[images.labels[row]]})")
    draw_numbers(panels[0, 1], EDGES, "kernel")
    draw_image(panels[0, 2], np.abs(filtered) / np.abs(filtered).max(), "absolute response")
    frame = cells(filtered).rename(columns={"value": "response"})
    frame.insert(2, "grey", gray[1:-1, 1:-1].ravel())
    return Figure(
        canvas,
        frame,
        "A 3x3 kernel, moved over an image, answers to edges: the elementary operation of a convolutional layer.",
    )


def figure_1_5(inputs: ArtefactInputs) -> Figure:
    """Figure 1.5: the optimization problems of the work as special cases of one."""
    general = "$\\min_\\theta E\\,\\sup_{A} E_{\\Delta\\sim A}\\,L(F(X+\\Delta), C)$"
    problems = {
        "DRO": (0.5, 0.86, f"(DRO) distributionally robust\n{general}"),
        "RO": (0.17, 0.5, "(RO) adversarial training\nall point masses in the ball"),
        "CO": (0.5, 0.5, "(CO) clean training\nno perturbation"),
        "SO": (0.83, 0.5, "(SO) smoothing\n$\\Delta\\sim N(0, \\sigma^2 I)$ only"),
        "RO-N": (0.17, 0.14, "empirical (RO)\nmean over $N$ samples"),
        "CO-N": (0.5, 0.14, "empirical (CO)\nmean over $N$ samples"),
        "SO-N": (0.83, 0.14, "empirical (SO)\nmean over $N$ samples,\n$M$ draws of noise each"),
    }
    return flow_chart(
        problems,
        [("DRO", "RO"), ("DRO", "CO"), ("DRO", "SO"), ("RO", "RO-N"), ("CO", "CO-N"), ("SO", "SO-N")],
        "Clean training, adversarial training and smoothing as special cases of one distributionally robust "
        "problem, and what is solved in their place.",
        {("DRO", "CO"): "choice of the\nambiguity set", ("CO", "CO-N"): "sample averages"},
    )


def figure_2_4(inputs: ArtefactInputs) -> Figure:
    """Figure 2.4: one value per block of a sparse grid is lifted to the whole image."""
    values = np.random.default_rng(1).uniform(-1, 1, (4, 4))
    canvas, panels = new_figure(2, panel_height=3.1)
    for axes, grid in zip(panels[0], (values, lift(values, GRIDS[-1])), strict=True):
        extent = (0, len(grid), len(grid), 0)
        image = axes.imshow(grid, cmap=SEQUENTIAL, vmin=-1, vmax=1, alpha=0.6, extent=extent)
    draw_numbers(panels[0, 0], values, "4×4 variables", form="+.1f")
    panels[0, 1].set_title("32×32 perturbation", loc="center")
    panels[0, 1].set_axis_off()
    canvas.colorbar(image, ax=panels, label=r"change in units of $\epsilon$", shrink=0.8)
    return Figure(
        canvas,
        cells(values),
        "Block lifting: the solver sees one variable per block and channel; all pixels of a block move together.",
    )


def lift(values: np.ndarray, side: int) -> np.ndarray:
    """Repeat every value of a square grid over its block of pixels."""
    repeat = side // len(values)
    return np.kron(values, np.ones((repeat, repeat)))


def figure_2_5(inputs: ArtefactInputs) -> Figure:
    """Figure 2.5: the hierarchy of block sizes."""
    canvas, panels = new_figure(len(GRIDS), width=8.5, panel_height=2.6)
    rows = []
    for level, (axes, grid) in enumerate(zip(panels[0], GRIDS, strict=True)):
        side = GRIDS[-1] // grid
        # The block in the corner and its four children, followed down the levels.
        shade = np.zeros((GRIDS[-1], GRIDS[-1]))
        shade[: 2 * side, : 2 * side] = 0.35
        shade[:side, :side] = 0.9
        axes.imshow(shade, cmap="Greys", vmin=0, vmax=1.4, extent=(0, GRIDS[-1], GRIDS[-1], 0))
        axes.set_xticks(np.arange(0, GRIDS[-1] + 1, side), [])
        axes.set_yticks(np.arange(0, GRIDS[-1] + 1, side), [])
        axes.grid(color="0.55", linewidth=0.4)
        axes.tick_params(length=0)
        axes.set_title(f"level {level}: {grid}×{grid}\n{3 * grid**2} variables")
        rows.append({"level": level, "blocks_per_side": grid, "block_side": side, "variables": 3 * grid**2})
    return Figure(
        canvas,
        pd.DataFrame(rows),
        "Hierarchical lifting on a 32×32 image with three channels: every block (dark) has three siblings (light) "
        "and four children on the next level, so that the number of variables quadruples.",
    )


def figure_4_1(inputs: ArtefactInputs) -> Figure:
    """Figure 4.1: samples of every class."""
    images, per_class = inputs.split, 8
    canvas, panels = new_figure(per_class, len(images.classes), width=5.5, panel_height=0.62)
    rows = []
    for label, name in enumerate(images.classes):
        chosen = np.flatnonzero(images.labels == label)[:per_class]
        for axes, row in zip(panels[label], chosen, strict=True):
            draw_image(axes, images.images[row] / 255)
            rows.append({"class": name, "label": label, "index": int(row)})
        panels[label, 0].text(-0.25, 0.5, name, ha="right", va="center", transform=panels[label, 0].transAxes)
    return Figure(
        canvas, pd.DataFrame(rows), f"The first {per_class} images of every class of the test split."
    )
