"""Figures of chapter 5: training curves by width, and the schedules (chen2021, sections 5.1, 5.3, 5.4, 5.8)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gauntlet.analysis.inputs import ArtefactInputs, TrainedModel
from gauntlet.contracts import Progress
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.panels import draw_lines
from gauntlet.reporting.style import new_figure, shared_legend
from gauntlet.training.schedules import Cosine, Exponential, Schedule, Step
from gauntlet.works.chen2021.layout import stand_in
from gauntlet.works.chen2021.width.trainings import WATCHED, chosen_epoch

SCHEDULES: dict[str, Schedule] = {
    "step-wise": Step(name="step", milestones=(74 / 100, 89 / 100)),
    "cosine": Cosine(name="cosine"),
    "exponential decay": Exponential(name="exponential", by=0.5, after=0.73),
}
RATE, EPOCHS = 0.1, 100


def figure_5_1(inputs: ArtefactInputs) -> Figure:
    """Figure 5.1: natural risk and robust regularization of the narrowest and the widest network."""
    widths = sorted({model.labels["width"] for model in inputs.models})
    chosen = [_first(inputs, width) for width in (widths[0], widths[-1])]
    return _curves(
        chosen,
        {"natural_loss": "natural risk, nats", "robust_loss": "robust regularization, nats"},
        "Mean cross-entropy of the clean training images, and mean divergence between the answers to clean and "
        "attacked ones without its weight, in every epoch of TRADES with lambda 6",
        inputs,
    )


def figure_5_4(inputs: ArtefactInputs) -> Figure:
    """Figure 5.4: estimate of the local Lipschitz constant by epoch and width."""
    widths = sorted({model.labels["width"] for model in inputs.models})
    return _curves(
        [_first(inputs, width) for width in widths],
        {"local_lipschitz": "local Lipschitz constant"},
        "Largest l1 norm of the input gradient of the divergence on the way of the attack inside training, mean over "
        "the training images of each epoch; TRADES with lambda 6",
        inputs,
    )


def figure_5_3(inputs: ArtefactInputs) -> Figure:
    """Figure 5.3: robust accuracy, natural accuracy and stability by epoch, and at the best epoch by width."""
    models = sorted(inputs.models, key=lambda model: model.labels["width"])
    canvas, axes = new_figure(2, 2, letters=True)
    frame = _by_epoch(models, list(WATCHED))
    frame[list(WATCHED)] *= 100
    for panel, (column, name) in zip(axes.flat, WATCHED.items(), strict=False):
        draw_lines(panel, frame.dropna(subset=column), x="epoch", y=column, series="series")
        panel.set(xlabel="epoch", ylabel=f"{name}, %")
    best = pd.DataFrame(
        [
            {
                "width": model.labels["width"],
                **{
                    name: 100 * model.history[column].iloc[chosen_epoch(model)]
                    for column, name in WATCHED.items()
                },
            }
            for model in models
        ]
    )
    long = best.melt("width", var_name="series", value_name="share")
    draw_lines(axes.flat[3], long, x="width", y="share", series="series")
    axes.flat[3].set(xlabel="widen factor", ylabel="at the best epoch, %")
    axes.flat[3].legend()
    shared_legend(canvas, axes.flat[0])
    return Figure(
        canvas,
        pd.concat([frame, best.assign(series="best epoch")], ignore_index=True),
        "Test images under PGD-20 after every epoch of TRADES with lambda 6 and the step-wise schedule, and the same "
        "shares at the epoch with the highest robust accuracy.",
        notes=stand_in(inputs),
    )


def figure_5_5(inputs: ArtefactInputs) -> Figure:
    """Figure 5.5: the learning rates of the three schedules."""
    epochs = np.arange(1, EPOCHS + 1)
    frame = pd.concat(
        [
            pd.DataFrame(
                {
                    "series": name,
                    "epoch": epochs,
                    "learning_rate": [
                        RATE * schedule.factor(Progress(int(epoch) - 1, EPOCHS, 0, 1)) for epoch in epochs
                    ],
                }
            )
            for name, schedule in SCHEDULES.items()
        ],
        ignore_index=True,
    )
    canvas, axes = new_figure()
    draw_lines(axes[0, 0], frame, x="epoch", y="learning_rate", series="series")
    axes[0, 0].set(xlabel="epoch", ylabel="learning rate", yscale="log")
    shared_legend(canvas, axes[0, 0])
    return Figure(
        canvas,
        frame,
        "Learning rate in each of 100 epochs: divided by 10 at epochs 75 and 90 (step-wise), half a cosine, and halved "
        "in every epoch from the 75th on (exponential decay).",
    )


def _first(inputs: ArtefactInputs, width: float) -> TrainedModel:
    """Return the first training of a width."""
    return inputs.model(width=width, repeat=0)


def _by_epoch(models: list[TrainedModel], columns: list[str]) -> pd.DataFrame:
    """Return columns of histories, a row per model and epoch, with the ``series`` of each width."""
    frames = [
        model.history[["epoch", *columns]].assign(
            series=f"width {model.labels['width']}", width=model.labels["width"]
        )
        for model in models
    ]
    return pd.concat(frames, ignore_index=True)


def _curves(
    models: list[TrainedModel], columns: dict[str, str], caption: str, inputs: ArtefactInputs
) -> Figure:
    frame = _by_epoch(models, list(columns))
    canvas, axes = new_figure(len(columns), letters=len(columns) > 1)
    for panel, (column, name) in zip(axes.flat, columns.items(), strict=True):
        draw_lines(panel, frame, x="epoch", y=column, series="series")
        panel.set(xlabel="epoch", ylabel=name)
    shared_legend(canvas, axes.flat[0])
    return Figure(canvas, frame, f"{caption}.", notes=stand_in(inputs))
