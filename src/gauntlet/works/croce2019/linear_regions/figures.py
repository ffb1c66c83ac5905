"""Convergence of the linear region attack and pictures of its runs (croce2019, sections 5.5 and 6)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.results import Results
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.panels import draw_image, draw_lines
from gauntlet.reporting.style import new_figure, shared_legend

STATISTICS: dict[str, Callable[..., np.ndarray]] = {"median": np.median, "maximum": np.max, "mean": np.mean}


def sizes_by_regions(results: Results) -> tuple[list[int], np.ndarray]:
    """Return the recorded numbers of regions, and each image's smallest size after them, ``[N, R]``.

    Images that no run was started for are left out.

    Args:
        results: one search.
    """
    numbers = [int(number) for number in results.settings["checkpoints"]]
    sizes = results.rows[[f"l2_after_{number}" for number in numbers]].to_numpy(dtype=float)
    return numbers, sizes[np.isfinite(sizes).all(1) & (sizes[:, 0] > 0)]


def convergence(inputs: ArtefactInputs) -> Figure:
    """Figures 1 to 4: median, largest and mean distance over the number of explored regions."""
    parameter = inputs.settings["parameter"]
    frames, images = [], 0
    for value, results in inputs.results.groups(parameter):
        numbers, sizes = sizes_by_regions(results)
        images = len(sizes)
        uniform = " (uniform)" if results.settings["sampling"] == "uniform" else ""
        keys = {"series": f"{inputs.settings['symbol']} = {value:g}{uniform}", parameter: value}
        frames += [
            pd.DataFrame({**keys, "statistic": statistic, "regions": numbers, "l2": compute(sizes, axis=0)})
            for statistic, compute in STATISTICS.items()
        ]
    frame = pd.concat(frames, ignore_index=True)
    canvas, panels = new_figure(3, panel_height=2.5)
    ticks: list[int] = []
    for number in sorted(set(frame["regions"]) - {0}):
        if not ticks or number > 1.6 * ticks[-1]:
            ticks.append(number)
    for axes, statistic in zip(panels[0], STATISTICS, strict=True):
        # The start, before any region, lies so far off that all curves would look alike beside it.
        drawn = frame[(frame["statistic"] == statistic) & (frame["regions"] > 0)]
        draw_lines(axes, drawn, x="regions", y="l2", series="series")
        axes.set(title=statistic, xscale="log", xlabel="explored regions", ylabel="$\\ell_2$ distance")
        axes.set_xticks(ticks, map(str, ticks))
        axes.minorticks_off()
    shared_legend(canvas, panels[0, 0], columns=5)
    return Figure(
        canvas,
        frame,
        f"Distance of the best perturbation over the number of explored regions, plain model on "
        f"{inputs.results.label('dataset')}, {images} images with one start each.",
        notes=("The distance of the start is in the csv, as that after no region.",),
    )


def figure_5(inputs: ArtefactInputs) -> Figure:
    """Figure 5: runs from a training image over boundary points to the final one."""
    runs = dict(inputs.results.groups("run"))
    stages = max(_tiles(results) for results in runs.values()) - 1
    canvas, panels = new_figure(stages + 1, len(runs), width=9.5, panel_height=1.25)
    rows = []
    for axes, (run, results) in zip(panels, runs.items(), strict=True):
        row = longest_path(results)
        values, (tiles, clean) = results.rows.iloc[row], split_tiles(results, row)
        for number in range(stages):
            first, second = int(values[f"first_{number}"]), int(values[f"second_{number}"])
            distance = float(values[f"distance_{number}"])
            draw_image(axes[number], tiles[number], f"{first}/{second}\nd = {distance:.3g}")
            rows.append(
                {
                    "run": run,
                    "dataset": results.label("dataset"),
                    "index": int(values["index"]),
                    "tile": _role(number, stages),
                    "first_class": first,
                    "second_class": second,
                    "distance": distance,
                }
            )
        draw_image(axes[stages], clean, f"target\n{int(values['label'])}")
    return Figure(
        canvas,
        pd.DataFrame(rows),
        "Runs of the linear region attack, one a row: the training image of another class, the start on the "
        "boundary, accepted points, the final point, and the image that was attacked (target). Titles: the two "
        "most likely classes and the l2 distance to the target.",
        notes=(
            f"From top to bottom: {', '.join(runs)}. Shown is the image whose path is longest. Fewer accepted "
            "points than places repeat the one before.",
        ),
    )


def figure_6(inputs: ArtefactInputs) -> Figure:
    """Figure 6: a start and the nearest boundary point of its linear region."""
    runs = dict(inputs.results.groups("run"))
    canvas, panels = new_figure(3, len(runs), panel_height=1.9)
    rows = []
    for axes, (run, results) in zip(panels, runs.items(), strict=True):
        row = longest_path(results)
        values, (tiles, clean) = results.rows.iloc[row], split_tiles(results, row)
        last = len(tiles) - 1
        draw_image(axes[0], tiles[1], f"start, d = {values['distance_1']:.3g}")
        draw_image(axes[1], tiles[last], f"in its region, d = {values[f'distance_{last}']:.3g}")
        draw_image(axes[2], clean, "target")
        rows.append(
            {
                "run": run,
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


def solution_gains(results: Results, tolerance: float, margin: float) -> np.ndarray:
    """Return by which share of the start's distance the solution in its region is nearer, per image.

    Left out are solutions that violate a constraint of their region by more than ``tolerance``, and those off the
    decision boundary: whose true logit differs from the largest other by more than ``margin``.
    """
    rows, last = results.rows, _tiles(results) - 1
    counts = (rows["violation"] <= tolerance) & (rows["solution_margin"].abs() <= margin)
    return (1 - rows[f"distance_{last}"] / rows["distance_1"])[counts].to_numpy(dtype=float)


def longest_path(results: Results) -> int:
    """Return the kept image whose start lies farthest from its final point, relative to the start."""
    rows = results.rows.iloc[: results.table.specification["keep_images"]]
    last = _tiles(results) - 2
    gain = 1 - rows[f"distance_{last}"].to_numpy(dtype=float) / rows["distance_1"].to_numpy(dtype=float)
    return int(np.nanargmax(gain))


def split_tiles(results: Results, row: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the tiles of an image's strip, and the image itself."""
    images = results.table.images()
    return np.split(images["path"][row], _tiles(results), axis=-1), images["clean"][row]


def _tiles(results: Results) -> int:
    """Number of images in the strip of a run: one per recorded distance."""
    return sum(str(column).startswith("distance_") for column in results.rows)


def _role(number: int, stages: int) -> str:
    names = {0: "training image", 1: "start", stages - 1: "final"}
    return names.get(number, f"accepted {number - 1}")
