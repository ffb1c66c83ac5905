"""Figure 5.1, and how robust accuracy falls with the radius."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.results import Results
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.panels import draw_image
from gauntlet.reporting.style import PAGE_WIDTH, look, new_figure
from gauntlet.works.matyasko2020.primal_dual.columns import (
    NORMS,
    OURS,
    Column,
    minimizers_of,
    models_of,
    radii_of,
    run_of,
)

SHOWN = 10
"""Images of Figure 5.1."""

GLYPHS = {"linf": "$\\ell_\\infty$", "l2": "$\\ell_2$", "l1": "$\\ell_1$", "l0": "$\\ell_0$"}


def figure_5_1(inputs: ArtefactInputs) -> Figure:
    """Figure 5.1: ten digits, and what the primal-dual attacks make of them, by model and norm."""
    models = models_of(inputs)
    ours = [minimizers_of(inputs, norm)[-1] for norm in NORMS]
    chosen = _chosen(models, ours)
    canvas, panels = new_figure(SHOWN, 1 + len(models) * len(NORMS), width=PAGE_WIDTH, panel_height=0.72)
    for axes in panels.flat:
        axes.set_axis_off()
    for place, row in enumerate(chosen):
        draw_image(panels[0, place], models[0].table.images()["clean"][row])
    _label(panels[0, 0], "original")
    records = []
    strips = [(results, each) for results in models for each in ours]
    for line, (results, each) in enumerate(strips, 1):
        attack, model = each.of(results), results.label("model")
        images, sizes = results.table.images()[attack.label("procedure")], each.sizes(results)
        for place, row in enumerate(chosen):
            draw_image(panels[line, place], images[row])
            shown = attack.rows.iloc[row]
            records.append(
                {
                    "model": model,
                    "norm": each.norm,
                    **{name: int(shown[name]) for name in ("index", "label", "prediction")},
                    "size": float(sizes[row]),
                }
            )
        _label(panels[line, 0], f"{model}, {GLYPHS[each.norm]}")
    frame = pd.DataFrame(records)
    means = frame.groupby(["model", "norm"], sort=False, as_index=False)["size"].mean()
    listed = ", ".join(f"{kind} {norm} {value:.3g}" for kind, norm, value in means.to_numpy())
    return Figure(
        canvas,
        frame,
        f"{len(chosen)} randomly chosen test images that all three {inputs.results.label('data')} models classify "
        "correctly (top row), and the smallest perturbed images that PDGD (l2) and PDPGD (linf, l1, l0) found.",
        notes=(f"Mean sizes of the perturbations shown: {listed}.",),
    )


def _chosen(models: list[Results], ours: list[Column]) -> list[int]:
    """Draw rows among the kept ones that every model classifies correctly and every attack fooled."""
    kept = models[0].table.specification["keep_images"]
    fooled = [np.isfinite(each.sizes(results))[:kept] for results in models for each in ours]
    rows = np.logical_and.reduce(fooled).nonzero()[0]
    if len(rows) < 1:
        raise LookupError("no kept image was fooled by every attack on every model")
    generator = np.random.default_rng(0)
    return sorted(generator.choice(rows, min(SHOWN, len(rows)), replace=False).tolist())


def _label(axes: Axes, text: str) -> None:
    axes.text(-0.12, 0.5, text, transform=axes.transAxes, ha="right", va="center", fontsize=7)


def curves(inputs: ArtefactInputs) -> Figure:
    """Robust accuracy over the radius, one panel per norm, for the attacks that minimize the norm."""
    results = inputs.results
    correct = results.correct.to_numpy()
    canvas, panels = new_figure(2, 2, panel_height=2.3, letters=False)
    records = []
    names: dict[str, int] = {}
    for axes, norm in zip(panels.flat, NORMS, strict=True):
        for each in run_of(minimizers_of(inputs, norm), results):
            name = "PDGD or PDPGD" if each.attack == OURS[norm] else each.attack
            style = look(names.setdefault(name, len(names)))
            sizes = np.sort(each.sizes(results)[correct])
            reached = sizes[np.isfinite(sizes)]
            share = 100 * (len(sizes) - np.arange(len(reached) + 1)) / len(correct)
            axes.plot([0, *reached], share, drawstyle="steps-post", label=name, markevery=0.15, **style)
            records += [
                {"norm": norm, "attack": name, "radius": radius, "robust_accuracy": value}
                for radius, value in zip([0, *reached], share, strict=True)
            ]
        best = minimizers_of(inputs, norm)[-1].sizes(results)[correct]
        limit = 2 * np.quantile(best[np.isfinite(best)], 0.9) if np.isfinite(best).any() else 1
        unit = "pixels" if norm == "l0" else "pixel scale"
        axes.set(xlim=(0, limit), ylim=(0, 102), xlabel=f"{GLYPHS[norm]} radius ({unit})")
        for eps in radii_of(results, norm):
            axes.axvline(eps, color="0.8", linewidth=0.8, zorder=0)
    for axes in panels[:, 0]:
        axes.set_ylabel("robust accuracy (%)")
    handles = {
        label: handle
        for axes in panels.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    canvas.legend(list(handles.values()), list(handles), loc="outside upper left", ncols=5)
    return Figure(
        canvas,
        pd.DataFrame(records),
        f"Robust accuracy of the {results.label('model')} {results.label('data')} model over the radius under "
        f"attacks that minimize the norm, {len(correct)} images. Gray lines: the radii of the tables.",
        notes=("The lowest curve is the strongest attack. Restarts as in the tables' last columns.",),
    )
