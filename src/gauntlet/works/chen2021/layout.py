"""Shapes of the tables and figures of chapters 2 and 3: a column per metric, curves with their published ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from gauntlet.analysis.bootstrap import mean
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import Interval, share
from gauntlet.analysis.published import side_by_side
from gauntlet.analysis.queries import queries_to_success
from gauntlet.analysis.results import Results
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.panels import draw_cdf
from gauntlet.reporting.style import look, new_figure, shared_legend


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
        label = f"published, at {ends['query_limit'].astype(int).max():,} queries"
        mark_published_ends(drawn, list(costs), heights, label)
        place = results.label("dataset")
        drawn.set_title(role if place == dataset.lower().replace("-", "") else f"{role}'s role: {place}")
        drawn.set(xlabel="queries", ylabel="success rate, %", ylim=(0, 103))
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


def one_column_per_metric(
    comparison: pd.DataFrame, *, rows: Sequence[str], metrics: Mapping[str, tuple[str, int]], group: str = ""
) -> pd.DataFrame:
    """Return cells ``reproduced (published)``, methods below each other and metrics side by side.

    Args:
        comparison: what `beside_published` returned, with a column ``metric``.
        rows: key columns that name the rows.
        metrics: heading and digits after the point by metric, in order; others are left out.
        group: column whose values span several metrics; none for a single group.
    """
    keys, laid = list(rows), {}
    for name in comparison[group].unique() if group else [""]:
        for metric, (heading, digits) in metrics.items():
            part = comparison[comparison["metric"] == metric]
            part = part[part[group] == name] if group else part
            if len(part):
                column = side_by_side(part, rows=keys, columns=["metric"], decimals=digits)
                laid[(name, heading)] = column.set_index(keys)[metric]
    order = comparison[keys].drop_duplicates()
    cells = pd.concat(list(laid.values()), axis=1, keys=range(len(laid)))
    grid = order.reset_index(drop=True).join(cells, on=keys).fillna("")
    names = [*(("", key) for key in keys), *laid]
    grid.columns = pd.MultiIndex.from_tuples(names) if group else pd.Index([each for _, each in names])
    return grid


def mark_published_ends(axes: Axes, series: Sequence[str], ends: Mapping[str, float], label: str) -> None:
    """Put the published end of each curve on the right edge, as a hollow marker of the curve's own kind.

    Args:
        axes: holds the curves, drawn in the order of ``series``.
        series: their names.
        ends: published heights by name; curves without one get no marker.
        label: what the legend says of hollow markers.
    """
    edge = axes.get_xlim()[1]
    hollow: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "white", "markeredgewidth": 1.3}
    for number, name in enumerate(series):
        if name in ends:
            axes.plot(
                [edge], [ends[name]], **{**look(number), **hollow}, markersize=7, zorder=5, clip_on=False
            )
    axes.plot([], [], marker="o", color="0.25", label=label, **hollow)
