"""Figures 4.1 to 4.5: digits that become each other, the critic, three sheets of images, and the study's form."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from gauntlet.analysis.bootstrap import mean
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.published import beside_published
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.diagrams import flow_chart
from gauntlet.reporting.panels import draw_image
from gauntlet.reporting.style import PAGE_WIDTH, new_figure
from gauntlet.works.matyasko2020.critic.annotation_form import COLUMNS, ROWS, form_page

SHEETS = {"clean": "test images", "boundary": "at the boundary", "sure": "confident"}


def critic(inputs: ArtefactInputs) -> Figure:
    """Figure 4.3: which images the critic is given, and what it is asked."""
    return flow_chart(
        {
            "images": (0.1, 0.75, "natural images\nwith their labels"),
            "attack": (0.4, 0.25, "high-confidence attack A\non the classifier f"),
            "attacked": (0.68, 0.25, "adversarial images A(x; t)\nwith their targets"),
            "critic": (0.68, 0.75, "critic D\nk outputs"),
            "answer": (0.93, 0.75, "natural or\nadversarial,\nfor the class"),
        },
        [
            ("images", "critic"),
            ("images", "attack"),
            ("attack", "attacked"),
            ("attacked", "critic"),
            ("critic", "answer"),
        ],
        "The critic: natural images are judged by the output of their class, adversarial ones by that of the class "
        "they were made for. The classifier learns to have them pass for natural ones.",
    )


def exchange(inputs: ArtefactInputs) -> Figure:
    """Figure 4.1: two test images and their confident adversarial versions, each with the other's class."""
    first, second = inputs.settings["digits"]
    grid = _grid(inputs)
    canvas, panels = new_figure(4, panel_height=2.0)
    records = []
    for place, (digit, target) in enumerate(((first, second), (second, first))):
        for column, aim in ((2 * place, digit), (2 * place + 1, target)):
            row = grid[(grid["label"] == digit) & (grid["target"] == aim)].iloc[0]
            words = "original" if aim == digit else f"towards {target}"
            title = f"{words}\n{row['prediction']}, {100 * row['confidence']:.0f} %"
            draw_image(panels[0, column], _image(inputs, row), title)
            records.append(row)
    return Figure(
        canvas,
        pd.DataFrame(records).drop(columns="place"),
        f"Test images of the digits {first} and {second}, and their C&W l2 adversarial versions towards each other "
        "with a confidence of at least 95 %, on the critic-trained MLP.",
        notes=(_confidences(inputs),),
    )


def targets(inputs: ArtefactInputs) -> Figure:
    """Figure 4.2: one image of each digit (diagonal), and its confident adversarial version for each other digit."""
    grid = _grid(inputs)
    digits = sorted({*grid["label"], *grid["target"]})
    canvas, panels = new_figure(len(digits), len(digits), width=PAGE_WIDTH, panel_height=0.62)
    for axes in panels.flat:
        axes.set_axis_off()
    for _, row in grid.iterrows():
        axes = panels[digits.index(row["label"]), digits.index(row["target"])]
        if row["found"]:
            draw_image(axes, _image(inputs, row))
        if row["label"] == row["target"]:
            axes.add_patch(
                Rectangle(
                    (0, 0), 1, 1, transform=axes.transAxes, fill=False, edgecolor="#ad5f30", linewidth=2
                )
            )
    attacked = grid[grid["label"] != grid["target"]]
    return Figure(
        canvas,
        grid.drop(columns="place"),
        "A test image of each digit (framed), and to its left and right its C&W l2 adversarial versions with a "
        "confidence of at least 95 % in the digit of the column, on the critic-trained MLP.",
        notes=(
            f"Found: {int(attacked['found'].sum())} of {len(attacked)}; mean confidence of the originals "
            f"{100 * grid[grid['label'] == grid['target']]['confidence'].mean():.1f} %, of the adversarial images "
            f"{100 * attacked[attacked['found']]['confidence'].mean():.1f} %.",
            _confidences(inputs),
        ),
    )


def _grid(inputs: ArtefactInputs) -> pd.DataFrame:
    """Return a row for each digit and target: the original where they are one, else its adversarial version.

    The original of a digit is the test image whose confidence is nearest to the wanted one. ``place`` is the position
    of the sample among the kept images.
    """
    clean = inputs.results.one(sheet="clean").rows.assign(place=lambda rows: range(len(rows)))
    sure = inputs.results.one(sheet="sure").rows
    records = []
    for digit in sorted(clean["label"].unique()):
        rows = clean[clean["label"] == digit]
        gap = (rows["prediction_confidence"] - inputs.settings["confidence"]).abs()
        chosen = rows[rows["index"] == rows["index"].loc[gap.idxmin()]]
        records.append(chosen.iloc[[0]].assign(target=digit, l2=0.0, success=True))
        records.append(sure.iloc[chosen["place"]].assign(place=chosen["place"].to_numpy()))
    grid = pd.concat(records, ignore_index=True)
    columns = {
        **{name: name for name in ("index", "label", "target", "prediction", "l2", "place")},
        "success": "found",
        "prediction_confidence": "confidence",
    }
    return grid[list(columns)].rename(columns=columns)


def _image(inputs: ArtefactInputs, row: pd.Series) -> NDArray[np.float32]:
    original = row["label"] == row["target"]
    attack = inputs.results.one(sheet="sure")
    return attack.table.images()["clean" if original else attack.label("procedure")][row["place"]]


def _confidences(inputs: ArtefactInputs) -> str:
    """Return what the captions of the work say."""
    printed = inputs.published.set_index("images")["value"]
    return "Published: " + ", ".join(f"{images} {value:g} %" for images, value in printed.items()) + "."


def sheets(inputs: ArtefactInputs) -> Figure:
    """Figure 4.4: test images, their versions at the boundary, and confident ones, with the mean confidence of each."""
    canvas, panels = new_figure(len(SHEETS), width=PAGE_WIDTH, panel_height=2.5, letters=True)
    records = []
    images = inputs.results.table.images()
    for axes, (sheet, words), letter in zip(panels.flat, SHEETS.items(), "abc", strict=True):
        results = inputs.results.one(sheet=sheet)
        confidence = results.column("prediction_confidence").to_numpy(dtype=float)
        found = (
            np.ones(len(confidence), bool)
            if sheet == "clean"
            else results.column("success").to_numpy(dtype=bool)
        )
        interval = mean(100 * confidence[found])
        records.append(
            {"figure": f"4.4{letter}", "images": words, **interval.columns(), "found": int(found.sum())}
        )
        kept = images["clean" if sheet == "clean" else results.label("procedure")]
        draw_image(axes, _tiled(kept))
        axes.set_title(f"({letter}) {words}: {interval.estimate:.0f} %", loc="left")
    printed = inputs.published[["figure", "value"]]
    compared = beside_published(pd.DataFrame(records), printed, on=["figure"])
    listed = ", ".join(
        f"({str(row.figure)[-1]}) {row.reproduced:.1f} ({row.published:g})" for row in compared.itertuples()
    )
    return Figure(
        canvas,
        compared,
        f"{len(confidence)} random test images that the critic-trained MLP classifies correctly, their C&W l2 versions "
        "at the class boundary, and those with a confidence of at least 95 %; above each the mean confidence.",
        notes=(
            f"Mean confidence in percent, in parentheses as published: {listed}.",
            "How the work raised the confidence of (c) is not told; that it is at least 95 % here is so by "
            "construction.",
        ),
    )


def _tiled(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return images ``[N, C, H, W]`` as one picture, as near to a square as they fill."""
    side = int(np.sqrt(len(images)))
    _, channels, height, width = images.shape
    rows = images[: side * side].reshape(side, side, channels, height, width)
    return rows.transpose(2, 0, 3, 1, 4).reshape(channels, side * height, side * width)


def annotation_form(inputs: ArtefactInputs) -> Figure:
    """Figure 4.5: the form that a worker of the study fills in, with 25 adversarial images; as a page beside it."""
    results = inputs.results
    rows = results.rows.iloc[: ROWS * COLUMNS]
    shown = results.table.images()[results.label("procedure")][: ROWS * COLUMNS]
    frame = rows[["index", "label", "aim"]].assign(row=lambda each: 1 + np.arange(len(each)) // COLUMNS)
    return Figure(
        _drawn_form(shown),
        frame.reset_index(drop=True),
        f"The form of the study, with {len(shown)} high-confidence adversarial images of the critic-trained MLP.",
        notes=(
            "The form itself is a page beside this figure (figure-4-5.html). It works without a server: it checks what "
            "is typed, and saves it as a csv; it can be printed as well.",
        ),
        page=form_page(shown, rows["index"].tolist()),
    )


def _drawn_form(images: NDArray[np.float32]) -> Canvas:
    canvas, panels = new_figure(COLUMNS + 1, ROWS, width=5.2, panel_height=0.62)
    for axes in panels.flat:
        axes.set_axis_off()
    for number, image in enumerate(images):
        draw_image(panels[number // COLUMNS, number % COLUMNS], image)
    for axes in panels[:, COLUMNS]:
        axes.add_patch(
            Rectangle((0.02, 0.3), 0.96, 0.4, transform=axes.transAxes, fill=False, edgecolor="0.4")
        )
    canvas.suptitle("Type the five digits of each row, '?' for what is no digit", fontsize=8)
    canvas.supxlabel("[ Submit ]", fontsize=8)
    return canvas
