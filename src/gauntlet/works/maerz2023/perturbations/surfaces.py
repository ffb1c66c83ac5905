"""Views of the loss around an image: Figures 2.1 to 2.3, redrawn from our own models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.results import Results
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.style import SEQUENTIAL, new_figure


def figure_2_1(inputs: ArtefactInputs) -> Figure:
    """Figure 2.1: gradient masking, as a drawing of one loss and its masked counterpart."""
    position = np.linspace(-1, 1, 801)
    smooth = 0.25 + 0.25 * (1 + position) ** 2 + 0.3 * position
    masked = masked_loss(position)
    canvas, panels = new_figure(width=5.5, panel_height=3.2)
    axes = panels[0, 0]
    axes.plot(position, smooth, color="0.45", linestyle="--", marker="none", label="loss of a plain model")
    axes.plot(position, masked, color="black", linestyle="-", marker="none", label="masked loss")
    axes.axhline(1.0, color="0.7", linewidth=0.8)
    axes.text(-0.98, 1.03, "decision boundary", fontsize=9, color="0.35")
    axes.plot(0, masked_loss(np.zeros(1))[0], "o", color="black")
    axes.annotate("image: no slope\nto follow", (0, masked_loss(np.zeros(1))[0]), (-0.3, 0.68),
                  arrowprops={"arrowstyle": "->"}, fontsize=9)  # fmt: skip
    peak = float(position[np.argmax(np.where(np.abs(position) < 0.75, masked, 0))])
    axes.annotate("bump that a search without\ngradients still finds", (peak, masked.max()), (-0.05, 1.45),
                  arrowprops={"arrowstyle": "->"}, fontsize=9)  # fmt: skip
    axes.set(
        xlabel=r"perturbation $\delta / \epsilon$",
        ylabel="loss (schematic units)",
        xlim=(-1, 1),
        ylim=(0, 1.9),
    )
    axes.legend(loc="upper left", fontsize=9)
    frame = pd.DataFrame({"delta_over_eps": position, "plain_loss": smooth, "masked_loss": masked})
    return Figure(
        canvas,
        frame,
        "Gradient masking (drawing): the masked loss is flat around the image, so that gradient attacks stand "
        "still, but narrow bumps in reach still cross the decision boundary.",
    )


def masked_loss(position: np.ndarray) -> np.ndarray:
    """Return the masked loss of the drawing: a plateau with two narrow bumps."""
    bumps = 1.1 * np.exp(-(((position - 0.55) / 0.06) ** 2)) + 0.35 * np.exp(
        -(((position + 0.6) / 0.08) ** 2)
    )
    return 0.25 + bumps


def figure_2_2(inputs: ArtefactInputs) -> Figure:
    """Figure 2.2: the loss of an R-FGSM model over the whole radius and close to the image."""
    views = dict(inputs.results.groups("view"))
    image = _roughest(views["whole radius"])
    return _surfaces(
        [(view, found, image) for view, found in views.items()],
        "Loss surface of the model trained with R-FGSM around one image, over the radius of the attack and close "
        "to the image, where a gradient is measured. Axes: length along the sign of the gradient and along random "
        "signs.",
        shared=False,
    )


def figure_2_3(inputs: ArtefactInputs) -> Figure:
    """Figure 2.3: loss surfaces of a natural, an R-FGSM and a PGD model side by side."""
    views = inputs.results.where(view="whole radius")
    chosen = {name: views.where(shown=name) for name in ("natural", "R-FGSM", "PGD")}
    return _surfaces(
        [(name, found, _roughest(found)) for name, found in chosen.items()],
        "Loss surfaces of three models, each around the image whose loss varies most: trained naturally, with "
        "R-FGSM, and with PGD. Catastrophic overfitting would show as a ridge between the image and the edge "
        "along the gradient.",
        shared=True,
    )


def surface(view: Results) -> tuple[np.ndarray, np.ndarray]:
    """Return the losses ``[images, along the gradient, sideways]`` and the lengths of the grid's steps."""
    rows, eps, size = view.rows, float(view.settings["eps"]), 2 * int(view.settings["reach"]) + 1
    losses = [[rows[f"loss_{i}_{j}"] for j in range(size)] for i in range(size)]
    return np.moveaxis(np.asarray(losses, dtype=float), -1, 0), np.linspace(-eps, eps, size)


def _roughest(view: Results) -> int:
    """Return the row of the image whose loss varies most."""
    return int(np.argmax(np.ptp(surface(view)[0], axis=(1, 2))))


def _surfaces(panels: Sequence[tuple[str, Results, int]], caption: str, *, shared: bool) -> Figure:
    """Draw one surface per panel: its name, what was measured, and the row of the image."""
    canvas = Canvas(figsize=(5.2 * len(panels), 4.8))
    canvas.subplots_adjust(left=0.02, right=0.96, bottom=0.06, top=0.9, wspace=0.12)
    drawn = []
    for name, view, row in panels:
        losses, lengths = surface(view)
        drawn.append((name, view, row, losses[row], lengths))
    top = max(float(losses.max()) for *_, losses, _ in drawn)
    frames = []
    for position, (name, view, row, losses, lengths) in enumerate(drawn, start=1):
        axes = canvas.add_subplot(1, len(panels), position, projection="3d")
        sideways, uphill = np.meshgrid(lengths, lengths)
        axes.plot_surface(
            uphill * 255,
            sideways * 255,
            losses,
            cmap=SEQUENTIAL,
            edgecolor="0.25",
            linewidth=0.2,
            rstride=1,
            cstride=1,
            vmin=0 if shared else None,
            vmax=top if shared else None,
        )
        axes.set_title(name)
        axes.set_xlabel("gradient signs [1/255]")
        axes.set_ylabel("random signs [1/255]")
        axes.set_zlabel("loss [nats]")
        axes.view_init(elev=28, azim=-125)
        if shared:
            axes.set_zlim(0, top)
        frames.append(
            pd.DataFrame(
                {
                    "panel": name,
                    "model": view.label("model"),
                    "index": int(view.rows["index"].iloc[row]),
                    "gradient_signs": uphill.ravel(),
                    "random_signs": sideways.ravel(),
                    "loss": losses.ravel(),
                }
            )
        )
    return Figure(canvas, pd.concat(frames, ignore_index=True), caption)
