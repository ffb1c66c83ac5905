"""Figure 5.1, and how robust accuracy falls with the radius."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.panels import draw_image
from gauntlet.reporting.style import PAGE_WIDTH, look, new_figure
from gauntlet.works.matyasko2020.primal_dual.minimal_norms import NORMS, Victim, minimizers_of, victims_of

SHOWN = 10
"""Images of Figure 5.1."""

GLYPHS = {"linf": "$\\ell_\\infty$", "l2": "$\\ell_2$", "l1": "$\\ell_1$", "l0": "$\\ell_0$"}
OURS = {"linf": "pdpgd", "l2": "pdgd", "l1": "pdpgd", "l0": "pdpgd"}


def figure_5_1(inputs: ArtefactInputs) -> Figure:
    """Figure 5.1: ten digits, and what the primal-dual attacks make of them, by model and norm."""
    victims = list(victims_of(inputs).values())
    chosen = _chosen(victims)
    strips = 1 + len(victims) * len(NORMS)
    canvas, panels = new_figure(SHOWN, strips, width=PAGE_WIDTH, panel_height=0.72)
    for axes in panels.flat:
        axes.set_axis_off()
    kept = [victim.minimal.images() for victim in victims]
    for place, row in enumerate(chosen):
        draw_image(panels[0, place], kept[0]["clean"][row])
    _label(panels[0, 0], "original")
    records = []
    for number, (victim, images) in enumerate(zip(victims, kept, strict=True)):
        for position, norm in enumerate(NORMS):
            line = 1 + number * len(NORMS) + position
            procedure = f"{norm}-{OURS[norm]}"
            rows, column = victim.minimal.rows(procedure), minimizers_of(norm)[-1]
            sizes = victim.sizes(norm, column)
            for place, row in enumerate(chosen):
                draw_image(panels[line, place], images[procedure][row])
                records.append(
                    {
                        "model": victim.kind,
                        "norm": norm,
                        "index": int(rows["index"].iloc[row]),
                        "label": int(rows["label"].iloc[row]),
                        "prediction": int(rows["prediction"].iloc[row]),
                        "size": float(sizes[row]),
                    }
                )
            _label(panels[line, 0], f"{victim.kind}, {GLYPHS[norm]}")
    frame = pd.DataFrame(records)
    means = frame.groupby(["model", "norm"], sort=False, as_index=False)["size"].mean()
    listed = ", ".join(f"{kind} {norm} {value:.3g}" for kind, norm, value in means.to_numpy())
    return Figure(
        canvas,
        frame,
        f"{len(chosen)} randomly chosen test images that all three {victims[0].dataset} models classify correctly "
        "(top row), and the smallest perturbed images that PDGD (l2) and PDPGD (linf, l1, l0) found.",
        notes=(f"Mean sizes of the perturbations shown: {listed}.",),
    )


def _chosen(victims: list[Victim]) -> list[int]:
    """Draw rows among the kept ones that every model classifies correctly and every attack fooled."""
    usable = np.ones(victims[0].minimal.specification["keep_images"], dtype=bool)
    for victim in victims:
        for norm in NORMS:
            usable &= np.isfinite(victim.sizes(norm, minimizers_of(norm)[-1]))[: len(usable)]
    rows = usable.nonzero()[0]
    if len(rows) < 1:
        raise LookupError("no kept image was fooled by every attack on every model")
    generator = np.random.default_rng(0)
    return sorted(generator.choice(rows, min(SHOWN, len(rows)), replace=False).tolist())


def _label(axes: Axes, text: str) -> None:
    axes.text(-0.12, 0.5, text, transform=axes.transAxes, ha="right", va="center", fontsize=7)


def curves(inputs: ArtefactInputs) -> Figure:
    """Robust accuracy over the radius, one panel per norm, for the attacks that minimize the norm."""
    (victim,) = victims_of(inputs).values()
    canvas, panels = new_figure(2, 2, panel_height=2.3, letters=False)
    records = []
    names: dict[str, int] = {}
    for axes, norm in zip(panels.flat, NORMS, strict=True):
        for column in minimizers_of(norm):
            if not victim.runs(norm, column):
                continue
            name = "PDGD or PDPGD" if column.attack.key in ("pdgd", "pdpgd") else column.attack.name
            style = look(names.setdefault(name, len(names)))
            sizes = np.sort(victim.sizes(norm, column)[victim.correct])
            reached = sizes[np.isfinite(sizes)]
            total = len(victim.correct)
            share = 100 * (len(sizes) - np.arange(len(reached) + 1)) / total
            axes.plot([0, *reached], share, drawstyle="steps-post", label=name, markevery=0.15, **style)
            records += [
                {"norm": norm, "attack": name, "radius": radius, "robust_accuracy": value}
                for radius, value in zip([0, *reached], share, strict=True)
            ]
        best = victim.sizes(norm, minimizers_of(norm)[-1])[victim.correct]
        limit = 2 * np.quantile(best[np.isfinite(best)], 0.9) if np.isfinite(best).any() else 1
        unit = "pixels" if norm == "l0" else "pixel scale"
        axes.set(xlim=(0, limit), ylim=(0, 102), xlabel=f"{GLYPHS[norm]} radius ({unit})")
        for eps in victim.radii(norm):
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
        f"Robust accuracy of the {victim.kind} {victim.dataset} model over the radius under attacks that minimize the "
        f"norm, {len(victim.correct)} images. Grey lines: the radii of the tables.",
        notes=("The lowest curve is the strongest attack. Restarts as in the tables' last columns.",),
    )
