"""The training loop: epoch after epoch, resumable in between."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gauntlet.contracts import DEFENCES, Classifier, Defence, FitsImages, Progress
from gauntlet.errors import GauntletError
from gauntlet.models import MANIFEST, build_model, save_weights, to_device
from gauntlet.runtime.files import write_json
from gauntlet.runtime.job import log
from gauntlet.runtime.manifest import Recorder
from gauntlet.runtime.seeding import generator_for, seed_for
from gauntlet.training.history import write_history
from gauntlet.training.images import DeviceImages, to_unit_range
from gauntlet.training.resuming import discard_state, load_state, save_state
from gauntlet.training.settings import Adam, Sgd, TrainingSettings

if TYPE_CHECKING:
    from gauntlet.datasets.imageset import ImageSet

TEST_BATCH = 512


def train(
    specification: Mapping[str, Any],
    train_set: ImageSet,
    test_set: ImageSet,
    folder: str | Path,
    device: torch.device | str,
) -> Classifier:
    """Train a model and write its weights, history and manifest.

    After every epoch the state is saved in ``folder``; a later call with the same specification goes on from
    there and ends with the same weights, on a CPU to the bit. Seeds torch's global generators.

    Args:
        specification: the model's job, with ``training`` and ``defence``.
        train_set: images to learn from.
        test_set: images on which the history's test accuracy is measured.
        folder: where the files go.
        device: where to compute.

    Returns:
        The trained model on the device, in eval mode.

    Raises:
        GauntletError: the loss is no longer a finite number.
    """
    folder, device = Path(folder), torch.device(device)
    recorder = Recorder(device)
    settings = TrainingSettings.model_validate(specification["training"])
    defence = DEFENCES.parse(specification["defence"])
    model = to_device(build_model(specification), device)
    optimizer = make_optimizer(settings.optimizer, model)
    train_images = DeviceImages.of(train_set, device, settings.samples)
    test_images = DeviceImages.of(test_set, device)

    history = load_state(folder, specification, model, optimizer)
    if not history:
        for module in model.modules():
            if isinstance(module, FitsImages):
                module.fit(train_images.images)
    for epoch in range(len(history), settings.epochs):
        row = train_epoch(model, optimizer, defence, train_images, settings, epoch, specification["seed"])
        if not math.isfinite(row["loss"]):
            raise GauntletError(
                f"training diverged: the loss of epoch {epoch + 1} is {row['loss']}; "
                "a lower learning rate may help"
            )
        measured = (epoch + 1) % settings.evaluate_every == 0 or epoch + 1 == settings.epochs
        row["test_accuracy"] = accuracy(model, test_images) if measured else None
        if settings.evaluate_noise is not None:
            row["noisy_test_accuracy"] = (
                accuracy(model, test_images, settings.evaluate_noise) if measured else None
            )
        history.append(row)
        save_state(folder, specification, model, optimizer, history)
        log(_progress_line(history, settings.epochs))

    save_weights(model, folder)
    write_history(history, folder)
    write_json(
        folder / MANIFEST,
        recorder.manifest(
            specification,
            precision="bfloat16" if computes_in_bfloat16(settings, device) else "float32",
            training_images=len(train_images),
            test_images=len(test_images),
            training_seconds=round(sum(row["seconds"] for row in history), 3),
            train_accuracy=history[-1]["train_accuracy"],
            test_accuracy=history[-1]["test_accuracy"],
        ),
    )
    discard_state(folder)
    return model.eval()


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    defence: Defence,
    images: DeviceImages,
    settings: TrainingSettings,
    epoch: int,
    seed: int,
) -> dict[str, Any]:
    """Go once through the training images.

    Args:
        model: updated in place.
        optimizer: holds the model's parameters.
        defence: makes the loss.
        images: what to learn from.
        settings: batch size, schedule, augmentation, precision.
        epoch: number of finished epochs. With the seed it determines everything random in this one.
        seed: of the model.

    Returns:
        The epoch's row of the history; losses and accuracy are means over the images as they were seen.
    """
    started = time.perf_counter()
    device = images.labels.device
    generator = generator_for(device, "training", seed, epoch)
    torch.manual_seed(seed_for("dropout", seed, epoch))
    steps = math.ceil(len(images) / settings.batch_size)
    totals: dict[str, Tensor | float] = {}
    learning_rate = 0.0
    model.train()
    for number, batch in enumerate(images.batches(settings.batch_size, generator, settings.augmentation)):
        progress = Progress(epoch, settings.epochs, epoch * steps + number, settings.epochs * steps)
        learning_rate = settings.optimizer.lr * settings.schedule.factor(progress)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        with torch.autocast(device.type, torch.bfloat16, enabled=computes_in_bfloat16(settings, device)):
            loss = defence.loss(model, batch, progress)
        # Only now: an attack inside the loss may have left gradients behind.
        optimizer.zero_grad()
        loss.value.backward()
        optimizer.step()
        with torch.no_grad():
            means = {
                "loss": loss.value,
                "train_accuracy": (loss.logits.argmax(1) == batch.labels).float().mean(),
                **loss.parts,
            }
            for name, mean in means.items():
                totals[name] = totals.get(name, 0.0) + mean.detach().float() * len(batch)
    return {
        "epoch": epoch + 1,
        **{name: float(total) / len(images) for name, total in totals.items()},
        "lr": learning_rate,
        "seconds": time.perf_counter() - started,
    }


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
        for some, labels in zip(
            images.images.split(TEST_BATCH), images.labels.split(TEST_BATCH), strict=True
        ):
            inputs = to_unit_range(some)
            if noise:
                inputs += noise * torch.randn(inputs.shape, generator=generator, device=device)
            correct += (model(inputs).argmax(1) == labels).sum()
    return correct.item() / len(images)


def make_optimizer(settings: Sgd | Adam, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of a model's parameters; one fused kernel updates them all."""
    parameters = model.parameters()
    if isinstance(settings, Sgd):
        return torch.optim.SGD(
            parameters,
            lr=settings.lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=settings.weight_decay,
            fused=True,
        )
    return torch.optim.Adam(
        parameters,
        lr=settings.lr,
        betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
        fused=True,
    )


def computes_in_bfloat16(settings: TrainingSettings, device: torch.device) -> bool:
    """Whether training on this device uses bfloat16 where that is safe."""
    return settings.precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()


def _progress_line(history: list[dict[str, Any]], epochs: int) -> str:
    row = history[-1]
    measured = "" if row["test_accuracy"] is None else f"  test {row['test_accuracy']:.2%}"
    remaining = (epochs - len(history)) * row["seconds"]
    return (
        f"epoch {row['epoch']}/{epochs}  loss {row['loss']:.4f}  train {row['train_accuracy']:.2%}{measured}"
        f"  lr {row['lr']:.2g}  {row['seconds']:.1f} s  {_duration(remaining)} left"
    )


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
