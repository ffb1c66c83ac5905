"""Estimate what trainings and evaluations cost, from passes through the network and its operations."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from gauntlet.configuration import Catalogue
from gauntlet.configuration.grammar import EvaluationEntry
from gauntlet.contracts import DEFENCES, PROCEDURES, Task
from gauntlet.datasets.settings import DatasetSettings
from gauntlet.models import forward_flops
from gauntlet.runtime.files import compact_json
from gauntlet.training.settings import TrainingSettings

GPU_BFLOAT16 = 1e14
"""Operations per second on one H100 in bfloat16: a tenth of its peak, what the training of WRN-34-10 reaches."""

GPU_FLOAT32 = 2e13
"""Operations per second on one H100 in float32: a third of its peak."""

CPU = 1e11
"""Operations per second of two CPU cores, measured on small convolutional networks."""

ASSUMED = (
    f"Assumed: {GPU_BFLOAT16:.0e} operations per second in bfloat16 (what trainings learn in, unless told otherwise) "
    f"and {GPU_FLOAT32:.0e} in float32 (attacks, inside trainings too, and certificates) on one H100, {CPU:.0e} on "
    "two CPU cores; half of them on an A100."
)


@dataclass(frozen=True)
class Arithmetic:
    """The arithmetic of a job.

    Attributes:
        flops: floating-point operations.
        bfloat16: as many of them are computed in bfloat16 on a GPU.
        training: whether the job is a training.
    """

    flops: float
    bfloat16: float = 0.0
    training: bool = False

    @property
    def gpu_hours(self) -> float:
        """Hours on one GPU."""
        return (self.bfloat16 / GPU_BFLOAT16 + (self.flops - self.bfloat16) / GPU_FLOAT32) / 3600

    @property
    def cpu_hours(self) -> float:
        """Hours on two CPU cores."""
        return self.flops / CPU / 3600


def training_work(catalogue: Catalogue, model: str) -> Arithmetic:
    """Estimate the training of a model and its watches; nothing for an imported one."""
    entry = catalogue.models[model]
    if entry.training is None:
        return Arithmetic(0.0, training=True)
    dataset, settings, flops = catalogue.datasets[entry.dataset], entry.training, _flops(catalogue, model)
    seen = settings.epochs * (settings.samples or split_size(dataset, "train"))
    cost = DEFENCES.parse(entry.defence).cost(_task(dataset))
    # Whoever learns from an image goes forward and back with it, and on to the weights.
    learned = cost.passes if _attacks_as_it_learns(entry.defence) else 3 * cost.weight_gradients
    bfloat16 = learned * seen if settings.precision == "auto" else 0.0
    total = cost.passes * seen
    for passes, precision in _watched(settings, dataset):
        total += passes
        bfloat16 += passes if precision == "auto" else 0.0
    return Arithmetic(total * flops, bfloat16 * flops, training=True)


def evaluation_work(catalogue: Catalogue, work: str, evaluation: str) -> Arithmetic:
    """Estimate an evaluation over all of its shards."""
    entry = catalogue.evaluation(work, evaluation)
    passes = sum(_procedure_passes(catalogue, entry))
    return Arithmetic(passes * sample_count(catalogue, entry) * _flops(catalogue, entry.model))


def chunk_work(catalogue: Catalogue, work: str, evaluation: str) -> Arithmetic:
    """Estimate the costliest chunk of one procedure: what an evaluation loses at most when it is killed."""
    entry = catalogue.evaluation(work, evaluation)
    images = min(entry.chunk, sample_count(catalogue, entry))
    passes = max(_procedure_passes(catalogue, entry), default=0.0)
    return Arithmetic(passes * images * _flops(catalogue, entry.model))


def sample_count(catalogue: Catalogue, evaluation: EvaluationEntry) -> int:
    """Return the samples of an evaluation: images, or images times wrong classes where all are targets."""
    if evaluation.samples.count is not None:
        return evaluation.samples.count
    dataset = catalogue.datasets[catalogue.dataset_of(evaluation)]
    targets = dataset.class_count - 1 if evaluation.samples.targets == "all" else 1
    return split_size(dataset, evaluation.samples.split) * targets


def chunk_count(catalogue: Catalogue, evaluation: EvaluationEntry) -> int:
    """Return the chunks of an evaluation."""
    return math.ceil(sample_count(catalogue, evaluation) / evaluation.chunk)


def _procedure_passes(catalogue: Catalogue, evaluation: EvaluationEntry) -> list[float]:
    """Return the passes of each procedure for one image."""
    task = _task(catalogue.datasets[catalogue.dataset_of(evaluation)])
    return [PROCEDURES.parse(each).cost(task).passes for each in evaluation.procedures.values()]


def _attacks_as_it_learns(defence: Mapping[str, Any]) -> bool:
    """Whether all passes of a defence, written out, have one precision: it has no attack, or says so of it."""
    if "defence" in defence:
        return _attacks_as_it_learns(defence["defence"])
    return defence.get("attack_precision", "training") == "training"


def _watched(settings: TrainingSettings, dataset: DatasetSettings) -> list[tuple[float, str]]:
    """Return the passes of each watch over the whole training, times images, and their precision."""
    found: list[tuple[float, str]] = []
    for watch in settings.watch.values():
        epochs = sum(watch.sees(epoch, settings.epochs) for epoch in range(1, settings.epochs + 1))
        images = watch.count or split_size(dataset, "test" if watch.split == "test" else "train")
        passes = 1 + sum(procedure.cost(_task(dataset)).passes for procedure in watch.procedures.values())
        found.append((epochs * images * passes, watch.precision))
    return found


def split_size(dataset: DatasetSettings, split: str) -> int:
    """Return the number of images that a split has when it is complete; 10,000 where nobody knows."""
    return dataset.split(split).size or 10_000


def _task(dataset: DatasetSettings) -> Task:
    channels, height, width = dataset.shape
    return Task((channels, height, width), dataset.class_count)


def _flops(catalogue: Catalogue, model: str) -> float:
    specification = catalogue.model_specification(model)
    parts = {key: specification[key] for key in ("input_shape", "classes", "architecture")}
    return _flops_of(compact_json(parts | {"normalization": None, "seed": 0}))


@cache
def _flops_of(specification: str) -> float:
    return forward_flops(json.loads(specification))
