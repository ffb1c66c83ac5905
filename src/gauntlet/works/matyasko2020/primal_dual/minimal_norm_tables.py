"""Tables 5.1 to 5.8, the numbers of section 5.4's text, and what the attacks' step sizes were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gauntlet.reporting.artefacts import Table
from gauntlet.reporting.comparison import beside_published, side_by_side
from gauntlet.reporting.inputs import ArtefactInputs
from gauntlet.reporting.statistics import mean, share
from gauntlet.works.matyasko2020.primal_dual.minimal_norms import (
    ATTACKS,
    NORMS,
    Column,
    Victim,
    column_named,
    columns_of,
    minimizers_of,
    victims_of,
)

LOST = "The body of this table is lost: it stands without published numbers."
SHOWN = (
    "In parentheses the published number where it survived; a dash stands for what was not run at this scale."
)
BEST_AVERAGE_PREVIOUS = "previous best attack (not named; FAB-100 by elimination)"
"""How the published numbers of section 5.4.1 name what must be the FAB column."""


def mean_norms(inputs: ArtefactInputs) -> Table:
    """Tables 5.1 and 5.5: mean size of the perturbations that succeed, by model, norm and attack."""
    victims = list(victims_of(inputs).values())
    frame = pd.DataFrame([_mean_row(victim, norm, column) for victim, norm, column in _minimizing(victims)])
    printed = _printed_means(inputs.published, victims[0].dataset)
    compared = _with_confidence(
        beside_published(frame, printed, on=["model", "norm", "attack"]), printed, ["model", "norm", "attack"]
    )
    units = {norm: float(unit) for norm, unit in inputs.settings.get("units", {}).items()}
    restarts = _restarts_note(victims[0], [column_named("linf", "FAB-100")])
    return Table(
        compared,
        f"Mean size of successful perturbations of correctly classified {victims[0].dataset} images (at this scale "
        f"{victims[0].minimal.specification['dataset']}, the first {len(victims[0].correct)} test images), by model.",
        notes=(
            SHOWN,
            f"{_scales(units)}l0 counts pixels. FAB, PDPGD and PDGD have {restarts}. An asterisk marks the lowest of "
            "a model and norm; a percentage is the success rate where it is below 100: such means leave the "
            "hardest images out.",
            "Printed headings and values are displaced in places; the column label_confidence of the csv says how "
            "sure a label is. ci_low and ci_high bound a 95 % bootstrap interval over images.",
            *_missing(victims[0]),
        ),
        layout=_means_layout(compared, units),
    )


def _minimizing(victims: Sequence[Victim]) -> list[tuple[Victim, str, Column]]:
    return [
        (victim, norm, column) for norm in NORMS for column in minimizers_of(norm) for victim in victims
    ]  # fmt: skip


def _mean_row(victim: Victim, norm: str, column: Column) -> dict[str, object]:
    row: dict[str, object] = {"model": victim.kind, "norm": norm, "attack": column.attack.name}
    runs = victim.runs(norm, column)
    sizes = victim.sizes(norm, column)[victim.correct] if runs else np.zeros(0)
    interval = mean(sizes[np.isfinite(sizes)])
    return row | {
        "reproduced": interval.estimate,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "success_percent": 100 * np.isfinite(sizes).mean() if len(sizes) else np.nan,
        "images": int(victim.correct.sum()) if runs else 0,
        "restarts": victim.restarts(column) or 1,
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


def _means_layout(compared: pd.DataFrame, units: dict[str, float]) -> pd.DataFrame:
    factor = 1 / compared["norm"].map(units).fillna(1.0)
    scaled = compared.assign(
        **{name: compared[name] * factor for name in ("reproduced", "published")},
        norm=[f"{norm} × {1 / units[norm]:.0f}" if norm in units else norm for norm in compared["norm"]],
    )
    grid = side_by_side(scaled, rows=["norm", "attack"], columns=["model"])
    best = compared.groupby(["model", "norm"])["reproduced"].transform("min")
    keys = zip(scaled["norm"], compared["attack"], compared["model"], strict=True)
    marks = dict(zip(keys, compared["reproduced"] <= best, strict=True))
    keys = zip(scaled["norm"], compared["attack"], compared["model"], strict=True)
    rates = dict(zip(keys, compared["success_percent"], strict=True))
    for model in grid.columns[2:]:
        grid[model] = [
            _marked(cell, bool(marks.get((norm, attack, model))), rates.get((norm, attack, model), np.nan))
            for norm, attack, cell in zip(grid["norm"], grid["attack"], grid[model], strict=True)
        ]
    return grid


def _marked(cell: str, best: bool, rate: float = np.nan) -> str:
    ours, space, printed = cell.partition(" ")
    failing = f" [{rate:.0f} %]" if rate < 99.95 else ""
    return f"{ours}{'*' if best else ''}{failing}{space}{printed}"


def _scales(units: dict[str, float]) -> str:
    written = [f"{norm} is multiplied by {1 / unit:.0f}" for norm, unit in units.items()]
    return f"{' and '.join(written)} as in the work; " if written else ""


def robust_accuracies(inputs: ArtefactInputs) -> Table:
    """Tables 5.2 to 5.4 and 5.6 to 5.8: robust accuracy of one model by norm, radius and attack."""
    (victim,) = victims_of(inputs).values()
    frame = accuracies(victim)
    printed = _printed_accuracies(inputs.published)
    keys = ["norm", "eps", "attack"]
    compared = _with_confidence(beside_published(frame, printed, on=keys), printed, keys)
    ladder = [column_named("linf", label) for label in ("PGD-10", "PGD-100", "DAA-50")]
    return Table(
        compared,
        f"Robust accuracy in percent of the {victim.kind} {victim.dataset} model (at this scale "
        f"{victim.minimal.specification['dataset']}, the first {len(victim.correct)} test images); "
        "a misclassified image counts as not robust.",
        notes=(
            *((SHOWN,) if len(printed) else (LOST,)),
            "Each norm begins with its five radii (l0: pixels). An asterisk marks the lowest of a radius.",
            f"At this scale {_restarts_note(victim, ladder, named=True)}. PGD and DAA take the best step size for each "
            "radius and number of restarts; attacks that minimize the norm answer for all radii at once.",
            "PGD with the margin loss (one run) is not the work's: it does not stall where the softmax saturates.",
            "ci_low and ci_high bound the 95 % Wilson interval over images; label_confidence says how sure the "
            "place of a printed number is.",
            *_missing(victim),
        ),
        layout=_accuracy_layout(compared, {norm: victim.radii(norm) for norm in NORMS}),
    )


def accuracies(victim: Victim) -> pd.DataFrame:
    """Return robust accuracies in percent with their Wilson intervals, one row per norm, radius and column."""
    rows = []
    for norm in NORMS:
        radii = victim.radii(norm)
        for column in columns_of(norm):
            runs = victim.runs(norm, column)
            standing = victim.stands(norm, column) if runs else None
            divisors = victim.divisors(norm, column) if runs else [np.nan] * len(radii)
            for number, (eps, divisor) in enumerate(zip(radii, divisors, strict=True)):
                row: dict[str, object] = {"norm": norm, "eps": eps, "attack": column.label}
                if standing is not None:
                    accuracy = share(standing[:, number]).scaled(100)
                    row |= {
                        "reproduced": accuracy.estimate,
                        "ci_low": accuracy.low,
                        "ci_high": accuracy.high,
                        "restarts": victim.restarts(column) or 1,
                        "radius_over_step": divisor,
                        "images": len(standing),
                    }
                rows.append(row)
    return pd.DataFrame(rows)


def _printed_accuracies(published: pd.DataFrame) -> pd.DataFrame:
    """Name printed columns as ours; one whose number of restarts is unclear is named by its place."""
    if published.empty:
        return pd.DataFrame(columns=["norm", "eps", "attack", "value", "label_confidence"])
    restarted = {attack.name for attacks in ATTACKS.values() for attack in attacks if attack.restarts}

    def label(row: pd.Series) -> str:
        if pd.notna(row["restarts"]):
            return f"{row['attack']}-{int(row['restarts'])}"
        unclear = " or " in row["attack"] or row["attack"] in restarted
        return f"{row['attack']}? (column {row['source_col']})" if unclear else str(row["attack"])

    return published.assign(attack=published.apply(label, axis=1))


def _with_confidence(compared: pd.DataFrame, printed: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Add how sure the label of each printed number is."""
    found = beside_published(
        compared[keys].assign(reproduced=np.nan, row=range(len(compared))),
        printed.assign(sure=printed["label_confidence"].map(_LEVELS)),
        on=keys,
        value="sure",
    )
    names = {number: name for name, number in _LEVELS.items()}
    return compared.assign(label_confidence=found.sort_values("row")["published"].map(names).to_numpy())


_LEVELS = {"ambiguous": 0, "low": 1, "medium": 2, "high": 3, "from the text": 4}


def _accuracy_layout(compared: pd.DataFrame, radii: Mapping[str, list[float]]) -> pd.DataFrame:
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
            rows.append([norm, str(attack), *cells])
    return pd.DataFrame(rows, columns=["norm", "attack", *(f"radius {number}" for number in range(1, 6))])


def _accuracy_cell(row: Any, lowest: float) -> str:
    if row is None:
        return ""
    mark = "*" if row.reproduced <= lowest + 1e-9 else ""
    ours = "–" if np.isnan(row.reproduced) else f"{row.reproduced:.1f}{mark}"
    return ours if np.isnan(row.published) else f"{ours} ({row.published:.1f})"


def _restarts_note(victim: Victim, columns: list[Column], *, named: bool = False) -> str:
    if not named:
        return f"{victim.restarts(columns[0])} restarts here, 100 in the work"
    return ", ".join(f"-{column.restarts} means {victim.restarts(column)} restarts" for column in columns)


def _missing(victim: Victim) -> tuple[str, ...]:
    """Say which attacks are left out at this scale."""
    absent = {
        column.attack.name
        for norm in NORMS
        for column in minimizers_of(norm)
        if not victim.runs(norm, column)
    }
    return (f"Left out at this scale: {', '.join(sorted(absent))}.",) if absent else ()


def text_numbers(inputs: ArtefactInputs) -> Table:
    """Section 5.4: clean accuracies of the six models, and success rates of two attacks that fail."""
    rows = []
    victims = victims_of(inputs)
    for name, victim in victims.items():
        history = inputs.history(f"matyasko-{name}")
        whole = history["test_accuracy"].dropna().iloc[-1]
        few = share(victim.correct).scaled(100)
        base = {"dataset": victim.dataset, "model": victim.kind, "quantity": "clean accuracy"}
        rows.append(base | {"images": "full test set", "reproduced": 100 * whole})
        rows.append(
            base
            | {"images": "first images", "reproduced": few.estimate, "ci_low": few.low, "ci_high": few.high}
        )
    masked = victims["mnist-linf-at"]
    for norm, label in (("l2", "DF"), ("l1", "SparseFool")):
        found = np.isfinite(masked.sizes(norm, column_named(norm, label))[masked.correct])
        rate = share(found).scaled(100)
        rows.append(
            {
                "dataset": masked.dataset,
                "model": masked.kind,
                "quantity": f"success of {norm} {label}",
                "images": "first images",
                "reproduced": rate.estimate,
                "ci_low": rate.low,
                "ci_high": rate.high,
            }
        )
    keys = ["dataset", "model", "quantity", "images"]
    compared = beside_published(pd.DataFrame(rows), _printed_text(inputs.published), on=keys)
    return Table(
        compared,
        f"Percentages of section 5.4: accuracy without an attack on the whole test set and on the first images "
        f"(1000 in the work, {len(masked.correct)} of MNIST here), and success rates on the linf-AT MNIST model.",
        notes=(SHOWN, "The accuracy on the whole test set is that of the last training epoch."),
        layout=side_by_side(compared, rows=["dataset", "quantity", "images"], columns=["model"], decimals=2),
    )


def _printed_text(published: pd.DataFrame) -> pd.DataFrame:
    chosen = published[published["metric"].isin(["clean_accuracy", "attack_success_rate"])].copy()
    clean = chosen["metric"] == "clean_accuracy"
    chosen["quantity"] = np.where(
        clean, "clean accuracy", "success of " + chosen["norm"].fillna("") + " " + chosen["attack"].fillna("")
    )
    whole = chosen["subset"].str.startswith("full")
    return chosen.assign(images=np.where(whole, "full test set", "first images"))


def step_sizes(inputs: ArtefactInputs) -> Table:
    """How Algorithms 2 and 3 were run: iterations, starts, and what each first step size led to."""
    rows = []
    for victim in victims_of(inputs).values():
        for name, entry in victim.minimal.specification["procedures"].items():
            if entry["name"] not in ("pdgd", "pdpgd"):
                continue
            norm = name.split("-")[0]
            found = victim.minimal.rows(name)[victim.correct]
            sign = norm == "linf" and entry["direction"] != "gradient"
            for candidate in entry["step_sizes"]:
                sizes = found[f"{norm}_at_{candidate:g}"].to_numpy(dtype=float)
                reached = np.isfinite(sizes)
                rows.append(
                    {
                        "dataset": victim.dataset,
                        "model": victim.kind,
                        "norm": norm,
                        "algorithm": "2 (PDGD)" if entry["name"] == "pdgd" else "3 (PDPGD)",
                        "direction": "sign" if sign else "gradient",
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
