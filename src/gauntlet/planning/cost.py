"""Estimate what trainings and evaluations cost, from passes through the network and its operations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

from gauntlet.configuration import Catalogue
from gauntlet.contracts import DEFENCES, PROCEDURES, Cost
from gauntlet.datasets.settings import DatasetSettings
from gauntlet.models import forward_flops
from gauntlet.runtime.files import compact_json

BACKWARD = 2.0
"""A backward pass costs about two forward passes."""

GPU_FLOPS = 2e13
"""Operations per second that a current data-centre GPU sustains on such networks, a cautious estimate."""

CPU_FLOPS = 1e11
"""Operations per second that two CPU cores sustain."""


@dataclass(frozen=True)
class Arithmetic:
    """The arithmetic of a job.

    Attributes:
        flops: floating-point operations.
    """

    flops: float

    @property
    def gpu_hours(self) -> float:
        """Hours on one GPU."""
        return self.flops / GPU_FLOPS / 3600

    @property
    def cpu_hours(self) -> float:
        """Hours on two CPU cores."""
        return self.flops / CPU_FLOPS / 3600


def training_work(catalogue: Catalogue, model: str) -> Arithmetic:
    """Estimate the training of a model; nothing for an imported one."""
    entry = catalogue.models[model]
    if entry.training is None:
        return Arithmetic(0.0)
    dataset = catalogue.datasets[entry.dataset]
    images = entry.training.samples or split_size(dataset, "train")
    passes = _passes(DEFENCES.parse(entry.defence).cost)
    return Arithmetic(passes * images * entry.training.epochs * _flops(catalogue, model))


def evaluation_work(catalogue: Catalogue, work: str, evaluation: str) -> Arithmetic:
    """Estimate an evaluation over all of its shards."""
    entry = catalogue.evaluation(work, evaluation)
    dataset = catalogue.datasets[catalogue.dataset_of(entry)]
    images = entry.samples.count or split_size(dataset, entry.samples.split)
    passes = sum(_passes(PROCEDURES.parse(procedure).cost) for procedure in entry.procedures.values())
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


def _passes(cost: Cost) -> float:
    """Express a cost in forward passes."""
    return cost.forward + BACKWARD * cost.backward


def _flops(catalogue: Catalogue, model: str) -> float:
    specification = catalogue.model_specification(model)
    parts = {key: specification[key] for key in ("input_shape", "classes", "architecture")}
    return _flops_of(compact_json(parts | {"normalization": None, "seed": 0}))


@cache
def _flops_of(specification: str) -> float:
    return forward_flops(json.loads(specification))
