"""Figures 3.1, 4.1 and 4.2 from formulas, 4.3 from images, 5.1 to 5.3 from certificates and trainings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from gauntlet.analysis.certificates import certified_accuracy_curve
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.style import PUBLISHED, SEQUENTIAL, look, new_figure, shared_legend
from gauntlet.works.song.smoothing.certified import described, in_printed_order, limit
from gauntlet.works.song.smoothing.convergence import convergences
from gauntlet.works.song.smoothing.formulas import (
    SIGMA,
    bayes_accuracy,
    decision_weights,
    mapped_gradient,
    robustness_gradient,
)
from gauntlet.works.song.smoothing.spectrum import SIGMAS, training_variances

THRESHOLD = 0.99
"""Probability from which the robustness term is left out (song, section 3.2)."""

RATIOS = (10.0, 5.0)
"""Noise variance over data variance: in the caption of Figure 4.2, and in the text."""

DIRECTIONS = ((100, 500), (50, 450))
"""First and last direction of each panel of Figure 4.3."""

STEP = 0.01
"""Distance of the radii at which a curve of certified accuracy is drawn."""


def _panels(titles: Sequence[str], **settings: Any) -> tuple[Canvas, Iterator[Axes]]:
    """Return a row of lettered panels with these titles."""
    canvas, grid = new_figure(len(titles), letters=True, **settings)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, loc="center")
    return canvas, iter(grid[0])


def figure_3_1(inputs: ArtefactInputs) -> Figure:
    """Figure 3.1: the gradient of the robustness term, as it is and with both remedies."""
    p = np.linspace(0.001, 0.999, 999)
    kept = p <= THRESHOLD + 1e-12
    variants = {
        "unmodified": robustness_gradient(p),
        f"threshold {THRESHOLD}": np.where(kept, robustness_gradient(p), 0.0),
        f"mapped, threshold {THRESHOLD}": np.where(kept, mapped_gradient(p), 0.0),
    }
    canvas, panels = _panels(list(variants), panel_height=2.4)
    frames = []
    for axes, (name, gradient) in zip(panels, variants.items(), strict=True):
        axes.plot(p, gradient, marker="", color=look(0)["color"])
        axes.set(xlabel="probability of the true class", xlim=(0, 1), ylim=(0, None))
        frames.append(pd.DataFrame({"variant": name, "probability": p, "gradient": gradient}))
    canvas.axes[0].set(yscale="log", ylim=(1, None), ylabel="gradient of the robustness term")
    canvas.axes[1].set(ylim=(0, 60))
    return Figure(
        canvas,
        pd.concat(frames, ignore_index=True),
        "Derivative of the certified radius in units of sigma: by the smoothed probability (a, b) and by the logit "
        "behind a soft mapping (c), here the logistic function.",
        notes=(
            "Scales differ: (a) is logarithmic, (b) is cut off at 60. The derivative grows towards 0 as well, but the "
            "term counts for correctly classified images only. At 0.99 the derivative is 37.5 and at 0.999 it is 297; "
            "behind the soft mapping it is 0.37 and 0.30.",
        ),
    )


def figure_4_1(inputs: ArtefactInputs) -> Figure:
    """Figure 4.1: the weight of each noisy copy in the decision."""
    side = np.linspace(-3 * SIGMA, 3 * SIGMA, 61)
    first, second = np.meshgrid(side, side)
    probability, logit = decision_weights(np.stack([first, second], -1))
    canvas, panels = _panels(["average of probabilities", "average of logits"], panel_height=3.0)
    for axes, weight, boundary in zip(panels, (probability, logit), (0.5, 0.0), strict=True):
        shown = np.maximum(weight, 0)
        image = axes.pcolormesh(side, side, shown, cmap=SEQUENTIAL, shading="nearest", rasterized=True)
        axes.contour(side, side, weight, levels=[boundary], colors="0.1", linewidths=0.9)
        axes.set(xlabel="noise, first direction", ylabel="noise, second direction", aspect="equal")
        axes.grid(visible=False)
        canvas.colorbar(image, ax=axes, label="weight for the true class", shrink=0.85)
    columns = {"noise_1": first, "noise_2": second, "probability_weight": probability, "logit_weight": logit}
    return Figure(
        canvas,
        pd.DataFrame({name: values.ravel() for name, values in columns.items()}),
        "Weight of noisy copies for the true class, by where the noise takes them: bounded by 1 where probabilities "
        "are averaged, larger near the image where logits are. The line is where a copy changes sides.",
        notes=(
            "An illustration with a made-up classifier; the work gives no numbers. Negative weights are drawn as 0.",
        ),
    )


def figure_4_2(inputs: ArtefactInputs) -> Figure:
    """Figure 4.2: two classes without spread of their own, before and after noise."""
    x = np.linspace(-12, 12, 481)
    canvas, (before, after) = _panels(["before noise", "after noise"], panel_height=2.5)
    frames = []
    for number, (name, center) in enumerate((("class 1", -1.0), ("class 2", 1.0))):
        style = look(number)
        before.vlines(center, 0, 0.5, color=style["color"], linewidth=2.5, linestyle=style["linestyle"])
        before.plot([center], [0.5], **style | {"linestyle": "none"}, label=name)
        for ratio in RATIOS:
            density = np.exp(-((x - center) ** 2) / (2 * ratio)) / np.sqrt(2 * np.pi * ratio)
            width = 1.6 if ratio == RATIOS[0] else 0.7
            drawn = style | {"marker": "", "linewidth": width}
            after.plot(x, density, **drawn, label=f"{name}, {ratio:g}-fold")
            frames.append(pd.DataFrame({"class": name, "ratio": ratio, "x": x, "density": density}))
    before.set(xlim=(-12, 12), ylim=(0, 0.65), xlabel="input, in units of a", ylabel="probability")
    before.legend()
    after.set(xlim=(-12, 12), ylim=(0, 0.24), xlabel="input, in units of a", ylabel="density")
    after.legend(title="noise variance", ncols=2, fontsize=6.5)
    return Figure(
        canvas,
        pd.concat(frames, ignore_index=True),
        "Two classes at -a and a without spread of their own: (a) before and (b) after Gaussian noise with ten (and, "
        "thin, five) times the variance of the data.",
        notes=(
            f"The best possible classifier is still right on {100 * bayes_accuracy(10):.1f} % (ten-fold) and "
            f"{100 * bayes_accuracy(5):.1f} % (five-fold) of the noisy points: such a direction is weak, not without "
            "use.",
        ),
    )


def figure_4_3(inputs: ArtefactInputs) -> Figure:
    """Figure 4.3: the variance of each principal direction beside that of the noise."""
    images, variances = training_variances(inputs)
    titles = [f"$\\sigma$ = {sigma:g}, noise variance {sigma**2:g}" for sigma in SIGMAS]
    canvas, panels = _panels(titles, panel_height=2.8)
    frames = []
    for axes, sigma, (first, last) in zip(panels, SIGMAS, DIRECTIONS, strict=True):
        number = np.arange(first, min(last, len(variances)) + 1)
        shown = variances[number - 1]
        axes.plot(number, shown, label="data", markevery=50, **look(0))
        for part, style in ((1, "-"), (5, "--"), (10, ":")):
            name = "noise" if part == 1 else f"noise / {part}"
            axes.axhline(sigma**2 / part, color="0.45", linestyle=style, linewidth=1.1, label=name)
        axes.set(yscale="log", xlabel="principal direction", ylabel="variance (pixel scale squared)")
        frames.append(
            pd.DataFrame({"sigma": sigma, "direction": number, "variance": shown, "noise_variance": sigma**2})
        )
    shared_legend(canvas, canvas.axes[0])
    return Figure(
        canvas,
        pd.concat(frames, ignore_index=True),
        f"Variance of the {images} along their principal directions, and the variance of the noise with the two "
        "fractions of it that decide which directions are kept.",
    )


def figure_5_1(inputs: ArtefactInputs) -> Figure:
    """Figure 5.1: certified accuracy over radius of the six methods."""
    return _curves(
        inputs,
        "Share of test images that are classified correctly and certified at each l2 radius; the area under a curve "
        "is the average certified radius",
    )


def figure_5_3(inputs: ArtefactInputs) -> Figure:
    """Figure 5.3: certified accuracy over radius of Gaussian training with and without decomposition."""
    return _curves(
        inputs,
        "Certified accuracy of Gaussian training with and without linear decomposition (LD, directions above a tenth "
        "of the noise variance)",
    )


def _curves(inputs: ArtefactInputs, caption: str) -> Figure:
    results, printed = inputs.results, inputs.published
    printed = printed[printed["metric"] == "certified_accuracy"].set_index(["sigma", "model"]).sort_index()
    sigmas = results.values("sigma")
    canvas, panels = _panels([f"$\\sigma$ = {sigma:.2f}" for sigma in sigmas], panel_height=3.0)
    frames = []
    for axes, sigma in zip(panels, sigmas, strict=True):
        reach = 4 * sigma
        radii = np.arange(0, reach + STEP / 2, STEP)
        for number, model in enumerate(in_printed_order(inputs)):
            accuracy = certified_accuracy_curve(results.one(sigma=sigma, model=model), radii)
            # Beyond the first radius without an image all curves would lie upon each other.
            end = int((accuracy > 0).sum()) + 1
            style = look(number)
            axes.plot(
                radii[:end],
                accuracy[:end],
                label=model,
                markevery=(number, 12),
                drawstyle="steps-pre",
                **style,
            )
            crosses = printed.loc[(sigma, model)]
            marked = PUBLISHED | {"color": style["color"], "markersize": 4}
            axes.plot(crosses["radius"], crosses["value"] / 100, **marked)
            columns = {"sigma": sigma, "model": model, "radius": radii, "certified_accuracy": accuracy}
            frames.append(pd.DataFrame(columns))
        axes.axvline(limit(results.where(sigma=sigma)), color="0.6", linewidth=0.8, linestyle=":")
        axes.set(xlabel="l2 radius (pixel scale)", ylabel="certified accuracy", xlim=(0, reach), ylim=(0, 1))
    canvas.axes[0].plot([], [], label="printed", **PUBLISHED)
    shared_legend(canvas, canvas.axes[0], columns=4)
    return Figure(
        canvas,
        pd.concat(frames, ignore_index=True),
        f"{caption}; {described(results)}. Crosses: the printed values (100,000 draws), in the color of their curve.",
        notes=("The dotted line is the largest radius that the number of draws can certify.",),
    )


def figure_5_2(inputs: ArtefactInputs) -> Figure:
    """Figure 5.2: accuracy over training with the original and with the generalized consistency loss."""
    levels = convergences(inputs)
    titles = [f"$\\sigma$ = {sigma:.2f}" for sigma in levels]
    canvas, panels = _panels(titles, panel_height=2.8, share_y=True)
    frames = []
    for axes, (sigma, found) in zip(panels, levels.items(), strict=True):
        for number, (name, (curve, *_)) in enumerate(found.curves.items()):
            epochs = np.arange(1, len(curve) + 1)
            axes.plot(epochs, curve, label=name, markevery=max(1, len(curve) // 10), **look(number))
            columns = {"sigma": sigma, "loss": name, "epoch": epochs, "accuracy": curve}
            frames.append(pd.DataFrame(columns))
        axes.set(xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    canvas.axes[0].set(ylabel="test accuracy under noise")
    shared_legend(canvas, canvas.axes[0])
    return Figure(
        canvas,
        pd.concat(frames, ignore_index=True),
        "Test accuracy of the base classifier under one draw of Gaussian noise per image after every epoch of training "
        "with the original and the generalized consistency loss, without linear decomposition; "
        f"{found.images} images.",
        notes=(
            "The work does not say which accuracy it plots; this is what the training logs of its baselines hold.",
        ),
    )
