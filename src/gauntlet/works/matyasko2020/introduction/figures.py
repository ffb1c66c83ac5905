"""Computed illustrations: Figures 1.1 and 2.4 (attacked images), 2.5 and 2.6 (attacks in the plane)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.panels import draw_difference, draw_image
from gauntlet.reporting.style import look, new_figure

STAND_IN = "The work borrows this picture of an ImageNet network; here a digit and LeNet-5 stand in."
CENTERS = np.array([[-1.2, -0.2], [1.1, -0.9], [0.5, 1.3]])
"""Middle of each class of Figure 2.6 (b); the first is that of the attacked point."""


def figure_1_1(inputs: ArtefactInputs) -> Figure:
    """Figure 1.1: an image, the perturbation of FGSM, and their sum."""
    return _attacked(inputs, "FGSM", "An image, one step of the fast gradient sign method, and their sum.")


def figure_2_4(inputs: ArtefactInputs) -> Figure:
    """Figure 2.4: an image, the perturbation of box-constrained L-BFGS towards a target, and their sum."""
    return _attacked(
        inputs,
        "L-BFGS",
        "An image, the perturbation of box-constrained L-BFGS towards a target, and their sum.",
    )


def _attacked(inputs: ArtefactInputs, attack: str, caption: str) -> Figure:
    """Draw the first image that is classified correctly and fooled, with what the network says of it."""
    found, clean = (inputs.results.one(attack=name) for name in (attack, "none"))
    rows, before = found.rows, clean.rows
    fooled = (rows["success"] & rows["correct"]).to_numpy(dtype=bool)
    if not fooled.any():
        raise LookupError(f"no image was fooled by {attack}")
    chosen = int(np.flatnonzero(fooled)[0])
    kept = found.table.images()
    image, adversarial = kept["clean"][chosen], kept[found.label("procedure")][chosen]
    says = [
        f"{int(each['prediction'].iloc[chosen])} ({100 * each['prediction_confidence'].iloc[chosen]:.1f} %)"
        for each in (before, rows)
    ]
    canvas, panels = new_figure(3, panel_height=1.9, width=5.2)
    draw_image(panels[0, 0], image, says[0])
    reach = float(np.abs(adversarial - image).max())
    draw_difference(panels[0, 1], adversarial - image, f"r, at most {reach:.2f}")
    draw_image(panels[0, 2], adversarial, says[1])
    frame = pd.DataFrame(
        [
            {
                "index": int(rows["index"].iloc[chosen]),
                "label": int(rows["label"].iloc[chosen]),
                "prediction": int(before["prediction"].iloc[chosen]),
                "confidence": float(before["prediction_confidence"].iloc[chosen]),
                "adversarial_prediction": int(rows["prediction"].iloc[chosen]),
                "adversarial_confidence": float(rows["prediction_confidence"].iloc[chosen]),
                "linf": float(rows["linf"].iloc[chosen]),
                "l2": float(rows["l2"].iloc[chosen]),
            }
        ]
    )
    return Figure(
        canvas, frame, f"{caption} Above them the network's answer and its confidence.", notes=(STAND_IN,)
    )


def _loss(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a made-up loss of points ``[..., 2]`` with one curved ridge."""
    x, y = points[..., 0], points[..., 1]
    return np.asarray(1.5 / (1 + np.exp(-2 * (x + 0.5 * np.sin(1.6 * y) - 0.6))) + 0.25 * np.tanh(y))


def _slope(point: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the gradient of the loss at a point by central differences."""
    steps = 1e-5 * np.eye(2)
    return (_loss(point + steps) - _loss(point - steps)) / 2e-5


def figure_2_5(inputs: ArtefactInputs) -> Figure:
    """Figure 2.5: an attack that is optimized to the end, and a single step along the sign of the gradient."""
    start, level, eps = np.array([-0.4, -0.4]), 0.6, 0.9
    path = [start]
    # Descend ||r||² + 10 (level - loss)_+ with shrinking steps, as L-BFGS does for one weight.
    for number in range(1000):
        missing = _loss(path[-1]) < level
        slope = 2 * (path[-1] - start) - 10 * _slope(path[-1]) * missing
        path.append(path[-1] - 0.01 / (1 + number / 100) * slope)
    optimized, signed = np.stack(path), np.stack([start, start + eps * np.sign(_slope(start))])
    side = np.linspace(-2, 2, 160)
    grid = np.stack(np.meshgrid(side, side), -1)
    canvas, panels = new_figure(2, panel_height=2.8, share_y=True)
    for axes, points, name in zip(
        panels[0], (optimized, signed), ("(a) optimized", "(b) one step"), strict=True
    ):
        axes.contourf(side, side, _loss(grid), levels=12, cmap="Greys", alpha=0.55)
        axes.contour(side, side, _loss(grid), levels=[level], colors="0.2", linewidths=1)
        axes.plot(*points.T, **{**look(1), "marker": "none"})
        axes.plot(*points[[0, -1]].T, **{**look(1), "linestyle": "none"})
        axes.set(xlabel="$x_1$", aspect="equal")
        axes.set_title(name)
    panels[0, 0].set_ylabel("$x_2$")
    rows = [
        {"attack": name, "x1": points[-1, 0], "x2": points[-1, 1], "loss": float(_loss(points[-1])),
         "l2": float(np.linalg.norm(points[-1] - start))}
        for name, points in (("optimized", optimized), ("one step of the sign", signed))
    ]  # fmt: skip
    return Figure(
        canvas,
        pd.DataFrame(rows),
        "Two attacks on a made-up loss (dark: high; the line: where the class changes): (a) optimization of length "
        "and loss to the end, (b) one step of the fast gradient sign method.",
    )


def figure_2_6(inputs: ArtefactInputs) -> Figure:
    """Figure 2.6: the smallest perturbation of an affine classifier, and that to a polyhedron of three classes."""
    canvas, panels = new_figure(2, panel_height=2.9, letters=True)
    w, b, point = np.array([1.0, 0.6]), -0.2, np.array([-1.1, -0.5])
    r = -(w @ point + b) / (w @ w) * w
    across = np.array([-2.0, 2.0])
    left, right = panels[0]
    left.plot(across, (-b - w[0] * across) / w[1], color="0.2")
    _arrow(left, point, r)
    rows = [{"panel": "a", "class": 2, "distance": float(np.linalg.norm(r)), "r1": r[0], "r2": r[1]}]
    side = np.linspace(-2, 2, 240)
    grid = np.stack(np.meshgrid(side, side), -1)
    # Logits grow with the fourth power of the distance, so that their boundaries are curved.
    values = -(((grid[..., None, :] - CENTERS) ** 2).sum(-1) ** 2)
    right.contourf(
        side, side, values.argmax(-1), levels=[-0.5, 0.5, 1.5, 2.5], colors=["#dce9f5", "#f7e3d4", "#dff0e0"]
    )
    point = np.array([-0.5, 0.1])
    offsets = point - CENTERS
    squares = (offsets**2).sum(1)
    logits, slopes = -(squares**2), -4 * squares[:, None] * offsets
    steps = []
    for wrong in (1, 2):
        normal, lead = slopes[wrong] - slopes[0], logits[0] - logits[wrong]
        step = lead / (normal @ normal) * normal
        along = 3 * np.array([-normal[1], normal[0]]) / np.linalg.norm(normal)
        right.plot(
            *np.stack([point + step - along, point + step + along]).T,
            color="0.35",
            linestyle="-.",
            marker="none",
        )
        steps.append(step)
        rows.append({"panel": "b", "class": wrong + 1, "distance": float(np.linalg.norm(step)), "r1": step[0],
                     "r2": step[1]})  # fmt: skip
    _arrow(right, point, min(steps, key=lambda step: float(np.linalg.norm(step))))
    for axes in (left, right):
        axes.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
    return Figure(
        canvas,
        pd.DataFrame(rows),
        "(a) The smallest perturbation of an affine classifier is the projection onto its hyperplane. (b) DeepFool "
        "puts a polyhedron in place of the region of the class (dash-dotted) and steps to its nearest face.",
        notes=("Made-up classifiers.",),
    )


def _arrow(axes: object, point: NDArray[np.float64], step: NDArray[np.float64]) -> None:
    """Draw a point and the step from it."""
    axes.plot(*point, **{**look(0), "linestyle": "none"})  # type: ignore[attr-defined]
    axes.annotate("", point + step, point, arrowprops={"arrowstyle": "-|>", "color": "0.1"})  # type: ignore[attr-defined]
