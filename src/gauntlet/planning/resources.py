"""Resources to ask a cluster for: GPUs and run times, and the shards that keep evaluations within a run time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gauntlet.configuration import Catalogue
from gauntlet.planning.cost import Arithmetic, chunk_count, chunk_work, evaluation_work, training_work

SAFETY = 5
"""Run time to ask for over the estimate: a job that ends early costs nothing, one that is killed starts again."""

LEAST_MINUTES = 30

EPOCHS_PER_RUN = 2
"""A training saves its state after each epoch, so that a run shorter than one would never get on."""

CHUNKS_PER_RUN = 1.5
"""Likewise for an evaluation, which saves each finished chunk of a procedure."""


@dataclass(frozen=True)
class Resources:
    """Resources of one job.

    Attributes:
        gpus: none or one.
        minutes: run time to ask for.
        runs: jobs one after another that it takes by the estimate, where one ends at its limit and the next goes on.
    """

    gpus: int
    minutes: int
    runs: int = 1


def model_resources(catalogue: Catalogue, name: str, *, imported: bool) -> Resources:
    """Return the resources to make a model; an import needs no GPU."""
    if imported:
        return Resources(0, LEAST_MINUTES)
    training = catalogue.models[name].training
    assert training is not None
    hours = _hours(catalogue, training_work(catalogue, name))
    return _resources(catalogue, hours, EPOCHS_PER_RUN * hours / training.epochs)


def evaluation_resources(catalogue: Catalogue, work: str, name: str) -> Resources:
    """Return the resources of the longest shard of an evaluation, or of all of it where there is one."""
    chunks = chunk_count(catalogue, catalogue.evaluation(work, name))
    share = math.ceil(chunks / shards(catalogue, work, name)) / chunks
    hours = share * _hours(catalogue, evaluation_work(catalogue, work, name))
    longest = _hours(catalogue, chunk_work(catalogue, work, name))
    return _resources(catalogue, hours, CHUNKS_PER_RUN * longest)


def shards(catalogue: Catalogue, work: str, name: str) -> int:
    """Return the jobs that an evaluation is cut into; its results do not depend on them.

    As many as the user's settings or the evaluation ask for, else enough to keep each within the longest run time,
    and never more than there are chunks.
    """
    entry = catalogue.evaluation(work, name)
    chunks = chunk_count(catalogue, entry)
    wanted = catalogue.settings.shards or entry.shards
    if chunks == 1:
        return 1
    if wanted is None:
        hours = SAFETY * _hours(catalogue, evaluation_work(catalogue, work, name))
        within = max(1, int(catalogue.settings.hours_per_job * chunks / hours))
        wanted = math.ceil(chunks / within)
    return min(wanted, chunks)


def _gpus(catalogue: Catalogue) -> int:
    """Return the GPUs of a job that computes: at demo, and on clusters without any, none."""
    return 0 if catalogue.settings.device == "cpu" or catalogue.scale == "demo" else 1


def _hours(catalogue: Catalogue, arithmetic: Arithmetic) -> float:
    """Return the estimate on the device that the job asks for."""
    return arithmetic.gpu_hours if _gpus(catalogue) else arithmetic.cpu_hours


def _resources(catalogue: Catalogue, hours: float, least_hours: float) -> Resources:
    """Return what to ask for: as long as the user allows, unless nothing would be finished in that time."""
    asked = max(min(SAFETY * hours, catalogue.settings.hours_per_job), least_hours)
    minutes = max(LEAST_MINUTES, math.ceil(60 * asked))
    return Resources(_gpus(catalogue), minutes, max(1, math.ceil(60 * hours / minutes)))
