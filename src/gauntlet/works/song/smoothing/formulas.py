"""Figures from formulas: 3.1 (gradient of the robustness term), 4.1 (decision weights), 4.2 (noisy classes)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtr, ndtri

from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.style import SEQUENTIAL, look, new_figure

THRESHOLD = 0.99
"""Probability from which the robustness term is left out (song, section 3.2)."""

SIGMA = 0.25
HEIGHT = 6.0
"""Logit margin of the classifier of Figure 4.1 at the image itself."""

RATIOS = (10.0, 5.0)
"""Noise variance over data variance: in the caption of Figure 4.2, and in the text."""


def robustness_gradient(probability: ArrayLike) -> NDArray[np.float64]:
    """Return the derivative of Phi^-1 at a probability.

    Source: song, equation 3.4, with the exponent divided by 2 as the standard normal distribution has it (the
    printed 2 sigma^2 belongs to noise of another scale).
    """
    quantile = ndtri(np.asarray(probability, dtype=float))
    return np.sqrt(2 * np.pi) * np.exp(quantile**2 / 2)


def mapped_gradient(probability: ArrayLike) -> NDArray[np.float64]:
    """Return the derivative of Phi^-1(s(u)) by u, where the logistic function s(u) is the probability."""
    p = np.asarray(probability, dtype=float)
    return p * (1 - p) * robustness_gradient(p)


def figure_3_1(inputs: ArtefactInputs) -> Figure:
    """Figure 3.1: the gradient of the robustness term, as it is and with both remedies."""
    p = np.linspace(0.001, 0.999, 999)
    kept = p <= THRESHOLD + 1e-12
    panels = {
        "unmodified": robustness_gradient(p),
        f"threshold {THRESHOLD}": np.where(kept, robustness_gradient(p), 0.0),
        f"mapped, threshold {THRESHOLD}": np.where(kept, mapped_gradient(p), 0.0),
    }
    canvas, grid = new_figure(3, panel_height=2.4, letters=True)
    for axes, (name, gradient) in zip(grid[0], panels.items(), strict=True):
        axes.plot(p, gradient, marker="", color=look(0)["color"])
        axes.set_title(name, loc="center")
        axes.set(xlabel="probability of the true class", xlim=(0, 1), ylim=(0, None))
    grid[0, 1].set(ylim=(0, 60))
    grid[0, 0].set(yscale="log", ylim=(1, None), ylabel="gradient of the robustness term")
    frame = pd.concat(
        [
            pd.DataFrame({"variant": name, "probability": p, "gradient": values})
            for name, values in panels.items()
        ],
        ignore_index=True,
    )
    return Figure(
        canvas,
        frame,
        "Derivative of the certified radius in units of sigma: by the smoothed probability (a, b) and by the logit "
        "behind a soft mapping (c), here the logistic function.",
        notes=(
            "Scales differ: (a) is logarithmic, (b) is cut off at 60. The derivative grows towards 0 as well, but the "
            "term counts for correctly classified images only. At 0.99 the derivative is 37.5 and at 0.999 it is 297; "
            "behind the soft "
            "mapping it is 0.37 and 0.30.",
        ),
    )


def decision_weights(noise: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what noisy copies add to an average of probabilities and to an average of logits.

    Args:
        noise: displacements ``[..., 2]`` from the image.

    Returns:
        The probability of the true class, and its logit margin, of a classifier whose margin falls with the
        squared distance from the image and changes sign at two sigma.
    """
    margin = HEIGHT * (1 - (noise**2).sum(-1) / (2 * SIGMA) ** 2)
    return expit(margin), margin


def figure_4_1(inputs: ArtefactInputs) -> Figure:
    """Figure 4.1: the weight of each noisy copy in the decision."""
    side = np.linspace(-3 * SIGMA, 3 * SIGMA, 61)
    first, second = np.meshgrid(side, side)
    weights = decision_weights(np.stack([first, second], -1))
    titles = ("average of probabilities", "average of logits")
    canvas, grid = new_figure(2, panel_height=3.0, letters=True)
    for axes, weight, title in zip(grid[0], weights, titles, strict=True):
        image = axes.pcolormesh(
            side, side, np.maximum(weight, 0), cmap=SEQUENTIAL, shading="nearest", rasterized=True
        )
        axes.contour(
            side,
            side,
            weight,
            levels=[0.5 if title.endswith("probabilities") else 0.0],
            colors="0.1",
            linewidths=0.9,
        )
        axes.set_title(title, loc="center")
        axes.set(xlabel="noise, first direction", ylabel="noise, second direction", aspect="equal")
        axes.grid(visible=False)
        canvas.colorbar(image, ax=axes, label="weight for the true class", shrink=0.85)
    frame = pd.DataFrame(
        {
            "noise_1": first.ravel(),
            "noise_2": second.ravel(),
            "probability_weight": weights[0].ravel(),
            "logit_weight": weights[1].ravel(),
        }
    )
    return Figure(
        canvas,
        frame,
        "Weight of noisy copies for the true class, by where the noise takes them: bounded by 1 where probabilities "
        "are averaged, larger near the image where logits are. The line is where a copy changes sides.",
        notes=(
            "An illustration with a made-up classifier; the work gives no numbers. Negative weights are drawn as 0.",
        ),
    )  # fmt: skip


def bayes_accuracy(ratio: float) -> float:
    """Return the best accuracy on two points at -a and a under noise of variance ``ratio`` times a^2."""
    return float(ndtr(1 / np.sqrt(ratio)))


def figure_4_2(inputs: ArtefactInputs) -> Figure:
    """Figure 4.2: two classes without spread of their own, before and after noise."""
    x = np.linspace(-12, 12, 481)
    canvas, grid = new_figure(2, panel_height=2.5, letters=True)
    before, after = grid[0]
    rows = []
    for number, (name, centre) in enumerate((("class 1", -1.0), ("class 2", 1.0))):
        before.vlines(
            centre, 0, 0.5, color=look(number)["color"], linewidth=2.5, linestyle=look(number)["linestyle"]
        )
        before.plot(
            [centre],
            [0.5],
            marker=look(number)["marker"],
            color=look(number)["color"],
            label=name,
            linestyle="none",
        )
        for ratio in RATIOS:
            density = np.exp(-((x - centre) ** 2) / (2 * ratio)) / np.sqrt(2 * np.pi * ratio)
            rows.append(pd.DataFrame({"class": name, "ratio": ratio, "x": x, "density": density}))
            after.plot(
                x,
                density,
                color=look(number)["color"],
                linestyle=look(number)["linestyle"],
                marker="",
                linewidth=1.6 if ratio == RATIOS[0] else 0.7,
                label=f"{name}, {ratio:g}-fold",
            )
    before.set(xlim=(-12, 12), ylim=(0, 0.65), xlabel="input, in units of a", ylabel="probability")
    before.set_title("before noise", loc="center")
    before.legend()
    after.set(xlim=(-12, 12), ylim=(0, 0.24), xlabel="input, in units of a", ylabel="density")
    after.set_title("after noise", loc="center")
    after.legend(title="noise variance", ncols=2, fontsize=6.5)
    return Figure(
        canvas,
        pd.concat(rows, ignore_index=True),
        "Two classes at -a and a without spread of their own: (a) before and (b) after Gaussian noise with ten (and, "
        "thin, five) times the variance of the data.",
        notes=(
            f"The best possible classifier is still right on {100 * bayes_accuracy(10):.1f} % (ten-fold) and "
            f"{100 * bayes_accuracy(5):.1f} % (five-fold) of the noisy points: such a direction is weak, not without "
            "use.",
        ),
    )  # fmt: skip
