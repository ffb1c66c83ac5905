"""Figures 3.2 and 3.3, computed on made-up points in the plane."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.svm import SVC

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.style import look, new_figure

CENTERS = np.array([[-1.3, -0.6], [1.2, -0.8], [0.1, 1.4]])
"""Middle of each class of Figure 3.3."""
STRETCH = np.array([[0.7, 0.3], [0.3, 1.0], [0.0, 0.5]])
"""Curvature of each class's logit along the axes."""
POINT = np.array([-0.75, -0.1])
"""Input of Figure 3.3; it belongs to the first class."""


def figure_3_2(inputs: ArtefactInputs) -> Figure:
    """Figure 3.2: the hyperplanes of a linear support vector machine and the distance of a point."""
    generator = np.random.default_rng(3)
    points = generator.normal(size=(40, 2)) * 0.45 + np.repeat([[-1.2, -0.5], [1.1, 0.7]], 20, 0)
    signs = np.repeat([-1, 1], 20)
    machine = SVC(kernel="linear", C=1e4).fit(points, signs)
    w, b = machine.coef_[0], float(machine.intercept_[0])
    length = float(np.linalg.norm(w))
    canvas, panels = new_figure(panel_height=3.0)
    axes = panels[0, 0]
    for number, sign in enumerate((-1, 1)):
        axes.plot(*points[signs == sign].T, **{**look(number), "linestyle": "none"}, label=f"y = {sign:+d}")
    across = np.array([-2.6, 2.6])
    for level, style in ((-1, ":"), (0, "-"), (1, ":")):
        axes.plot(across, (level - b - w[0] * across) / w[1], color="0.3", linestyle=style, linewidth=1)
    far = int(np.argmax(np.where(signs == 1, points @ w + b, -np.inf)))
    distance = float(points[far] @ w + b) / length
    foot = points[far] - distance * w / length
    axes.annotate("", foot, points[far], arrowprops={"arrowstyle": "<->", "color": "0.2"})
    axes.text(*((foot + points[far]) / 2 + 0.08), r"$\gamma_i$")
    axes.set(xlim=(-2.6, 2.6), ylim=(-2.2, 2.4), aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
    axes.legend(loc="upper left")
    frame = pd.DataFrame(
        {"x1": points[:, 0], "x2": points[:, 1], "y": signs, "distance": (points @ w + b) / length}
    )
    return Figure(
        canvas,
        frame,
        f"A linear support vector machine: f(x) = 0 (solid) and f(x) = -1, +1 (dotted), {2 / length:.2f} = "
        "2/||w|| apart. The arrow is the distance of a point to the decision surface.",
        notes=("Made-up points.",),
    )


def logits(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logits ``[N, 3]`` of points ``[N, 2]``: paraboloids around the classes' centers."""
    return 1 - ((points[:, None] - CENTERS) ** 2 * STRETCH).sum(2)


def gradients(point: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the gradients of the logits at a point, ``[3, 2]``."""
    return -2 * (point - CENTERS) * STRETCH


def figure_3_3(inputs: ArtefactInputs) -> Figure:
    """Figure 3.3: linearized boundaries of three classes, and the gradients whose difference is penalized."""
    side = np.linspace(-2.4, 2.4, 300)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    canvas, panels = new_figure(panel_height=3.2)
    axes = panels[0, 0]
    regions = logits(grid).argmax(1).reshape(len(side), -1)
    axes.contourf(side, side, regions, levels=[-0.5, 0.5, 1.5, 2.5], colors=["#dce9f5", "#f7e3d4", "#dff0e0"])
    values, slopes = logits(POINT[None])[0], gradients(POINT)
    rows = []
    for wrong in (1, 2):
        normal = slopes[0] - slopes[wrong]
        lead, size = float(values[0] - values[wrong]), float(np.linalg.norm(normal))
        foot = POINT - lead / size**2 * normal
        along = np.array([-normal[1], normal[0]]) / size
        ends = np.stack([foot - 3 * along, foot + 3 * along])
        axes.plot(*ends.T, color="0.35", linestyle="-.", linewidth=1, marker="none")
        rows.append(
            {"class": wrong + 1, "lead": lead, "sensitivity": size, "distance": lead / size, "r1": foot[0] - POINT[0],
             "r2": foot[1] - POINT[1]}
        )  # fmt: skip
    frame = pd.DataFrame(rows)
    nearest = int(frame["distance"].argmin())
    step = frame.loc[nearest, ["r1", "r2"]].to_numpy(dtype=float)
    arrows = (
        (step, "0.1", "-", "$r(x)$"),
        (slopes[0] / 2, "#1b6ca8", "-", r"$\nabla f_y$"),
        (slopes[nearest + 1] / 2, "#b5541b", "-", r"$\nabla f_j$"),
        ((slopes[0] - slopes[nearest + 1]) / 2, "0.4", "--", r"$\nabla f_y-\nabla f_j$"),
    )
    for arrow, color, style, name in arrows:
        axes.annotate(
            "", POINT + arrow, POINT, arrowprops={"arrowstyle": "-|>", "color": color, "linestyle": style}
        )
        axes.text(*(POINT + arrow * 1.08), name, color=color, fontsize=8)
    for number, center in enumerate(CENTERS):
        axes.plot(*center, **{**look(number), "linestyle": "none"})
    axes.plot(*POINT, marker="x", color="0.1")
    axes.set(xlim=(-2.4, 2.4), ylim=(-2.4, 2.4), aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
    return Figure(
        canvas,
        frame,
        "Three classes with curved boundaries. Around x (cross) the boundaries are linearized (dash-dotted); the "
        "smallest perturbation r(x) leads to the nearest. Margin maximization penalizes the norm of the difference of "
        "the gradients (dashed; gradients are drawn at half their length).",
        notes=(
            "Made-up logits. The csv has leads, sensitivities and first-order distances of the wrong classes.",
        ),
    )
