"""Convergence of the linear region attack and pictures of its runs (croce2019, sections 5.5 and 6)."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd

from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.inputs import ArtefactInputs, EvaluationResult
from gauntlet.reporting.panels import draw_image, draw_lines
from gauntlet.reporting.style import new_figure, shared_legend

STATISTICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "median": lambda sizes: np.median(sizes, axis=0),
    "maximum": lambda sizes: sizes.max(0),
    "mean": lambda sizes: sizes.mean(0),
}
SYMBOLS = {"q": "q", "gamma": "γ"}


def sizes_by_regions(result: EvaluationResult, procedure: str) -> tuple[list[int], np.ndarray]:
    """Return the recorded numbers of regions, and each image's smallest size after them, ``[N, R]``.

    Images that no run was started for are left out.
    """
    rows = result.rows(procedure)
    numbers = [int(number) for number in result.specification["procedures"][procedure]["checkpoints"]]
    sizes = rows[[f"l2_after_{number}" for number in numbers]].to_numpy(dtype=float)
    return numbers, sizes[np.isfinite(sizes).all(1) & (sizes[:, 0] > 0)]


def swept(result: EvaluationResult, parameter: str) -> dict[float, str]:
    """Return the procedures of a sweep over q or gamma, by its value."""
    found = {
        name: re.fullmatch(rf"{parameter}-([\d.]+)", name) for name in result.specification["procedures"]
    }
    return {float(match[1]): name for name, match in found.items() if match}


def convergence(inputs: ArtefactInputs) -> Figure:
    """Figures 1 to 4: median, largest and mean distance over the number of explored regions."""
    result, parameter = inputs.evaluation(), inputs.settings["parameter"]
    rows, images = [], 0
    for value, name in swept(result, parameter).items():
        numbers, sizes = sizes_by_regions(result, name)
        images = len(sizes)
        label = f"{SYMBOLS[parameter]} = {value:g}" + (
            " (uniform)" if parameter == "q" and value == 0.5 else ""
        )
        for statistic, compute in STATISTICS.items():
            for number, size in zip(numbers, compute(sizes), strict=True):
                rows.append(
                    {"series": label, parameter: value, "statistic": statistic, "regions": number, "l2": size}
                )
    frame = pd.DataFrame(rows)
    canvas, panels = new_figure(3, panel_height=2.5)
    for axes, statistic in zip(panels[0], STATISTICS, strict=True):
        draw_lines(axes, frame[frame["statistic"] == statistic], x="regions", y="l2", series="series")
        axes.set(title=statistic, xlabel="explored regions", ylabel="$\\ell_2$ distance")
    shared_legend(canvas, panels[0, 0], columns=5)
    return Figure(
        canvas,
        frame,
        f"Distance of the best perturbation over the number of explored regions, plain model on "
        f"{result.specification['dataset']}, {images} images with one start each.",
    )


def figure_5(inputs: ArtefactInputs) -> Figure:
    """Figure 5: runs from a training image over boundary points to the final one."""
    stages = max(_tiles(result) for result in inputs.evaluations.values()) - 1
    canvas, panels = new_figure(stages + 1, len(inputs.evaluations), width=9.5, panel_height=1.25)
    rows = []
    for axes, (name, result) in zip(panels, inputs.evaluations.items(), strict=True):
        found, row = result.rows("path"), longest_path(result)
        tiles, clean = split_tiles(result, row)
        for number in range(stages):
            values = found.iloc[row]
            classes = f"{int(values[f'first_{number}'])}/{int(values[f'second_{number}'])}"
            distance = float(values[f"distance_{number}"])
            draw_image(axes[number], tiles[number], f"{classes}\nd = {distance:.3g}")
            rows.append(
                {
                    "run": name.removeprefix("path-"),
                    "dataset": result.specification["dataset"],
                    "index": int(values["index"]),
                    "tile": _role(number, stages),
                    "first_class": int(values[f"first_{number}"]),
                    "second_class": int(values[f"second_{number}"]),
                    "distance": distance,
                }
            )
        draw_image(axes[stages], clean, f"target\n{int(found.iloc[row]['label'])}")
    return Figure(
        canvas,
        pd.DataFrame(rows),
        "Runs of the linear region attack, one a row: the training image of another class, the start on the "
        "boundary, accepted points, the final point, and the image that was attacked (target). Titles: the two "
        "most likely classes and the l2 distance to the target.",
        notes=(
            f"From top to bottom: {', '.join(name.removeprefix('path-') for name in inputs.evaluations)}. "
            "Shown is the image whose path is longest. Fewer accepted points than places repeat the one before.",
        ),
    )


def figure_6(inputs: ArtefactInputs) -> Figure:
    """Figure 6: a start and the nearest boundary point of its linear region."""
    canvas, panels = new_figure(3, len(inputs.evaluations), panel_height=1.9)
    rows = []
    for axes, (name, result) in zip(panels, inputs.evaluations.items(), strict=True):
        found, row = result.rows("path"), longest_path(result)
        tiles, clean = split_tiles(result, row)
        values, last = found.iloc[row], len(tiles) - 1
        draw_image(axes[0], tiles[1], f"start, d = {values['distance_1']:.3g}")
        draw_image(axes[1], tiles[last], f"in its region, d = {values[f'distance_{last}']:.3g}")
        draw_image(axes[2], clean, "target")
        rows.append(
            {
                "run": name.removeprefix("path-"),
                "index": int(values["index"]),
                "start_distance": values["distance_1"],
                "solution_distance": values[f"distance_{last}"],
                "between": float(np.linalg.norm(tiles[last] - tiles[1])),
                "start_margin": values["start_margin"],
                "solution_margin": values["solution_margin"],
                "violation": values["violation"],
            }
        )
    return Figure(
        canvas,
        pd.DataFrame(rows),
        "The start on the boundary, the point of its linear region nearest to the target on the decision "
        "boundary, and the target.",
        notes=(
            "violation is the largest scaled constraint of the region at the solution (at most 0 inside), the "
            "margins are true logit minus largest other.",
        ),
    )


def _tiles(result: EvaluationResult) -> int:
    return sum(str(column).startswith("distance_") for column in result.rows("path"))


def longest_path(result: EvaluationResult) -> int:
    """Return the kept image whose start lies farthest from its final point, relative to the start."""
    rows = result.rows("path").iloc[: result.specification["keep_images"]]
    last = _tiles(result) - 2
    gain = 1 - rows[f"distance_{last}"].to_numpy(dtype=float) / rows["distance_1"].to_numpy(dtype=float)
    return int(np.nanargmax(gain))


def split_tiles(result: EvaluationResult, row: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the tiles of an image's strip, and the image itself."""
    images = result.images()
    return np.split(images["path"][row], _tiles(result), axis=-1), images["clean"][row]


def _role(number: int, stages: int) -> str:
    names = {0: "training image", 1: "start", stages - 1: "final"}
    return names.get(number, f"accepted {number - 1}")
