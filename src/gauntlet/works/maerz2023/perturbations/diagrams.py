"""Drawings: Figures 1.4, 1.5, 2.4, 2.5 and 4.1."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.datasets.imageset import ImageSet, open_split
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.panels import draw_image
from gauntlet.reporting.style import SEQUENTIAL, new_figure

EDGES = np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], dtype=float)
"""The 3x3 kernel of Figure 1.4: responds where a pixel differs from its neighbors."""

GRIDS = (2, 4, 8, 16, 32)
"""Blocks per side on each level of the hierarchical lifting (levels 0 to 4 of a 32x32 image)."""


def figure_1_4(inputs: ArtefactInputs) -> Figure:
    """Figure 1.4: what a 3x3 kernel does to a picture."""
    images = _split(inputs)
    # The image with the strongest contrast among the first hundred shows the effect best.
    row = int(np.argmax(images.images[:100].astype(float).std(axis=(1, 2, 3))))
    gray = images.images[row].mean(axis=0) / 255
    filtered = convolve(gray, EDGES)
    canvas, panels = new_figure(3, panel_height=2.5)
    draw_image(panels[0, 0], gray, f"image ({images.classes[images.labels[row]]})")
    kernel = panels[0, 1]
    kernel.imshow(EDGES, cmap="Greys", vmin=-10, vmax=16)
    for (y, x), weight in np.ndenumerate(EDGES):
        kernel.text(x, y, f"{weight:.0f}", ha="center", va="center", fontsize=14)
    kernel.set_title("kernel")
    kernel.set_axis_off()
    draw_image(panels[0, 2], np.abs(filtered) / np.abs(filtered).max(), "absolute response")
    frame = pd.DataFrame(
        [
            {"row": y, "column": x, "grey": gray[y + 1, x + 1], "response": value}
            for (y, x), value in np.ndenumerate(filtered)
        ]
    )
    return Figure(
        canvas,
        frame,
        "A 3x3 kernel, moved over an image, answers to edges: the elementary operation of a convolutional layer.",
    )


def convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return the weighted sum of every full neighborhood, as a convolutional layer computes it (no flip)."""
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.einsum("yxij,ij->yx", windows, kernel)


def figure_1_5(inputs: ArtefactInputs) -> Figure:
    """Figure 1.5: the optimization problems of the work as special cases of one."""
    nodes = {
        "DRO": (
            0.5,
            0.86,
            "(DRO) distributionally robust\n$\\min_\\theta E\\,\\sup_{A} E_{\\Delta\\sim "
            "A}\\,L(F(X+\\Delta), C)$",
        ),
        "RO": (0.17, 0.5, "(RO) adversarial training\nall point masses in the ball"),
        "CO": (0.5, 0.5, "(CO) clean training\nno perturbation"),
        "SO": (0.83, 0.5, "(SO) smoothing\n$\\Delta\\sim N(0, \\sigma^2 I)$ only"),
        "RO-N": (0.17, 0.14, "empirical (RO)\nmean over $N$ samples"),
        "CO-N": (0.5, 0.14, "empirical (CO)\nmean over $N$ samples"),
        "SO-N": (0.83, 0.14, "empirical (SO)\nmean over $N$ samples,\n$M$ draws of noise each"),
    }
    edges = [("DRO", "RO"), ("DRO", "CO"), ("DRO", "SO"), ("RO", "RO-N"), ("CO", "CO-N"), ("SO", "SO-N")]
    canvas, panels = new_figure(width=7, panel_height=3.8)
    _tree(panels[0, 0], nodes, edges)
    panels[0, 0].text(0.02, 0.68, "choice of the ambiguity set", fontsize=8, color="0.35")
    panels[0, 0].text(0.02, 0.32, "sample averages", fontsize=8, color="0.35")
    frame = pd.DataFrame(edges, columns=["problem", "special_case"])
    return Figure(
        canvas,
        frame,
        "Clean training, adversarial training and smoothing as special cases of one distributionally robust "
        "problem, and what is solved in their place.",
    )


def _tree(axes: Axes, nodes: dict[str, tuple[float, float, str]], edges: list[tuple[str, str]]) -> None:
    for upper, lower in edges:
        start, end = nodes[upper], nodes[lower]
        axes.annotate(
            "",
            (end[0], end[1] + 0.1),
            (start[0], start[1] - 0.1),
            arrowprops={"arrowstyle": "->", "color": "0.3"},
        )
    for x, y, text in nodes.values():
        axes.text(
            x,
            y,
            text,
            ha="center",
            va="center",
            fontsize=8.5,
            bbox={"boxstyle": "round,pad=0.5", "fc": "0.95", "ec": "0.3"},
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(0, 1))
    axes.set_axis_off()


def figure_2_4(inputs: ArtefactInputs) -> Figure:
    """Figure 2.4: one value per block of a sparse grid is lifted to the whole image."""
    values = np.random.default_rng(1).uniform(-1, 1, (4, 4))
    lifted = lift(values, GRIDS[-1])
    canvas, panels = new_figure(2, panel_height=3.1)
    for axes, grid, title in (
        (panels[0, 0], values, "4×4 variables"),
        (panels[0, 1], lifted, "32×32 perturbation"),
    ):
        image = axes.imshow(grid, cmap=SEQUENTIAL, vmin=-1, vmax=1)
        axes.set_title(title)
        axes.set_xticks(np.arange(len(grid) + 1) - 0.5, [])
        axes.set_yticks(np.arange(len(grid) + 1) - 0.5, [])
        axes.grid(color="0.8", linewidth=0.4)
        axes.tick_params(length=0)
    for (y, x), value in np.ndenumerate(values):
        panels[0, 0].text(
            x, y, f"{value:+.1f}", ha="center", va="center", color="white" if value > 0.1 else "black"
        )
    canvas.colorbar(image, ax=panels, label=r"change in units of $\epsilon$", shrink=0.8)
    frame = pd.DataFrame(
        [{"row": y, "column": x, "value": value} for (y, x), value in np.ndenumerate(values)]
    )
    return Figure(
        canvas,
        frame,
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
    images, per_class = _split(inputs), 8
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


def _split(inputs: ArtefactInputs) -> ImageSet:
    (folder,) = inputs.datasets.values()
    return open_split(folder)
