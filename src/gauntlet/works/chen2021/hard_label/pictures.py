"""Figures 1.1, 1.2 and 3.1: an example, the kinds of access, and the fast check of RayS in two dimensions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.panels import draw_difference, draw_image
from gauntlet.reporting.style import new_figure

ACCESS = {
    "white-box": ("weights", "gradients", "logits", "label"),
    "black-box": ("logits", "label"),
    "hard-label": ("label",),
}
"""Parts of the network that an attacker sees (chen2021, section 1.2)."""
SEEN = ("weights", "gradients", "logits", "label")


def figure_1_1(inputs: ArtefactInputs) -> Figure:
    """Figure 1.1: one step along the sign of the gradient changes the predicted class."""
    results = inputs.results.one(method="FGSM")
    specification, images = results.table.specification, results.table.images()
    outcome = results.rows.iloc[: specification["keep_images"]]
    fooled = outcome["success"].to_numpy(dtype=bool)
    # The fooled image whose wrong class is the most likely shows it best.
    row = int(np.argmax(np.where(fooled, outcome["prediction_confidence"], -1.0)))
    before, after = images["clean"][row], images["fgsm"][row]
    chosen, classes = outcome.iloc[row], inputs.split.classes
    label, prediction = classes[int(chosen["label"])], classes[int(chosen["prediction"])]
    eps = float(results.settings["eps"])
    canvas, panels = new_figure(3, panel_height=2.7)
    left, middle, right = panels[0]
    draw_image(left, before, f"clean\n{label}")
    draw_difference(middle, after - before, f"sign of the gradient,\nenlarged ×{0.5 / eps:.3g}", reach=eps)
    draw_image(
        right, after, f"after one step of {eps:.3g}\n{prediction}: {chosen['prediction_confidence']:.1%}"
    )
    shown = {
        "index": int(chosen["index"]), "true_class": label, "predicted_class": prediction, "eps": eps,
        "confidence_true": chosen["confidence"], "confidence_predicted": chosen["prediction_confidence"],
        "linf": chosen["linf"],
    }  # fmt: skip
    return Figure(
        canvas,
        pd.DataFrame([shown]),
        f"An image of {specification['dataset']}, a small perturbation, and what the network "
        f"{specification['model']} says of their sum. The work shows a picture of GoogLeNet from elsewhere.",
    )


def figure_1_2(inputs: ArtefactInputs) -> Figure:
    """Figure 1.2: what attackers of three kinds see of a network."""
    canvas, panels = new_figure(width=6.4, panel_height=2.5)
    axes = panels[0, 0]
    rows = []
    for row, (access, seen) in enumerate(ACCESS.items()):
        for column, part in enumerate(SEEN):
            visible = part in seen
            rows.append({"access": access, "part": part, "visible": visible})
            axes.text(
                column, -row, part if visible else "hidden", ha="center", va="center",
                color="0.1" if visible else "0.6", style="normal" if visible else "italic",
                bbox={
                    "boxstyle": "round,pad=0.45", "fc": "0.93" if visible else "white",
                    "ec": "0.3" if visible else "0.75", "ls": "-" if visible else ":",
                },
            )  # fmt: skip
        axes.text(-0.75, -row, access, ha="right", va="center", fontsize=9)
    axes.text(1.5, 0.72, "what the attacker sees of the network", ha="center", fontsize=8.5, color="0.3")
    axes.set(xlim=(-1.7, 3.6), ylim=(-2.5, 1.0))
    axes.set_axis_off()
    caption = "Three kinds of access to a network, from all of it to the predicted class alone."
    return Figure(canvas, pd.DataFrame(rows), caption)


CENTRE = np.array([1.15, -0.7])
CURVATURE = 0.16


def across(points: np.ndarray) -> np.ndarray:
    """Return a made-up classifier's score of points ``[..., 2]``: positive across the boundary."""
    return points @ CENTRE + CURVATURE * (points**2).sum(-1) - 1.6


def boundary_radius(direction: np.ndarray) -> float:
    """Return the distance from the origin to the boundary along a direction of {-1, 1}^2, infinity for none."""
    unit = direction / np.linalg.norm(direction)
    slope = float(unit @ CENTRE)
    # CURVATURE r^2 + slope r - 1.6 = 0, its positive root.
    return (-slope + np.sqrt(slope**2 + 4 * CURVATURE * 1.6)) / (2 * CURVATURE)


def figure_3_1(inputs: ArtefactInputs) -> Figure:
    """Figure 3.1: a flipped direction is searched only if it is adversarial at the best radius so far."""
    best = np.array([1.0, 1.0])
    radius = boundary_radius(best)
    canvas, panels = new_figure(width=5.0, panel_height=4.2)
    axes = panels[0, 0]
    _boundary(axes)
    rows = []
    cases = (("best", best), ("flip 1", best * [-1, 1]), ("flip 2", best * [1, -1]))
    for (name, direction), style in zip(cases, ("-", "--", "-."), strict=True):
        unit, known = direction / np.linalg.norm(direction), name == "best"
        end = radius * unit
        crosses, own = known or bool(across(end) > 0), boundary_radius(direction)
        arrow = {"arrowstyle": "->", "ls": style, "color": "0.15", "lw": 1.3}
        axes.annotate("", end, (0, 0), arrowprops=arrow)
        axes.plot(*end, marker="o" if crosses else "X", color="0.15", ms=7)
        found = "crosses: search further in" if crosses else "does not cross: drop"
        axes.annotate(
            "best so far" if known else f"{name}\n{found}",
            end,
            xytext=(0, 10 if end[1] > 0 else -28),
            textcoords="offset points",
            ha="center",
        )
        if crosses and not known:
            axes.plot(*(own * unit), marker="s", color="0.15", mfc="white", ms=6)
        rows.append(
            {
                "direction": name, "d_1": direction[0], "d_2": direction[1], "checked_radius": radius,
                "crosses": crosses, "boundary_radius": own,
            }
        )  # fmt: skip
    axes.add_patch(Circle((0, 0), radius, fill=False, ls=":", ec="0.4", lw=1))
    axes.plot(0, 0, marker="*", color="0.1", ms=9)
    axes.annotate("image", (0, 0), xytext=(-8, -4), textcoords="offset points", ha="right", va="top")
    axes.set(xlim=(-3.6, 3.9), ylim=(-3.7, 3.7), aspect="equal")
    axes.set(xlabel="first coordinate", ylabel="second coordinate")
    return Figure(
        canvas,
        pd.DataFrame(rows),
        "The fast check of RayS on a made-up classifier of two coordinates: every direction with one sign flipped "
        "costs one query at the best radius so far (dotted circle); only one that lies across the boundary (shaded) "
        "there is searched for its own, smaller radius (open square).",
    )


def _boundary(axes: Axes) -> None:
    line = np.linspace(-4, 4, 300)
    grid = np.stack(np.meshgrid(line, line), axis=-1)
    score = across(grid)
    axes.contourf(line, line, score, levels=[0, score.max()], colors=["0.88"])
    axes.contour(line, line, score, levels=[0], colors=["0.2"], linewidths=1.2)
