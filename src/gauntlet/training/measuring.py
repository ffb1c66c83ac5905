"""Measurements between epochs: accuracies, and the procedures of a watch. They change no weight."""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.attacks.base import Attack
from gauntlet.contracts import Batch, Classifier
from gauntlet.models import frozen
from gauntlet.runtime.devices import computes_in_bfloat16
from gauntlet.runtime.seeding import generator_for
from gauntlet.training.images import DeviceImages, to_unit_range
from gauntlet.training.settings import NATURAL, ROBUST, STABLE, Watch

BATCH = 512
"""Images that are measured at once."""


def accuracy(model: Classifier, images: DeviceImages, noise: float = 0.0) -> float:
    """Return the share of images that the model classifies correctly, in eval mode and float32.

    Args:
        model: the classifier.
        images: what to classify.
        noise: standard deviation of Gaussian noise on the images. Every image has one draw, the same in each
            call, so that epochs and models are compared on the same noisy images.
    """
    model.eval()
    device = images.labels.device
    generator = generator_for(device, "noisy test accuracy")
    correct = torch.zeros((), dtype=torch.int64, device=device)
    with torch.no_grad():
        for some, labels in zip(images.images.split(BATCH), images.labels.split(BATCH), strict=True):
            inputs = to_unit_range(some.to(device))
            if noise:
                inputs += noise * torch.randn(inputs.shape, generator=generator, device=device)
            correct += (model(inputs).argmax(1) == labels).sum()
    return correct.item() / len(images)


def observe(model: Classifier, name: str, watch: Watch, images: DeviceImages, seed: int) -> dict[str, float]:
    """Run the procedures of a watch, and return its columns of the history.

    Args:
        model: the classifier; it is left in eval mode.
        name: of the watch.
        watch: what is run.
        images: on which.
        seed: of the training; with the names it determines everything random.
    """
    model.eval()
    device = images.labels.device
    totals: dict[str, Tensor] = {}
    bfloat16 = computes_in_bfloat16(watch.precision, device)
    with frozen(model), torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        for start in range(0, len(images), BATCH):
            some = slice(start, start + BATCH)
            batch = (to_unit_range(images.images[some].to(device)), images.labels[some], images.indices[some])
            for column, values in _observe_batch(model, name, watch, batch, seed, start).items():
                totals[column] = totals.get(column, 0) + values.double().sum()
    return {f"{name}_{column}": float(total) / len(images) for column, total in totals.items()}


def _observe_batch(
    model: Classifier,
    name: str,
    watch: Watch,
    batch: tuple[Tensor, Tensor, Tensor],
    seed: int,
    start: int,
) -> dict[str, Tensor]:
    """Return the columns of some images, ``[N]`` each."""
    images, labels, indices = batch
    with torch.no_grad():
        prediction = model(images).argmax(1)
    columns = {NATURAL: prediction == labels}
    for procedure_name, procedure in watch.procedures.items():
        generator = generator_for(labels.device, "watch", seed, name, procedure_name, start)
        found = procedure.run(model, Batch(images, labels, indices, generator)).columns
        if isinstance(procedure, Attack):
            attacked = found["prediction"]
            found = {ROBUST: (prediction == labels) & (attacked == labels), STABLE: attacked == prediction}
        columns |= {f"{procedure_name}_{column}": values for column, values in found.items()}
    return columns
