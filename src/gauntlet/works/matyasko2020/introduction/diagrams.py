"""Drawings: Figures 2.1 (layers), 2.2 (convolution and pooling), 2.3 (LeNet-5), 2.7 and 2.8 (schemes)."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.diagrams import cells, convolved, draw_numbers, flow_chart
from gauntlet.reporting.style import new_figure

LAYERS = (3, 4, 4, 2)
"""Units of Figure 2.1: input, two hidden layers, output."""

IMAGE = np.array(
    [[0, 1, 1, 0, 0, 1, 2], [1, 3, 2, 1, 0, 2, 1], [2, 3, 3, 1, 1, 0, 0], [1, 2, 3, 2, 1, 1, 0],
     [0, 1, 2, 3, 2, 1, 1], [0, 0, 1, 2, 3, 2, 1], [1, 0, 0, 1, 2, 3, 2]]
)  # fmt: skip
"""A gray image of 7x7."""
FILTERS = np.array([[[1, 0, -1], [1, 0, -1], [1, 0, -1]], [[0, 1, 0], [1, -4, 1], [0, 1, 0]]])
"""Two filters of 3x3: an edge and a point."""
STRIDE = 2


def figure_2_1(inputs: ArtefactInputs) -> Figure:
    """Figure 2.1: a feed-forward network with two fully connected layers."""
    canvas, panels = new_figure(width=4.6, panel_height=2.6)
    axes = panels[0, 0]
    places = [[(layer, row - (units - 1) / 2) for row in range(units)] for layer, units in enumerate(LAYERS)]
    for before, after in itertools.pairwise(places):
        for x, y in before:
            for to_x, to_y in after:
                axes.plot([x, to_x], [y, to_y], color="0.7", linewidth=0.6, zorder=0)
    for units in places:
        axes.scatter(*zip(*units, strict=True), s=260, facecolor="#f3f1ea", edgecolor="0.3")
    names = ("input x", "$h^{(1)}$", "$h^{(2)}$", "output f(x)")
    for layer, name in enumerate(names):
        axes.text(layer, -2.3, name, ha="center", fontsize=8.5)
    axes.set(xlim=(-0.5, len(LAYERS) - 0.5), ylim=(-2.6, 2.1))
    axes.set_axis_off()
    pairs = itertools.pairwise(LAYERS)
    frame = pd.DataFrame(
        [{"inputs": inner, "outputs": outer, "parameters": inner * outer + outer} for inner, outer in pairs]
    )
    return Figure(
        canvas,
        frame,
        "A feed-forward network: every unit of a layer reads every unit of the layer before, h = s(Wx + b), and none "
        "of its own. A layer of k units behind n has nk + k parameters.",
    )


def figure_2_2(inputs: ArtefactInputs) -> Figure:
    """Figure 2.2: two filters with a stride of 2, and max pooling."""
    maps = np.stack([convolved(IMAGE, kernel)[::STRIDE, ::STRIDE] for kernel in FILTERS])
    blocks = IMAGE[:6, :6].reshape(3, 2, 3, 2).swapaxes(1, 2)
    canvas, panels = new_figure(3, 2, panel_height=2.1, letters=False)
    draw_numbers(panels[0, 0], IMAGE, "input", shaded=(2, 2, 3, 3))
    draw_numbers(panels[0, 1], FILTERS[0], "first filter")
    draw_numbers(panels[0, 2], maps[0], "(a) first map, stride 2", shaded=(1, 1, 1, 1))
    draw_numbers(panels[1, 0], FILTERS[1], "second filter")
    draw_numbers(panels[1, 1], maps[1], "(a) second map, stride 2", shaded=(1, 1, 1, 1))
    draw_numbers(panels[1, 2], blocks.max((2, 3)), "(b) largest of each 2×2 block")
    grids = {"input": IMAGE, "first map": maps[0], "second map": maps[1], "pooled": blocks.max((2, 3))}
    return Figure(
        canvas,
        pd.concat([cells(values).assign(grid=name) for name, values in grids.items()], ignore_index=True),
        "A convolution with two 3×3 filters, stride 2 and no padding: each output reads a small part of the input, "
        "with the same weights everywhere; and max pooling. Shaded: one output of each map and what it is computed "
        "from.",
        notes=("A side of W becomes floor((W - F) / S) + 1; the work prints W - F for a stride of 1.",),
    )


def figure_2_3(inputs: ArtefactInputs) -> Figure:
    """Figure 2.3: LeNet-5 as it is trained here."""
    boxes = {
        "input": (0.06, 0.5, "input\n1×28×28"),
        "c1": (0.2, 0.5, "convolution 5×5\n32×24×24"),
        "p1": (0.36, 0.5, "max pooling\n32×12×12"),
        "c2": (0.52, 0.5, "convolution 5×5\n64×8×8"),
        "p2": (0.67, 0.5, "max pooling\n64×4×4"),
        "f1": (0.82, 0.5, "fully\nconnected\n512"),
        "f2": (0.95, 0.5, "logits\n10"),
    }
    names = list(boxes)
    made = flow_chart(
        boxes,
        list(itertools.pairwise(names)),
        "LeNet-5 as chapters 3 and 4 train it: 582,026 parameters, rectified units.",
    )
    return Figure(
        made.canvas,
        made.frame,
        made.caption,
        notes=("The work cites LeCun et al. 1998, whose maps are 6 and 16; its code has 32 and 64.",),
    )


def figure_2_7(inputs: ArtefactInputs) -> Figure:
    """Figure 2.7: the feature adversary."""
    return flow_chart(
        {
            "source": (0.1, 0.8, "source x_s"),
            "sum": (0.34, 0.8, "x_s + r"),
            "guide": (0.1, 0.2, "guide x_g"),
            "first": (0.6, 0.8, "layers 1 ... l"),
            "second": (0.6, 0.2, "layers 1 ... l"),
            "match": (0.87, 0.5, "min over r of\n||phi(x_s + r) - phi(x_g)||²"),
        },
        [
            ("source", "sum"), ("sum", "first"), ("guide", "second"), ("first", "match"), ("second", "match"),
            ("match", "sum"),
        ],
        "The feature adversary: a small r makes the source look like the guide to layer l, not to the eye.",
    )  # fmt: skip


def figure_2_8(inputs: ArtefactInputs) -> Figure:
    """Figure 2.8: adversarial training."""
    return flow_chart(
        {
            "batch": (0.1, 0.5, "batch (x, y)"),
            "attack": (0.37, 0.83, "FGSM on the\npresent weights"),
            "both": (0.62, 0.5, "x and x + r,\nboth labelled y"),
            "network": (0.88, 0.5, "network:\nmean loss,\nupdate"),
        },
        [
            ("batch", "attack"),
            ("batch", "both"),
            ("attack", "both"),
            ("both", "network"),
            ("network", "attack"),
        ],
        "Adversarial training: images are attacked as they come, and learned from beside the clean ones. r is a "
        "constant in the loss.",
    )
