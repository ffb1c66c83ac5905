"""Shapes of the tables and figures of chapters 2 and 3: a column per metric, curves with their published ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gauntlet.analysis.bootstrap import mean
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import Interval, share
from gauntlet.analysis.queries import queries_to_success
from gauntlet.analysis.results import Results
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.panels import draw_cdf, mark_published_ends
from gauntlet.reporting.style import new_figure, shared_legend


def cell(keys: Mapping[str, Any], metric: str, interval: Interval) -> dict[str, Any]:
    """Return one number of a table with its interval."""
    estimate, low, high = interval
    return {**keys, "metric": metric, "reproduced": estimate, "ci_low": low, "ci_high": high}


def percentage(hits: pd.Series) -> Interval:
    """Return the share of true entries in percent, with its Wilson interval."""
    return share(hits).scaled(100)


def of_successes(values: pd.Series, statistic: Callable[..., Interval] = mean) -> Interval:
    """Return a statistic of the entries that are there; NaN where there is none."""
    return statistic(values.dropna())


def with_names(published: pd.DataFrame) -> pd.DataFrame:
    """Give published rows the names of their attacks here; leave out cells that hold a dash in print."""
    published = published.dropna(subset="value")
    names = [_name(*row) for row in published[["attack", "variant"]].itertuples(index=False)]
    return published.assign(method=names)


def _name(attack: str, variant: Any) -> str:
    """Return the name of a published attack; FW comes in two variants, by how directions are drawn."""
    if not attack.startswith("FW"):
        return {"Nattack": "NAttack"}.get(attack, attack)
    option = re.search("sphere|gaussian", str(variant).lower())
    return f"FW, {option[0].replace('gauss', 'Gauss')}" if option else "FW"


def stand_in(inputs: ArtefactInputs) -> tuple[str, ...]:
    """Return the note on networks and data that stand in for the work's, if there is one."""
    return (str(inputs.settings["stand_in"]),) if inputs.settings.get("stand_in") else ()


def population(results: Results, count: int, what: str = "correctly classified images") -> str:
    """Return how many images of which data set, and which network, an artefact shows."""
    model = results.table.specification["model"]
    return f"{count} {what} of {results.label('dataset')}, network {model}"


def success_curves(inputs: ArtefactInputs, panel: str, methods: Sequence[str], caption: str) -> Figure:
    """Draw success rate against queries, one panel per evaluation and one line per attack.

    Args:
        inputs: with published end points, by data set and model.
        panel: label that names the panels; the labels ``data`` and ``network`` find their published end points.
        methods: names of the attacks; those that an evaluation has not are left out.
        caption: of the figure.
    """
    panels = dict(inputs.results.where(method=list(methods)).groups(panel))
    canvas, axes = new_figure(2, -(-len(panels) // 2), panel_height=2.6)
    published = with_names(inputs.published)
    frames, samples = [], []
    for drawn, (role, results) in zip(axes.flat, panels.items(), strict=False):
        limit = results.setting("budget")
        costs = {name: queries_to_success(each) for name, each in results.groups("method")}
        corners = draw_cdf(drawn, costs, limit=limit)
        dataset, network = results.label("data"), results.label("network")
        ends = published[(published["dataset"] == dataset) & published["method"].isin(costs)]
        ends = ends[ends["model"] == network]
        heights = dict(zip(ends["method"], ends["value"].astype(float), strict=True))
        drawn.set(xlabel="queries", ylabel="success rate, %", ylim=(0, 103))
        label = f"published, at {ends['query_limit'].astype(int).max():,} queries"
        mark_published_ends(drawn, list(costs), heights, label)
        place = results.label("dataset")
        drawn.set_title(role if place == dataset.lower().replace("-", "") else f"{role}'s role: {place}")
        frames.append(corners.assign(role=role, dataset=place, published=np.nan, limit=limit))
        frames.append(
            pd.DataFrame(
                {
                    "series": ends["method"],
                    "role": role,
                    "dataset": dataset,
                    "published": ends["value"].astype(float),
                    "limit": ends["query_limit"],
                }
            )
        )
        count = len(next(iter(costs.values())))
        samples.append(f"{population(results, count)}, eps = {results.setting('eps'):.4g}")
    shared_legend(canvas, axes.flat[0], columns=5)
    frame = pd.concat([each.dropna(axis="columns", how="all") for each in frames], ignore_index=True)
    return Figure(canvas, frame, f"{caption} {'; '.join(samples)}.", notes=stand_in(inputs))
