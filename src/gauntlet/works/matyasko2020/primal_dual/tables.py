"""Tables 5.1 to 5.8, the numbers of section 5.4's text, and the step sizes of the attacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gauntlet.analysis.bootstrap import mean
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import share
from gauntlet.analysis.published import beside_published, side_by_side
from gauntlet.analysis.results import Results
from gauntlet.analysis.robustness import strongest_at
from gauntlet.reporting.artefacts import Table
from gauntlet.works.matyasko2020.primal_dual.columns import (
    NORMS,
    Column,
    column,
    columns_of,
    left_out,
    minimizers_of,
    models_of,
    radii_of,
    samples_text,
)

LOST = "The body of this table is lost: it stands without published numbers."
SHOWN = (
    "In parentheses the published number where it survived; a dash stands for what was not run at this scale."
)
BEST_AVERAGE_PREVIOUS = "previous best attack (not named; FAB-100 by elimination)"
"""The published numbers' name of what must be the FAB column of section 5.4.1."""


def mean_norms(inputs: ArtefactInputs) -> Table:
    """Tables 5.1 and 5.5: mean size of the perturbations that succeed, by model, norm and attack."""
    models = models_of(inputs)
    frame = pd.DataFrame(
        [
            _mean_row(results, each)
            for norm in NORMS
            for each in minimizers_of(inputs, norm)
            for results in models
        ]
    )
    data = inputs.results.label("data")
    compared = beside_published(
        frame,
        _printed_means(inputs.published, data),
        on=["model", "norm", "attack"],
        keep=["label_confidence"],
    )
    units = {norm: float(unit) for norm, unit in inputs.settings["units"].items()}
    restarts = column(inputs, "linf", "FAB-100").restarts
    return Table(
        compared,
        f"Mean size of successful perturbations of correctly classified {data} images "
        f"({samples_text(models[0])}), by model.",
        notes=(
            SHOWN,
            f"{_scales(units)}l0 counts pixels. FAB, PDPGD and PDGD have {restarts} restarts here, 100 in the work. "
            "An asterisk marks the lowest of a model and norm; a percentage is the success rate where it is below "
            "100: such means leave the hardest images out.",
            "Printed headings and values are displaced in places; the column label_confidence of the csv says how "
            "sure a label is. ci_low and ci_high bound a 95 % bootstrap interval over images.",
            *left_out(inputs, models[0]),
        ),
        layout=_means_layout(
            compared,
            units,
            {
                (norm, each.attack): each.as_run(models[0])
                for norm in NORMS
                for each in minimizers_of(inputs, norm)
            },
        ),
    )


def _mean_row(results: Results, each: Column) -> dict[str, object]:
    runs, correct = len(each.of(results)) > 0, results.correct.to_numpy()
    sizes = each.sizes(results)[correct] if runs else np.zeros(0)
    interval = mean(sizes[np.isfinite(sizes)])
    return {
        "model": results.label("model"),
        "norm": each.norm,
        "attack": each.attack,
        "reproduced": interval.estimate,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "success_percent": 100 * np.isfinite(sizes).mean() if runs else np.nan,
        "images": int(correct.sum()) if runs else 0,
        "restarts": each.restarts or 1,
    }


def _printed_means(published: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Return the printed means in the units of the norms, those of the text under the attack they belong to."""
    chosen = published[
        (published["metric"] == "mean_norm_successful") & (published["dataset"] == dataset)
    ].copy()
    factor = chosen["unit"].str.extract(r"^1e-(\d)", expand=False)
    chosen["value"] *= 10.0 ** -factor.fillna("0").astype(float)
    chosen["attack"] = chosen["attack"].replace(BEST_AVERAGE_PREVIOUS, "FAB")
    chosen["label_confidence"] = chosen["label_confidence"].fillna("from the text")
    return chosen


def _means_layout(
    compared: pd.DataFrame, units: dict[str, float], shown: Mapping[tuple[str, str], str]
) -> pd.DataFrame:
    factor = 1 / compared["norm"].map(units).fillna(1.0)
    scaled = compared.assign(
        **{name: compared[name] * factor for name in ("reproduced", "published")},
        norm=[f"{norm} × {1 / units[norm]:.0f}" if norm in units else norm for norm in compared["norm"]],
    )
    grid = side_by_side(scaled, rows=["norm", "attack"], columns=["model"])
    best = compared.groupby(["model", "norm"])["reproduced"].transform("min")
    keys = zip(scaled["norm"], compared["attack"], compared["model"], strict=True)
    found = zip(compared["reproduced"] <= best, compared["success_percent"], strict=True)
    marks = dict(zip(keys, found, strict=True))
    for model in grid.columns[2:]:
        grid[model] = [
            _marked(cell, *marks.get((norm, attack, model), (False, np.nan)))
            for norm, attack, cell in zip(grid["norm"], grid["attack"], grid[model], strict=True)
        ]
    norms = dict(zip(scaled["norm"], compared["norm"], strict=True))
    pairs = zip(grid["norm"], grid["attack"], strict=True)
    return grid.assign(attack=[shown.get((norms[norm], attack), attack) for norm, attack in pairs])


def _marked(cell: str, best: bool, rate: float = np.nan) -> str:
    ours, space, printed = cell.partition(" ")
    failing = f" [{rate:.0f} %]" if rate < 99.95 else ""
    return f"{ours}{'*' if best else ''}{failing}{space}{printed}"


def _scales(units: dict[str, float]) -> str:
    written = [f"{norm} is multiplied by {1 / unit:.0f}" for norm, unit in units.items()]
    return f"{' and '.join(written)} as in the work; " if written else ""


def robust_accuracies(inputs: ArtefactInputs) -> Table:
    """Tables 5.2 to 5.4 and 5.6 to 5.8: robust accuracy of one model by norm, radius and attack."""
    results = inputs.results
    printed = _printed_accuracies(inputs)
    compared = beside_published(
        accuracies(inputs), printed, on=["norm", "eps", "attack"], keep=["label_confidence"]
    )
    return Table(
        compared,
        f"Robust accuracy in percent of the {results.label('model')} {results.label('data')} model "
        f"({samples_text(results)}); a misclassified image counts as not robust.",
        notes=(
            *((SHOWN,) if len(printed) else (LOST,)),
            "Each norm begins with its five radii (l0: pixels). An asterisk marks the lowest of a radius.",
            "Attacks are named by what was run here; the work's restarts are 1, 10 and 100 (DAA: 1 and 50), and the "
            "csv names them so. PGD and DAA take the best step size for each radius and number of restarts; attacks "
            "that minimize the norm answer for all radii at once.",
            "PGD with the margin loss (one run) is not the work's: it does not stall where the softmax saturates.",
            "ci_low and ci_high bound the 95 % Wilson interval over images; label_confidence says how sure the "
            "place of a printed number is.",
            *left_out(inputs, results),
        ),
        layout=_accuracy_layout(
            compared,
            {norm: radii_of(results, norm) for norm in NORMS},
            {(norm, each.name): each.as_run(results) for norm in NORMS for each in columns_of(inputs, norm)},
        ),
    )


def accuracies(inputs: ArtefactInputs) -> pd.DataFrame:
    """Return robust accuracies in percent with their Wilson intervals, one row per norm, radius and column."""
    rows = []
    for norm in NORMS:
        for each in columns_of(inputs, norm):
            attack = each.of(inputs.results)
            for eps in radii_of(inputs.results, norm):
                row: dict[str, object] = {"norm": norm, "eps": eps, "attack": each.name}
                if len(attack):
                    chosen, robust = strongest_at(attack, eps, restarts=each.restarts)
                    accuracy = share(robust).scaled(100)
                    row |= {
                        "reproduced": accuracy.estimate,
                        "ci_low": accuracy.low,
                        "ci_high": accuracy.high,
                        "restarts": each.restarts or 1,
                        "radius_over_step": next(iter(chosen.values("part")), np.nan),
                        "images": len(robust),
                    }
                rows.append(row)
    return pd.DataFrame(rows)


def _printed_accuracies(inputs: ArtefactInputs) -> pd.DataFrame:
    """Name printed columns as ours; one whose number of restarts is unclear is named by its place."""
    published = inputs.published
    if published.empty:
        return pd.DataFrame(columns=["norm", "eps", "attack", "value", "label_confidence"])
    restarted = {each.attack for norm in NORMS for each in columns_of(inputs, norm) if each.restarts}

    def label(row: pd.Series) -> str:
        if pd.notna(row["restarts"]):
            return f"{row['attack']}-{int(row['restarts'])}"
        unclear = " or " in row["attack"] or row["attack"] in restarted
        return f"{row['attack']}? (column {row['source_col']})" if unclear else str(row["attack"])

    return published.assign(attack=published.apply(label, axis=1))


def _accuracy_layout(
    compared: pd.DataFrame, radii: Mapping[str, list[float]], shown: Mapping[tuple[str, str], str]
) -> pd.DataFrame:
    """Lay out a block per norm, which begins with its radii: they differ between norms.

    Printed numbers at other radii are left out; they are in the csv.
    """
    rows = []
    for norm in NORMS:
        rows.append([norm, "radius", *(f"{eps:.3g}" for eps in radii[norm])])
        block = compared[compared["norm"] == norm]
        by_radius = [
            {row.attack: row for row in block[np.isclose(block["eps"], eps)].itertuples()}
            for eps in radii[norm]
        ]
        best = [np.nanmin([row.reproduced for row in found.values()]) for found in by_radius]
        for attack in dict.fromkeys(name for found in by_radius for name in found):
            cells = [
                _accuracy_cell(found.get(attack), lowest)
                for found, lowest in zip(by_radius, best, strict=True)
            ]
            rows.append([norm, shown.get((norm, str(attack)), str(attack)), *cells])
    return pd.DataFrame(rows, columns=["norm", "attack", *(f"radius {number}" for number in range(1, 6))])


def _accuracy_cell(row: Any, lowest: float) -> str:
    if row is None:
        return ""
    mark = "*" if row.reproduced <= lowest + 1e-9 else ""
    ours = "–" if np.isnan(row.reproduced) else f"{row.reproduced:.1f}{mark}"
    return ours if np.isnan(row.published) else f"{ours} ({row.published:.1f})"


def text_numbers(inputs: ArtefactInputs) -> Table:
    """Section 5.4: clean accuracies of the six models, and success rates of two attacks that fail."""
    rows = []
    for results in models_of(inputs):
        data, model = results.label("data"), results.label("model")
        history = inputs.model(data=data, model=model).history
        base = {"dataset": data, "model": model, "quantity": "clean accuracy"}
        whole = 100 * history["test_accuracy"].dropna().iloc[-1]
        rows.append(base | {"images": "full test set", "reproduced": whole})
        rows.append(base | {"images": "first images", **_percentage(results.correct.to_numpy())})
    masked = inputs.results.where(data="MNIST", model="linf-AT")
    for norm, name in (("l2", "DF"), ("l1", "SparseFool")):
        sizes = column(inputs, norm, name).sizes(masked)
        found = np.isfinite(sizes[masked.correct.to_numpy()])
        base = {"dataset": "MNIST", "model": "linf-AT", "quantity": f"success of {norm} {name}"}
        rows.append(base | {"images": "first images", **_percentage(found)})
    compared = beside_published(
        pd.DataFrame(rows),
        _printed_text(inputs.published),
        on=["dataset", "model", "quantity", "images"],
    )
    return Table(
        compared,
        f"Percentages of section 5.4: accuracy without an attack on the whole test set and on the first images "
        f"(1000 in the work, {len(masked.correct)} of MNIST here), and success rates on the linf-AT MNIST model.",
        notes=(SHOWN, "The accuracy on the whole test set is that of the last training epoch."),
        layout=side_by_side(compared, rows=["dataset", "quantity", "images"], columns=["model"], decimals=2),
    )


def _percentage(hits: np.ndarray) -> dict[str, float]:
    return dict(zip(("reproduced", "ci_low", "ci_high"), share(hits).scaled(100), strict=True))


def _printed_text(published: pd.DataFrame) -> pd.DataFrame:
    chosen = published[published["metric"].isin(["clean_accuracy", "attack_success_rate"])].copy()
    clean = chosen["metric"] == "clean_accuracy"
    chosen["quantity"] = np.where(
        clean, "clean accuracy", "success of " + chosen["norm"].fillna("") + " " + chosen["attack"].fillna("")
    )
    whole = chosen["subset"].str.startswith("full")
    return chosen.assign(images=np.where(whole, "full test set", "first images"))


def step_sizes(inputs: ArtefactInputs) -> Table:
    """Algorithms 2 and 3 as run: iterations, starts, and what each first step size led to."""
    rows = []
    game = inputs.results.where(attack=["PDGD", "PDPGD", "PDPGD, gradient"])
    for _, results in game.groups("evaluation", "procedure"):
        entry, norm = results.settings, results.label("norm")
        found = results.rows[results.correct.to_numpy()]
        for candidate in entry["step_sizes"]:
            sizes = found[f"{norm}_at_{candidate:g}"].to_numpy(dtype=float)
            reached = np.isfinite(sizes)
            rows.append(
                {
                    "dataset": results.label("data"),
                    "model": results.label("model"),
                    "norm": norm,
                    "algorithm": "2 (PDGD)" if results.label("attack") == "PDGD" else "3 (PDPGD)",
                    "direction": "sign"
                    if norm == "linf" and entry["direction"] != "gradient"
                    else "gradient",
                    "iterations": entry["steps"],
                    "restarts": entry["restarts"],
                    "start_radius": entry["start_radius"],
                    "updates": entry["updates"],
                    "step_size": candidate,
                    "success_percent": 100 * reached.mean(),
                    "mean_norm": sizes[reached].mean() if reached.any() else np.nan,
                    "chosen": bool(np.isclose(found["step_size"].iloc[0], candidate)),
                }
            )
    frame = pd.DataFrame(rows)
    return Table(
        frame,
        "Algorithms 2 and 3 as run: mean norm and success of one run with each first step size, and the choice for "
        "all restarts, which is the step size with the highest success rate and then the smallest mean.",
        notes=(
            "The work chooses among 0.01, 0.05, 0.1, 0.5 and 1 without listing the choices. The step for linf "
            "follows the sign of the gradient; runs along the gradient itself are given where they were made.",
            "No run is fine-tuned. The choice is made for each chunk of images; shown is that of the first.",
        ),
        layout=_step_layout(frame),
    )


def _step_layout(frame: pd.DataFrame) -> pd.DataFrame:
    keys = ["dataset", "model", "norm", "algorithm", "direction"]
    sizes = sorted(frame["step_size"].unique())
    rows = []
    for values, block in frame.groupby(keys, sort=False):
        cells = dict.fromkeys(sizes, "–")
        for size, mean_norm, rate, chosen in zip(
            block["step_size"], block["mean_norm"], block["success_percent"], block["chosen"], strict=True
        ):
            cells[size] = _marked("–" if np.isnan(mean_norm) else f"{mean_norm:.3g}", chosen, rate)
        rows.append([*values, *cells.values()])
    return pd.DataFrame(rows, columns=[*keys, *(f"step {size:g}" for size in sizes)])
