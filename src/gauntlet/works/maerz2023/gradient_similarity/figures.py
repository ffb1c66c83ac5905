"""Figures 4.9 to 4.11: how alike the parameter gradients at versions of an image are."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.results import Results
from gauntlet.measures.gradient_similarity import angle_degrees
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.panels import draw_heatmap
from gauntlet.reporting.style import SEQUENTIAL, new_figure, shared_legend
from gauntlet.works.maerz2023.gradient_similarity.cosines import (
    PAIRS,
    angles,
    compared,
    cosines,
    median,
    released_median,
)
from gauntlet.works.maerz2023.versions import HARMONIC, NINE, NOISE_NAMES, histogram, radius_heading

MODEL_NAMES = {"Natural": "natural", "MadryLab": "PGD-trained", "LocusLab": "R-FGSM-trained"}
SCOPES = {"all": "all parameters", "first_tensor": "first tensor"}
ANGLE_EDGES = np.arange(0, 181, 5.0)
"""36 bins of 5 degrees."""


def figure_4_9(inputs: ArtefactInputs) -> Figure:
    """Figure 4.9: median cosines and angles at the plain radius."""
    return _heatmaps(inputs, "linf")


def figure_4_10(inputs: ArtefactInputs) -> Figure:
    """Figure 4.10: median cosines and angles at twice the radius."""
    return _heatmaps(inputs, "linf-double")


def _heatmaps(inputs: ArtefactInputs, ball: str) -> Figure:
    scope = str(inputs.settings["scope"])
    comparisons = [found for _, found in compared(inputs.results).where(ball=ball).groups("defence")]
    canvas, panels = new_figure(2, len(comparisons), width=9, panel_height=3.6)
    frames = []
    for row, comparison in zip(panels, comparisons, strict=True):
        frame = _medians(inputs, comparison, scope)
        for axes, kind, unit, highest, decimals, colors in (
            (row[0], "cosine", "", 1, 2, SEQUENTIAL),
            (row[1], "angle", " [degrees]", 90, 1, SEQUENTIAL.reversed()),
        ):
            matrix = _matrix(frame[f"median_{kind}"], diagonal=1.0 if kind == "cosine" else 0.0)
            image = draw_heatmap(axes, matrix, decimals=decimals, low=0, high=highest, colors=colors)
            axes.set_title(f"{MODEL_NAMES[comparison.label('defence')]}: median {kind}{unit}")
            axes.set(xlabel="perturbation; numbers are gradient steps")
            canvas.colorbar(image, ax=axes, shrink=0.85)
        frames.append(frame)
    canvas.suptitle(f"{radius_heading(comparisons[0])}; gradients over {SCOPES[scope]}")
    return Figure(
        canvas,
        pd.concat(frames, ignore_index=True),
        f"Median over images of the cosine (left) and angle (right) between the gradients of the loss in "
        f"{SCOPES[scope]} at two versions of one image; deterministic harmonic steps. Numbers on the axes are "
        "gradient steps.",
        notes=(
            "Each model has its own correctly classified images; a pair with a vanished gradient is left out.",
        ),
    )


def _medians(inputs: ArtefactInputs, comparison: Results, scope: str) -> pd.DataFrame:
    """Return a row per pair of versions, with published numbers where there are any."""
    # The released medians are of the first tensor and of the natural model.
    is_released = comparison.label("defence") == "Natural" and scope == "first_tensor"
    printed = inputs.published if is_released else pd.DataFrame()
    released = inputs.results.where(
        measure="similarity", run="released code", defence=comparison.label("defence"), **HARMONIC._asdict()
    )
    rows = []
    for first, second in PAIRS:
        found = cosines(comparison, first, second, scope)
        published = {
            f"published_{kind}": np.nan if printed.empty else released_median(printed, metric, first, second)
            for kind, metric in (("cosine", "median_cosine_similarity"), ("angle", "median_angle"))
        }
        rows.append(
            {
                "model": comparison.label("model"),
                "scope": scope,
                "first": first,
                "second": second,
                "median_cosine": median(found),
                "median_angle": median(angle_degrees(found)),
                "images": int(np.isfinite(found).sum()),
                "released_variant_cosine": median(cosines(released, first, second, scope))
                if len(released)
                else np.nan,
                **published,
            }
        )
    return pd.DataFrame(rows)


def _matrix(medians: pd.Series, *, diagonal: float) -> pd.DataFrame:
    """Return the medians of all pairs as a symmetric matrix."""
    matrix = np.full((len(NINE), len(NINE)), diagonal)
    for (first, second), value in zip(PAIRS, medians, strict=True):
        i, j = NINE.index(first), NINE.index(second)
        matrix[i, j] = matrix[j, i] = value
    names = [NOISE_NAMES.get(str(each), str(each)) for each in NINE]
    return pd.DataFrame(matrix, names, names)


def figure_4_11(inputs: ArtefactInputs) -> Figure:
    """Figure 4.11: histograms of the angle between the gradients after 1 and after 16 steps."""
    canvas, panels = new_figure(2, 3, width=8, panel_height=2.3, share_x=True)
    frames = []
    for column, (ball, models) in enumerate(compared(inputs.results).groups("ball")):
        for row, (defence, comparison) in enumerate(models.groups("defence")):
            axes = panels[row, column]
            found = {scope: angles(comparison, scope=scope) for scope in SCOPES}
            shares = {scope: histogram(sample, ANGLE_EDGES) for scope, sample in found.items()}
            axes.stairs(shares["all"], ANGLE_EDGES, fill=True, color="#9dc6e0", label=SCOPES["all"])
            axes.stairs(
                shares["first_tensor"], ANGLE_EDGES, color="0.25", linewidth=0.9, label=SCOPES["first_tensor"]
            )
            middle = median(found["all"])
            axes.axvline(
                np.nanmean(found["all"]), color="#c2512f", linestyle=":", label="mean (all parameters)"
            )
            axes.axvline(middle, color="#7b1e4b", linestyle="--", label="median (all parameters)")
            axes.axvline(90, color="black", linewidth=0.9, linestyle="-", label="90°")
            letter = "acebdf"[3 * column + row]
            axes.set_title(
                f"({letter}) {MODEL_NAMES[defence]}, {radius_heading(comparison)}; median {middle:.1f}°"
            )
            axes.set_xticks(range(0, 181, 30))
            axes.set(xlim=(0, 180), ylabel="share of images")
            frames += [
                pd.DataFrame(
                    {
                        "model": comparison.label("model"),
                        "radius": ball,
                        "scope": scope,
                        "angle_low": ANGLE_EDGES[:-1],
                        "angle_high": ANGLE_EDGES[1:],
                        "share": shares[scope],
                        "mean": np.nanmean(sample),
                        "median": median(sample),
                    }
                )
                for scope, sample in found.items()
            ]
        axes.set_xlabel("angle between 1-step and 16-step gradient [degrees]")
    shared_legend(canvas, panels[0, 0], columns=5)
    return Figure(
        canvas,
        pd.concat(frames, ignore_index=True),
        "Angle between the parameter gradients at the 1-step and the 16-step adversarial example of an image; left "
        "the plain radius, right twice that. Bars: gradient over all parameters; line: over the first tensor, as the "
        "released code has it.",
    )
