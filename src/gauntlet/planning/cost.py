"""Estimate what trainings and evaluations cost, from passes through the network and its operations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

from gauntlet.configuration import Catalogue
from gauntlet.contracts import DEFENCES, PROCEDURES, Task
from gauntlet.datasets.settings import DatasetSettings
from gauntlet.models import forward_flops
from gauntlet.runtime.files import compact_json

GPU_TRAINING = 1e14
"""Operations per second of a training on one H100, in bfloat16: a tenth of its peak, what WRN-34-10 reaches."""

GPU_ATTACK = 2e13
"""Operations per second of an attack or certificate on one H100, in float32: a third of its peak."""

CPU = 1e11
"""Operations per second of two CPU cores, measured on small convolutional networks."""

ASSUMED = (
    f"Assumed: {GPU_TRAINING:.0e} operations per second for trainings (bfloat16) and {GPU_ATTACK:.0e} for attacks and "
    f"certificates (float32) on one H100, {CPU:.0e} on two CPU cores; half of them on an A100."
)


@dataclass(frozen=True)
class Arithmetic:
    """The arithmetic of a job.

    Attributes:
        flops: floating-point operations.
        training: whether the job is a training, which computes in bfloat16 on a GPU.
    """

    flops: float
    training: bool = False

    @property
    def gpu_hours(self) -> float:
        """Hours on one GPU."""
        return self.flops / (GPU_TRAINING if self.training else GPU_ATTACK) / 3600

    @property
    def cpu_hours(self) -> float:
        """Hours on two CPU cores."""
        return self.flops / CPU / 3600


def training_work(catalogue: Catalogue, model: str) -> Arithmetic:
    """Estimate the training of a model; nothing for an imported one."""
    entry = catalogue.models[model]
    if entry.training is None:
        return Arithmetic(0.0, training=True)
    dataset = catalogue.datasets[entry.dataset]
    images = entry.training.samples or split_size(dataset, "train")
    passes = DEFENCES.parse(entry.defence).cost(_task(dataset)).passes
    return Arithmetic(passes * images * entry.training.epochs * _flops(catalogue, model), training=True)


def evaluation_work(catalogue: Catalogue, work: str, evaluation: str) -> Arithmetic:
    """Estimate an evaluation over all of its shards."""
    entry = catalogue.evaluation(work, evaluation)
    dataset = catalogue.datasets[catalogue.dataset_of(entry)]
    images = entry.samples.count or split_size(dataset, entry.samples.split)
    task = _task(dataset)
    passes = sum(PROCEDURES.parse(each).cost(task).passes for each in entry.procedures.values())
    return Arithmetic(passes * images * _flops(catalogue, entry.model))


def job_minutes(
    catalogue: Catalogue, *, model: str | None = None, work: str | None = None, evaluation: str | None = None
) -> int:
    """Return the run time to ask a cluster for: five times the estimate on a GPU, half an hour at least."""
    if model is not None:
        estimate = training_work(catalogue, model)
    else:
        assert work is not None and evaluation is not None
        estimate = evaluation_work(catalogue, work, evaluation)
    return int(max(30, 5 * 60 * estimate.gpu_hours))


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
