"""Figures 4.9 to 4.11: how alike the parameter gradients at versions of an image are (section 4.3)."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from gauntlet.measures.gradient_similarity import angle_degrees, cosine_column
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.inputs import ArtefactInputs, EvaluationResult
from gauntlet.reporting.panels import draw_heatmap
from gauntlet.reporting.style import SEQUENTIAL, new_figure
from gauntlet.works.maerz2023.perturbations.figures import histogram
from gauntlet.works.maerz2023.perturbations.observations import (
    HARMONIC,
    NINE,
    NORM_SYMBOLS,
    PERTURBATION_LABELS,
    Scheme,
    number,
)
from gauntlet.works.maerz2023.perturbations.published import PUBLISHED_EPS, only_value

SAME_RADIUS = ("natural", "madry-linf-4", "locus-linf-2")
"""Evaluations behind the rows of Figure 4.9: attacked with the plain radius."""
DOUBLE_RADIUS = ("natural", "madry-linf-8", "locus-linf-4")
"""Those of Figure 4.10, attacked with twice that radius."""
MODEL_LABELS = {"natural": "natural", "madry": "PGD-trained", "locus": "R-FGSM-trained"}
SCOPES = {"all": "all parameters", "first_tensor": "first tensor"}
ANGLE_EDGES = np.arange(0, 181, 5.0)
"""36 bins of 5 degrees."""


def similarity_name(radius: str, scheme: Scheme = HARMONIC) -> str:
    """Name the procedure that compares the parameter gradients of all nine versions of every image."""
    return f"similarity-{radius}-{scheme.decay}-{'rand' if scheme.randomized else 'det'}"


def cosines(
    result: EvaluationResult,
    radius: str,
    first: str,
    second: str,
    *,
    scope: str = "all",
    scheme: Scheme = HARMONIC,
) -> np.ndarray:
    """Return the cosine between the gradients of two versions, ``[images]`` in the order of their index."""
    rows = result.rows(similarity_name(radius, scheme)).sort_values("index")
    if NINE.index(first) > NINE.index(second):
        first, second = second, first
    column = cosine_column(scope, first, second)
    return rows[column].to_numpy(dtype=float) if column in rows else np.full(len(rows), np.nan)


def median_matrices(result: EvaluationResult, radius: str, scope: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the 9x9 medians of the cosine and of the angle in degrees, over images where it is defined."""
    labels = [PERTURBATION_LABELS[name].removesuffix(" steps").removesuffix(" step") for name in NINE]
    cosine, angle = np.eye(len(NINE)), np.zeros((len(NINE), len(NINE)))
    for (i, first), (j, second) in combinations(enumerate(NINE), 2):
        values = cosines(result, radius, first, second, scope=scope)
        cosine[i, j] = cosine[j, i] = np.nanmedian(values) if np.isfinite(values).any() else np.nan
        angles = angle_degrees(values)
        angle[i, j] = angle[j, i] = np.nanmedian(angles) if np.isfinite(values).any() else np.nan
    return pd.DataFrame(cosine, labels, labels), pd.DataFrame(angle, labels, labels)


def figure_4_9(inputs: ArtefactInputs) -> Figure:
    """Figure 4.9: median cosines and angles at the plain radius."""
    return _heatmaps(inputs, "linf", SAME_RADIUS)


def figure_4_10(inputs: ArtefactInputs) -> Figure:
    """Figure 4.10: median cosines and angles at twice the radius."""
    return _heatmaps(inputs, "linf-double", DOUBLE_RADIUS)


def _heatmaps(inputs: ArtefactInputs, radius: str, names: tuple[str, ...]) -> Figure:
    scope = str(inputs.settings["scope"])
    canvas, panels = new_figure(2, len(names), width=9, panel_height=3.6)
    frames = []
    for row, name in zip(panels, names, strict=True):
        result = inputs.evaluations[name]
        matrices = median_matrices(result, radius, scope)
        label = MODEL_LABELS[name.partition("-")[0]]
        for axes, matrix, what, top, decimals in zip(
            row, matrices, ("cosine", "angle [degrees]"), (1, 90), (2, 1), strict=True
        ):
            colours = SEQUENTIAL if what == "cosine" else SEQUENTIAL.reversed()
            image = draw_heatmap(axes, matrix, decimals=decimals, low=0, high=top, colours=colours)
            axes.set_title(f"{label}: median {what}")
            axes.set(xlabel="perturbation; numbers are gradient steps")
            canvas.colorbar(image, ax=axes, shrink=0.85)
        frames.append(_heatmap_rows(inputs, name, radius, scope, *matrices))
    canvas.suptitle(f"{_attack(inputs, names[0], radius)}; gradients over {SCOPES[scope]}")
    return Figure(
        canvas,
        pd.concat(frames, ignore_index=True),
        f"Median over images of the cosine (left) and angle (right) between the gradients of the loss in "
        f"{SCOPES[scope]} at "
        f"two versions of one image; deterministic harmonic steps. Numbers on the axes are gradient steps.",
        notes=(
            "Each model has its own correctly classified images; a pair with a vanished gradient is left "
            "out.",
        ),
    )


def _heatmap_rows(
    inputs: ArtefactInputs, name: str, radius: str, scope: str, cosine: pd.DataFrame, angle: pd.DataFrame
) -> pd.DataFrame:
    """Write the matrices' upper halves as rows, with published numbers where there are any."""
    result, printed = inputs.evaluations[name], inputs.published
    known = not printed.empty and name == "natural"
    released = inputs.evaluations.get("natural-released") if known else None
    rows = []
    for (i, first), (j, second) in combinations(enumerate(NINE), 2):
        pair = {
            "attack_i": first,
            "attack_j": second,
            "attack_eps": PUBLISHED_EPS[radius],
            "defence": "natural",
        }
        rows.append(
            {
                "model": result.specification["model"],
                "scope": scope,
                "first": first,
                "second": second,
                "median_cosine": cosine.iloc[i, j],
                "median_angle": angle.iloc[i, j],
                "images": int(np.isfinite(cosines(result, radius, first, second, scope=scope)).sum()),
                "released_variant_cosine": np.nan
                if released is None
                else np.nanmedian(cosines(released, radius, first, second, scope=scope)),
                "published_cosine": only_value(printed, metric="median_cosine_similarity", **pair)
                if known
                else np.nan,
                "published_angle": only_value(printed, metric="median_angle", **pair) if known else np.nan,
            }
        )
    return pd.DataFrame(rows)


def _attack(inputs: ArtefactInputs, name: str, radius: str) -> str:
    variant = inputs.evaluations[name].specification["procedures"][similarity_name(radius)]["variants"]["16"]
    return f"{NORM_SYMBOLS[variant['norm']]}, $\\epsilon$ = {number(variant['eps'])}"


def figure_4_11(inputs: ArtefactInputs) -> Figure:
    """Figure 4.11: histograms of the angle between the gradients after 1 and after 16 steps."""
    canvas, panels = new_figure(2, 3, width=8, panel_height=2.3, share_x=True)
    frames = []
    columns = (("linf", SAME_RADIUS), ("linf-double", DOUBLE_RADIUS))
    for column, (radius, names) in enumerate(columns):
        for row, name in enumerate(names):
            axes = panels[row, column]
            angles = {
                scope: angle_degrees(cosines(inputs.evaluations[name], radius, "1", "16", scope=scope))
                for scope in SCOPES
            }
            shares = {scope: histogram(found, ANGLE_EDGES) for scope, found in angles.items()}
            axes.stairs(shares["all"], ANGLE_EDGES, fill=True, color="#9dc6e0", label=f"{SCOPES['all']}")
            axes.stairs(
                shares["first_tensor"], ANGLE_EDGES, color="0.25", linewidth=0.9, label=SCOPES["first_tensor"]
            )
            mean, median = np.nanmean(angles["all"]), np.nanmedian(angles["all"])
            axes.axvline(mean, color="#c2512f", linestyle=":", label="mean (all parameters)")
            axes.axvline(median, color="#7b1e4b", linestyle="--", label="median (all parameters)")
            axes.axvline(90, color="black", linewidth=0.9, linestyle="-", label="90°")
            axes.set_title(
                f"({'acebdf'[3 * column + row]}) {MODEL_LABELS[name.partition('-')[0]]}, "
                f"{_attack(inputs, name, radius)}; "
                f"median {median:.1f}°"
            )
            axes.set_xticks(range(0, 181, 30))
            axes.set(xlim=(0, 180), ylabel="share of images")
            if row == len(names) - 1:
                axes.set_xlabel("angle between 1-step and 16-step gradient [degrees]")
            for scope, share in shares.items():
                frames.append(
                    pd.DataFrame(
                        {
                            "model": inputs.evaluations[name].specification["model"],
                            "radius": radius,
                            "scope": scope,
                            "angle_low": ANGLE_EDGES[:-1],
                            "angle_high": ANGLE_EDGES[1:],
                            "share": share,
                            "mean": np.nanmean(angles[scope]),
                            "median": np.nanmedian(angles[scope]),
                        }
                    )
                )
    handles, labels = panels[0, 0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper left", ncols=5)
    return Figure(
        canvas,
        pd.concat(frames, ignore_index=True),
        "Angle between the parameter gradients at the 1-step and the 16-step adversarial example of an "
        "image; left the plain "
        "radius, right twice that. Bars: gradient over all parameters; line: over the first tensor, as the "
        "released code has it.",
    )
