"""Principal directions of the training images against the noise (song, sections 4.2 and 5.4, Figure 4.3)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gauntlet.datasets.imageset import open_split
from gauntlet.reporting.artefacts import Figure, Table
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.style import look, new_figure, shared_legend
from gauntlet.works.song.smoothing.observations import SIGMAS

PANELS = ((SIGMAS[0], 100, 500), (SIGMAS[1], 50, 450))
"""Noise level, first and last direction of each panel of Figure 4.3."""

SHARES = (1.0, 1 / 2, 1 / 5, 1 / 10, 1 / 20)
"""Fractions tau of the noise variance that a direction may have to exceed; the work names 1/5 and 1/10."""

IMAGES_AT_ONCE = 2048


def principal_variances(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the variances of images along their principal directions, in pixel scale, largest first.

    Args:
        images: uint8 ``[N, C, H, W]``, N at least 2.
    """
    rows = images.reshape(len(images), -1)
    starts = range(0, len(rows), IMAGES_AT_ONCE)
    # float32 products of a part at a time; their sum keeps the digits that small variances need.
    mean = sum(rows[start : start + IMAGES_AT_ONCE].sum(0, dtype=np.float64) for start in starts) / len(rows)
    covariance = np.zeros((rows.shape[1], rows.shape[1]))
    for start in starts:
        centred = (rows[start : start + IMAGES_AT_ONCE] - mean).astype(np.float32) / np.float32(255)
        covariance += centred.T @ centred
    variances = np.linalg.eigvalsh(covariance / (len(rows) - 1))
    return np.clip(variances[::-1], 0, None)


def training_variances(inputs: ArtefactInputs) -> tuple[str, int, NDArray[np.float64]]:
    """Return the name of the data set, the number of its training images, and their principal variances."""
    ((name, folder),) = inputs.datasets.items()
    images = open_split(folder).images
    return name.partition("/")[0], len(images), principal_variances(images)


def figure_4_3(inputs: ArtefactInputs) -> Figure:
    """Figure 4.3: the variance of each principal direction beside that of the noise."""
    dataset, count, variances = training_variances(inputs)
    canvas, grid = new_figure(2, panel_height=2.8, letters=True)
    frames = []
    for axes, (sigma, first, last) in zip(grid[0], PANELS, strict=True):
        number = np.arange(first, min(last, len(variances)) + 1)
        shown = variances[number - 1]
        axes.plot(number, shown, label="data", markevery=50, **look(0))
        for share, style in ((1.0, "-"), (1 / 5, "--"), (1 / 10, ":")):
            name = "noise" if share == 1 else f"noise / {round(1 / share)}"
            axes.axhline(share * sigma**2, color="0.45", linestyle=style, linewidth=1.1, label=name)
        axes.set(yscale="log", xlabel="principal direction", ylabel="variance (pixel scale squared)")
        axes.set_title(f"$\\sigma$ = {sigma:g}, noise variance {sigma**2:g}", loc="center")
        frames.append(
            pd.DataFrame({"sigma": sigma, "direction": number, "variance": shown, "noise_variance": sigma**2})
        )
    shared_legend(canvas, grid[0, 0])
    return Figure(
        canvas,
        pd.concat(frames, ignore_index=True),
        f"Variance of the {count:,} training images of {dataset} along their principal directions, and the variance of "
        "the noise with the two fractions of it that decide which directions are kept.",
    )


def table_principal_directions(inputs: ArtefactInputs) -> Table:
    """How many principal directions exceed a fraction of the noise variance, and what they hold."""
    dataset, count, variances = training_variances(inputs)
    rows = [
        {
            "sigma": sigma,
            "tau": share,
            "least variance": share * sigma**2,
            "directions kept": int((variances > share * sigma**2).sum()),
            "of": len(variances),
            "variance kept [%]": 100 * float(variances[variances > share * sigma**2].sum() / variances.sum()),
        }
        for sigma in SIGMAS
        for share in SHARES
    ]
    return Table(
        pd.DataFrame(rows),
        f"Principal directions of the {count:,} training images of {dataset} whose variance exceeds tau times that of "
        "the noise, and their share of the total variance.",
        notes=(
            "The work keeps directions above 1/5 of the noise variance in section 4.2 and above 1/10 in section 5.4, "
            "and does not say how many these are.",
        ),
        decimals={"sigma": 2, "tau": 2, "least variance": 5, "variance kept [%]": 1},
    )
