"""Figures that follow from formulas alone: 3.1 (Danskin), 4.2 and 4.3 (conversion of radii)."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Polygon

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.published import published_value
from gauntlet.attacks.geometry.volumes import equal_volume_factor, nested_factor
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.style import new_figure, shared_legend
from gauntlet.setting_types import ORDER
from gauntlet.works.maerz2023.versions import NORM_SYMBOLS

TAU = 0.1
DIMENSIONS = {"ImageNet": 150_528, "CIFAR-10": 3_072}
"""Pixels times channels of the data sets whose factors the work prints."""
NORMS = ("l1", "l2", "linf")


def danskin_function(r: np.ndarray, u: np.ndarray, tau: float) -> np.ndarray:
    """Return phi(r, u) = ((r - u)^2 + tau u) / 2 of example 3.3."""
    return ((r - u) ** 2 + tau * u) / 2


def danskin_angle(tau: float) -> float:
    """Return the angle in degrees between the gradients of phi at (0, 1) and (0, -1).

    The gradients are (-1, 1 + tau/2) and (1, -1 + tau/2). The work prints tau in place of tau/2, which
    has the same limit.
    """
    # By atan2, since the cosine loses the last digits near -1.
    first, second = (-1.0, 1 + tau / 2), (1.0, -1 + tau / 2)
    cross = first[0] * second[1] - first[1] * second[0]
    return math.degrees(math.atan2(abs(cross), first[0] * second[0] + first[1] * second[1]))


def figure_3_1(inputs: ArtefactInputs) -> Figure:
    """Figure 3.1: isolines of the counterexample, with its gradients at the two candidates."""
    axis = np.linspace(-1.5, 1.5, 301)
    r, u = np.meshgrid(axis, axis)
    canvas, panels = new_figure(width=4.6, panel_height=4.2)
    axes = panels[0, 0]
    heights, levels = danskin_function(r, u, TAU), np.arange(-40, 41) / 20
    lines = axes.contour(r, u, heights, levels=levels, cmap="Greys", vmin=-1, linewidths=0.6)
    axes.clabel(lines, levels=[0.05, 0.5, 1.0, 1.5], fontsize=6)
    rows: list[dict[str, Any]] = []
    for point in (1.0, -1.0):
        printed = (-point, point + TAU)
        axes.annotate("", (0.2 * printed[0], point + 0.2 * printed[1]), (0, point),
                      arrowprops={"arrowstyle": "-|>", "color": "#c2512f", "lw": 1.8})  # fmt: skip
        axes.plot(0, point, "o", color="#c2512f")
        rows.append(
            {
                "r": 0.0,
                "u": point,
                "phi": float(danskin_function(np.array(0.0), np.array(point), TAU)),
                "gradient_r": -point,
                "gradient_u": point + TAU / 2,
                "printed_gradient_r": printed[0],
                "printed_gradient_u": printed[1],
            }
        )
    axes.axhspan(-1, 1, color="0.93", zorder=0)
    axes.text(-1.44, 0.87, "feasible $u$", fontsize=7.5, bbox={"fc": "white", "ec": "none", "pad": 1.5})
    axes.set(xlabel="$r$", ylabel="$u$", aspect="equal", xlim=(-1.5, 1.5), ylim=(-1.5, 1.5))
    axes.set_title(rf"$\varphi(r,u)$, $\tau={TAU}$; arrows: gradients × 0.2")
    return Figure(
        canvas,
        pd.DataFrame(rows),
        f"Isolines of phi(r, u) = ((r - u)² + tau u) / 2 for tau = {TAU}. At r = 0 the maximizer is u = 1; the "
        "gradient at the nearly as good u = -1 points the other way.",
        notes=(
            "Drawn are the gradients that the work prints, (∓1, ±1 + tau); the derivative in u is u - r + tau/2, "
            f"so that the angle is {danskin_angle(TAU):.2f} degrees where the printed formula gives "
            f"{danskin_angle(2 * TAU):.2f}.",
        ),
    )


def figure_4_2(inputs: ArtefactInputs) -> Figure:
    """Figure 4.2: the factors between radii of equal volume, as arcs between the norms."""
    places = {"l1": (0.0, 0.0), "l2": (1.0, 0.0), "linf": (0.5, 0.82)}
    canvas, panels = new_figure(2, panel_height=3.3)
    rows: list[dict[str, Any]] = []
    for axes, (dataset, dimension) in zip(panels[0], DIMENSIONS.items(), strict=True):
        for source, target in permutations(NORMS, 2):
            factor = equal_volume_factor(dimension, ORDER[source], ORDER[target])
            _arc(axes, places[source], places[target], f"{factor:.6g}")
            norms: dict[str, Any] = {"from_norm": ORDER[source], "to_norm": ORDER[target]}
            published = published_value(inputs.published, n=dimension, **norms)
            rows.append(
                {"dataset": dataset, "n": dimension, "from_norm": source, "to_norm": target,
                 "factor": factor, "published": published}
            )  # fmt: skip
        for norm, place in places.items():
            axes.plot(*place, "o", markersize=26, markerfacecolor="white", markeredgecolor="0.2")
            axes.text(*place, NORM_SYMBOLS[norm], ha="center", va="center", fontsize=11)
        axes.set(xlim=(-0.25, 1.25), ylim=(-0.3, 1.0))
        axes.set_axis_off()
        axes.set_title(f"{dataset}, n = {dimension:,}")
    return Figure(
        canvas,
        pd.DataFrame(rows),
        "Factor T by which a radius is multiplied on its way from one norm to another, so that the balls have "
        "equal volume.",
    )


def _arc(axes: Axes, start: tuple[float, float], end: tuple[float, float], label: str) -> None:
    """Draw a bent arrow with its label beside it, nearer to its start."""
    (x0, y0), (x1, y1) = start, end
    style = {"arrowstyle": "-|>", "connectionstyle": "arc3,rad=0.18", "color": "0.35"}
    axes.annotate("", end, start, arrowprops={**style, "shrinkA": 15, "shrinkB": 15})
    # arc3 bends to the right of the direction of travel for a positive rad.
    x, y = 0.62 * x0 + 0.38 * x1 + 0.11 * (y1 - y0), 0.62 * y0 + 0.38 * y1 - 0.11 * (x1 - x0)
    axes.text(x, y, label, ha="center", va="center", fontsize=7.5,
              bbox={"fc": "white", "ec": "none", "pad": 0.8})  # fmt: skip


def figure_4_3(inputs: ArtefactInputs) -> Figure:
    """Figure 4.3: unit spheres in the plane and what the two rules make of the linf one."""
    canvas, panels = new_figure(3, width=7.5, panel_height=2.9, share_x=True, share_y=True)
    rows: list[dict[str, Any]] = []
    for axes, norm in zip(panels[0], NORMS, strict=True):
        radii = {
            "unit": 1.0,
            "equal volume (T)": equal_volume_factor(2, ORDER["linf"], ORDER[norm]),
            "nested (Tbar)": nested_factor(2, ORDER["linf"], ORDER[norm]),
        }
        for (rule, radius), style in zip(radii.items(), ("-", "--", "-."), strict=True):
            axes.add_patch(
                sphere(norm, radius, linestyle=style, fill=False, linewidth=1.4, edgecolor="black")
            )
            axes.plot([], [], color="black", linestyle=style, marker="none", label=rule)
            rows.append({"norm": norm, "rule": rule, "radius": radius})
        axes.add_patch(sphere("linf", 1.0, fill=True, facecolor="0.9", edgecolor="none", zorder=0))
        axes.set(xlim=(-2.15, 2.15), ylim=(-2.15, 2.15), aspect="equal", xlabel="$x_1$")
        axes.set_title(NORM_SYMBOLS[norm])
    panels[0, 0].set_ylabel("$x_2$")
    shared_legend(canvas, panels[0, 0])
    return Figure(
        canvas,
        pd.DataFrame(rows),
        "Spheres in the plane: radius 1, and the radii that stand for the linf ball of radius 1 (gray) by equal "
        "volume and by containment.",
    )


def sphere(norm: str, radius: float, **style: Any) -> Circle | Polygon:
    """Return the outline of a ball of the plane."""
    if norm == "l2":
        return Circle((0, 0), radius, **style)
    corners = {"l1": [(1, 0), (0, 1), (-1, 0), (0, -1)], "linf": [(1, 1), (-1, 1), (-1, -1), (1, -1)]}[norm]
    return Polygon(radius * np.array(corners, dtype=float), closed=True, **style)
