"""Figures 5.1 to 5.3: certified accuracy over radius, and accuracy over training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.style import PUBLISHED, look, new_figure, shared_legend
from gauntlet.works.song.smoothing.histories import convergence
from gauntlet.works.song.smoothing.observations import METHODS, SIGMAS, Certificates, certificates, provenance

STEP = 0.01
"""Distance of the radii at which a curve is drawn."""


def figure_5_1(inputs: ArtefactInputs) -> Figure:
    """Figure 5.1: certified accuracy over radius of the six methods."""
    return _curves(
        inputs,
        METHODS,
        "Share of test images that are classified correctly and certified at each l2 radius; the area under a curve "
        "is the average certified radius",
    )


def figure_5_3(inputs: ArtefactInputs) -> Figure:
    """Figure 5.3: certified accuracy over radius of Gaussian training with and without decomposition."""
    return _curves(
        inputs,
        {method: METHODS[method] for method in ("gaussian-ld", "gaussian")},
        "Certified accuracy of Gaussian training with and without linear decomposition (LD, directions above a tenth "
        "of the noise variance)",
    )


def _curves(inputs: ArtefactInputs, methods: Mapping[str, str], caption: str) -> Figure:
    canvas, panels = new_figure(len(SIGMAS), panel_height=3.0, letters=True)
    frames = []
    for axes, sigma in zip(panels[0], SIGMAS, strict=True):
        for number, (method, name) in enumerate(methods.items()):
            found = certificates(inputs, method, sigma)
            curve = certified_curve(found, reach=4 * sigma)
            # Beyond the first radius without an image all curves would lie upon each other.
            shown = curve[curve["certified_accuracy"].shift(1, fill_value=1) > 0]
            axes.plot(
                shown["radius"],
                shown["certified_accuracy"],
                label=name,
                markevery=(number, 12),
                drawstyle="steps-pre",
                **look(number),
            )
            _mark_published(axes, inputs.published, sigma, name, number)
            frames.append(curve.assign(sigma=sigma, model=name))
        axes.axvline(found.limit, color="0.6", linewidth=0.8, linestyle=":")
        axes.set(
            xlabel="l2 radius (pixel scale)",
            ylabel="certified accuracy",
            xlim=(0, 4 * sigma),
            ylim=(0, 1),
        )
        axes.set_title(f"$\\sigma$ = {sigma:.2f}", loc="center")
    panels[0, 0].plot([], [], label="printed", **PUBLISHED)
    shared_legend(canvas, panels[0, 0], columns=4)
    return Figure(
        canvas,
        pd.concat(frames, ignore_index=True)[["sigma", "model", "radius", "certified_accuracy"]],
        f"{caption}; {provenance(found)}. Crosses: the printed values (100,000 draws), in the colour of their "
        "curve.",
        notes=("The dotted line is the largest radius that the number of draws can certify.",),
    )


def certified_curve(found: Certificates, reach: float) -> pd.DataFrame:
    """Return the certified accuracy, a fraction, at radii from 0 to ``reach``."""
    radii = np.arange(0, reach + STEP / 2, STEP)
    right = found.certified(0)
    ordered = np.sort(found.frame["radius"].to_numpy()[right])
    count = len(ordered) - np.searchsorted(ordered, radii, side="left")
    return pd.DataFrame({"radius": radii, "certified_accuracy": count / len(right)})


def _mark_published(axes: Axes, published: pd.DataFrame, sigma: float, name: str, number: int) -> None:
    chosen = published[
        (published["metric"] == "certified_accuracy")
        & (published["sigma"] == sigma)
        & (published["model"] == name)
    ]
    looks: dict[str, Any] = PUBLISHED | {"color": look(number)["color"], "markersize": 4}
    axes.plot(chosen["radius"], chosen["value"] / 100, **looks)


def figure_5_2(inputs: ArtefactInputs) -> Figure:
    """Figure 5.2: accuracy over training with the original and with the generalized consistency loss."""
    canvas, panels = new_figure(len(SIGMAS), panel_height=2.8, share_y=True, letters=True)
    frames = []
    for axes, sigma in zip(panels[0], SIGMAS, strict=True):
        found = convergence(inputs, sigma)
        for number, (name, curve) in enumerate(found.curves.items()):
            epochs = np.arange(1, len(curve) + 1)
            axes.plot(epochs, curve, label=name, markevery=max(1, len(curve) // 10), **look(number))
            frames.append(pd.DataFrame({"sigma": sigma, "loss": name, "epoch": epochs, "accuracy": curve}))
        axes.set(xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(f"$\\sigma$ = {sigma:.2f}", loc="center")
    panels[0, 0].set(ylabel="test accuracy under noise")
    shared_legend(canvas, panels[0, 0])
    return Figure(
        canvas,
        pd.concat(frames, ignore_index=True),
        "Test accuracy of the base classifier under one draw of Gaussian noise per image after every epoch of training "
        f"with the original and the generalized consistency loss, without linear decomposition; {found.images} images.",
        notes=(
            "The work does not say which accuracy it plots; this is what the training logs of its baselines hold.",
        ),
    )
