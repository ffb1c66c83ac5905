"""The training loop: epoch after epoch, resumable in between."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gauntlet.contracts import (
    DEFENCES,
    Classifier,
    Companion,
    Defence,
    FitsImages,
    LearnsFromStreams,
    Progress,
    Task,
)
from gauntlet.errors import GauntletError
from gauntlet.models import LAST_WEIGHTS, MANIFEST, build_model, save_weights, to_device
from gauntlet.runtime.checksums import write_sealed_json
from gauntlet.runtime.devices import computes_in_bfloat16
from gauntlet.runtime.job import log
from gauntlet.runtime.manifest import Recorder
from gauntlet.runtime.seeding import generator_for, seed_for
from gauntlet.training.history import write_history
from gauntlet.training.images import DeviceImages, TrainingImages, split_off
from gauntlet.training.measuring import accuracy, observe
from gauntlet.training.optimizers import make_optimizer
from gauntlet.training.settings import TrainingSettings
from gauntlet.training.state import TrainingState, discard_state

if TYPE_CHECKING:
    from gauntlet.datasets.imageset import ImageSet


def train(
    specification: Mapping[str, Any],
    train_set: ImageSet,
    test_set: ImageSet,
    folder: str | Path,
    device: torch.device | str,
    second_set: ImageSet | None = None,
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
        second_set: the further images of ``training.second_pool``.

    Returns:
        The kept network on the device, in eval mode: that of the chosen epoch, or of the last one.

    Raises:
        GauntletError: the loss is no longer a finite number where that is no result, the network is not what the
            settings expect, or no image is left to be held out.
    """
    folder, device = Path(folder), torch.device(device)
    recorder = Recorder(device)
    settings = TrainingSettings.model_validate(specification["training"])
    defence = DEFENCES.parse(specification["defence"])
    model = to_device(build_model(specification), device)
    learned, validation = None, None
    if settings.validation is not None:
        learned, held_out = split_off(len(train_set), settings.validation, specification["seed"])
        validation = DeviceImages.of(train_set, device, among=held_out)
    images = TrainingImages(DeviceImages.of(train_set, device, settings.samples, among=learned))
    if settings.second_pool is not None and second_set is not None:
        images = TrainingImages(images.own, DeviceImages.of(second_set, device), settings.second_pool.share)
    test_images = DeviceImages.of(test_set, device)
    watched = _watched_images(settings, train_set, images.own, test_images, validation)

    state = TrainingState(
        model,
        make_optimizer(settings.optimizer, model),
        companions=make_companions(defence, specification, device),
    )
    if settings.weight_averaging is not None:
        state.start_average()
    if not state.load(folder, specification, device):
        for module in model.modules():
            if isinstance(module, FitsImages):
                module.fit(images.own.images)
    while len(state.history) < settings.epochs and not state.diverged:
        row = train_epoch(state, defence, images, settings, specification["seed"])
        if settings.divergence == "error" and not math.isfinite(row["loss"]):
            raise GauntletError(
                f"training diverged: the loss of epoch {row['epoch']} is {row['loss']}; "
                "a lower learning rate may help"
            )
        row |= _measured(state.network, row["epoch"], settings, test_images, validation)
        for name, watch in settings.watch.items():
            if watch.sees(row["epoch"], settings.epochs):
                row |= observe(state.network, name, watch, watched[name], specification["seed"])
        state.history.append(row)
        if settings.choose is not None:
            state.choose(settings.choose)
        state.save(folder, specification)
        log(_progress_line(state.history, settings.epochs))

    network = state.network.eval()
    (folder / LAST_WEIGHTS).unlink(missing_ok=True)
    hashes: dict[str, str] = {}
    if state.chosen_epoch is not None:
        hashes |= save_weights(network, folder, last=True)
        network.load_state_dict(state.chosen_weights)
    kept_epoch = state.chosen_epoch or len(state.history)
    kept = state.history[kept_epoch - 1]
    test_accuracy = kept["test_accuracy"]
    if test_accuracy is None:
        test_accuracy = accuracy(network, test_images)
    if settings.expect is not None and test_accuracy < settings.expect.test_accuracy:
        raise GauntletError(
            f"{specification['model']} classifies {test_accuracy:.1%} of the test images correctly where "
            f"training.expect asks for {settings.expect.test_accuracy:.1%}: attacks on it would show nothing. "
            "Another learning rate, more epochs or, for a deep network without batch norm, `initialization: he` "
            "may help"
        )
    hashes |= save_weights(network, folder)
    write_history(state.history, folder)
    write_sealed_json(
        folder / MANIFEST,
        recorder.manifest(
            specification,
            precision="bfloat16" if computes_in_bfloat16(settings.precision, device) else "float32",
            training_images=len(images.own),
            second_pool_images=0 if images.pool is None else len(images.pool),
            test_images=len(test_images),
            **({} if validation is None else {"validation_images": len(validation)}),
            training_seconds=round(sum(row["seconds"] for row in state.history), 3),
            kept_epoch=kept_epoch,
            train_accuracy=kept["train_accuracy"],
            test_accuracy=test_accuracy,
            **({"diverged_at_epoch": kept_epoch} if state.diverged else {}),
            dataset_warnings=train_set.manifest.get("warnings", []),
            **hashes,
        ),
    )
    discard_state(folder)
    return network


def train_epoch(
    state: TrainingState, defence: Defence, images: TrainingImages, settings: TrainingSettings, seed: int
) -> dict[str, Any]:
    """Train for an epoch.

    Order and augmentation of the images come from one generator, whatever the defence draws from another:
    with one seed all defences see the same batches.

    Args:
        state: its model, average and defence's state are updated in place; its history says which epoch it is.
        defence: makes the loss.
        images: what to learn from.
        settings: batch size, schedule, augmentation, precision.
        seed: of the model. With the epoch it determines everything random.

    Returns:
        The epoch's row of the history; losses and accuracy are means over the images as they were seen.
    """
    started = time.perf_counter()
    model, epoch = state.model, len(state.history)
    device = images.own.labels.device
    torch.manual_seed(seed_for("dropout", seed, epoch))
    orders = [generator_for(device, "training", seed, epoch)]
    if isinstance(defence, LearnsFromStreams):
        orders += [
            generator_for(device, "training", seed, epoch, number)
            for number in range(1, defence.streams(model))
        ]
    batches = images.batches(
        settings.batch_size, orders, settings.augmentation, generator_for(device, "defence", seed, epoch)
    )
    steps = images.updates(settings.batch_size)
    totals: dict[str, Tensor | float] = {}
    learning_rate, seen = 0.0, 0
    model.train()
    for number, batch in enumerate(batches):
        progress = Progress(
            epoch,
            settings.epochs,
            epoch * steps + number,
            settings.epochs * steps,
            state.defence,
            state.companions,
        )
        factor = settings.schedule.factor(progress)
        learning_rate = settings.optimizer.lr * factor
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate
        for companion in state.companions.values():
            companion.scale_learning_rate(factor)
        bfloat16 = computes_in_bfloat16(settings.precision, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            loss = defence.loss(model, batch, progress)
        # Only now: an attack inside the loss may have left gradients behind.
        state.optimizer.zero_grad()
        loss.value.backward()
        state.optimizer.step()
        state.defence = {name: value.detach() for name, value in loss.state.items()}
        if settings.weight_averaging is not None:
            state.update_average(settings.weight_averaging, progress.step)
        seen += len(batch)
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
        **{name: float(total) / seen for name, total in totals.items()},
        **{f"{name}_at_end": float(value) for name, value in state.defence.items()},
        "lr": learning_rate,
        "seconds": time.perf_counter() - started,
    }


def make_companions(
    defence: Defence, specification: Mapping[str, Any], device: torch.device
) -> dict[str, Companion]:
    """Return the networks that a defence trains beside the classifier, with fresh weights from the model's seed."""
    task = Task(tuple(specification["input_shape"]), specification["classes"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("companions", specification["seed"]))
        companions = dict(defence.companions(task))
    for companion in companions.values():
        to_device(companion.network, device).train()
    return companions


def _watched_images(
    settings: TrainingSettings,
    train_set: ImageSet,
    images: DeviceImages,
    test_images: DeviceImages,
    validation: DeviceImages | None,
) -> dict[str, DeviceImages]:
    """Return the images of each watch."""
    splits = {"train": images, "test": test_images}
    if validation is not None:
        splits["held_out"] = validation
    elif any(watch.split == "held_out" for watch in settings.watch.values()):
        splits["held_out"] = DeviceImages.of(train_set, images.labels.device, settings.samples, held_out=True)
        if not len(splits["held_out"]):
            raise GauntletError(
                f"a watch asks for held out images, but training.samples takes all {len(images)}; lower it"
            )
    return {name: splits[watch.split].first(watch.count) for name, watch in settings.watch.items()}


def _measured(
    network: nn.Module,
    epoch: int,
    settings: TrainingSettings,
    test_images: DeviceImages,
    validation: DeviceImages | None,
) -> dict[str, float | None]:
    """Return the accuracies after an epoch; None where it is none of those that are measured."""
    measured = epoch % settings.evaluate_every == 0 or epoch == settings.epochs
    row = {"test_accuracy": accuracy(network, test_images) if measured else None}
    if validation is not None:
        row["validation_accuracy"] = accuracy(network, validation) if measured else None
    if settings.evaluate_noise is not None:
        noise = settings.evaluate_noise
        row["noisy_test_accuracy"] = accuracy(network, test_images, noise) if measured else None
    return row


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
