"""Figures 3.2 and 3.3: success against queries, and how RayS converges (chen2021, section 3.4)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.robustness import distance_trace
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.panels import draw_lines, mark_published_ends
from gauntlet.reporting.style import new_figure, shared_legend
from gauntlet.works.chen2021.boundary import FARTHEST
from gauntlet.works.chen2021.layout import stand_in, success_curves


def figure_3_2(inputs: ArtefactInputs) -> Figure:
    """Figure 3.2: attack success rate against the number of queries, hard-label."""
    return success_curves(
        inputs,
        "panel",
        ["OPT", "SignOPT", "HSJA", "RayS"],
        "Success rate of untargeted hard-label attacks after so many queries. Hollow markers: published end points; "
        "the published curves themselves are not given in numbers.",
    )


def figure_3_3(inputs: ArtefactInputs) -> Figure:
    """Figure 3.3: boundary distance and robust accuracy as RayS goes on."""
    canvas, panels = new_figure(2, panel_height=3.0)
    rays = dict(inputs.results.where(method="RayS").groups("defence"))
    traces, ends = [], []
    for defence, results in rays.items():
        eps = float(results.settings["eps"])
        for counted, unit in (("iterations", "iteration"), ("queries", "query")):
            sizes = distance_trace(results, unit).clip(upper=FARTHEST)  # type: ignore[arg-type]
            trace = {"adbd": sizes.mean(), "robust_accuracy": 100 * (sizes > eps).mean()}
            frame = pd.DataFrame(trace).rename_axis("position").reset_index()
            traces.append(frame.assign(defence=defence, counted=counted, eps=eps))
        at_end = inputs.published[inputs.published["defence"].str.startswith(defence)]
        ends.append(at_end.set_index("metric")["value"].astype(float).rename(defence))
    # Image after image is left at its query limit; the last mark that an image reached is carried on.
    limit = max(int(results.column("iterations").max()) for results in rays.values())
    frame = pd.concat(traces, ignore_index=True)
    drawn = frame[(frame["counted"] == "iterations") & (frame["position"] <= limit)]
    for axes, column, label in (
        (panels[0, 0], "adbd", "average boundary distance (linf)"),
        (panels[0, 1], "robust_accuracy", "robust accuracy, %"),
    ):
        draw_lines(axes, drawn, x="position", y=column, series="defence")
        axes.set(xscale="log", xlabel="RayS iterations (directions tried)", ylabel=label)
        axes.set_xlim(1, drawn["position"].max())
        top = 2.5 * float(drawn["adbd"].min() + drawn["eps"].max()) if column == "adbd" else None
        axes.set_ylim(0, top)
        heights = {str(end.name): end[f"{column}_at_end"] for end in ends if f"{column}_at_end" in end}
        mark_published_ends(axes, [str(end.name) for end in ends], heights, "published, at the end")
    shared_legend(canvas, panels[0, 0], columns=3)
    for end in ends:
        for name in ("adbd_at_end", "robust_accuracy_at_end"):
            frame.loc[frame["defence"] == end.name, f"published_{name}"] = end.get(name, np.nan)
    count = len(next(iter(rays.values())).correct)
    return Figure(
        canvas,
        frame,
        f"How RayS converges on five defended networks: {count} random images each, without early stop. "
        "Distances before the first adversarial point count as 1.",
        notes=stand_in(inputs),
    )
