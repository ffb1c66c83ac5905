"""Cost of training: seconds per epoch with their spread, and peak memory.

Times compare only between trainings on one machine that ran nothing beside them, as on a leased GPU, and memory only on
a GPU: elsewhere it is that of the whole process, libraries and images included.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gauntlet.analysis.inputs import TrainedModel
from gauntlet.analysis.intervals import Interval
from gauntlet.analysis.verdicts import Verdict, not_testable

SPREAD = (0.05, 0.95)
"""Quantiles of the epochs' times that the range of a ratio goes between."""


@dataclass(frozen=True)
class TrainingCost:
    """Time and memory of one training.

    Attributes:
        epoch_seconds: wall-clock time of each epoch, measurements of accuracy left out.
        memory: peak memory in GiB: the GPU's where there was one, else the whole process'.
        device: where it ran.
        images: training images.
    """

    epoch_seconds: NDArray[np.float64]
    memory: float
    device: str
    images: int

    @property
    def on_gpu(self) -> bool:
        """Whether the memory is a GPU's."""
        return self.device.startswith("cuda")

    @property
    def epochs(self) -> int:
        """Passes over the training images."""
        return len(self.epoch_seconds)

    @property
    def seconds(self) -> float:
        """Time of all epochs, each taken to last as long as the median one, so that a stalled one does not count."""
        return float(self.epochs * np.median(self.epoch_seconds))

    def time_over(self, other: TrainingCost, *, per_image: bool = False) -> Interval:
        """Return the time of this training over that of another, with the range that the epochs' times span.

        The range goes from the 5 % quantile of one over the 95 % quantile of the other to the reverse.

        Args:
            other: the training to compare with.
            per_image: compare the time per training image and epoch instead.
        """
        first, second = (
            np.quantile(cost.epoch_seconds, (0.5, *SPREAD)) * (1 / cost.images if per_image else cost.epochs)
            for cost in (self, other)
        )
        return Interval(*map(float, (first[0] / second[0], first[1] / second[2], first[2] / second[1])))

    def memory_over(self, other: TrainingCost) -> Interval:
        """Return the peak memory of this training over that of another; a measured number without spread."""
        return Interval(*[self.memory / other.memory] * 3)


def training_cost(model: TrainedModel) -> TrainingCost:
    """Return what the training of a model took, from its history and manifest."""
    manifest = model.manifest
    return TrainingCost(
        epoch_seconds=model.history["seconds"].to_numpy(dtype=float),
        memory=float(manifest["peak_memory_mb"]) / 1024,
        device=str(manifest["device"]),
        images=int(manifest["training_images"]),
    )


def if_costs_compare(costs: Iterable[TrainingCost], verdict: Verdict) -> Verdict:
    """Return the verdict on a claim about time or memory, not testable unless all trainings ran on a GPU.

    A training leases its GPU; a CPU it shares with whatever else runs.
    """
    if all(cost.on_gpu for cost in costs):
        return verdict
    return not_testable("Time and memory: not compared, the trainings did not have a GPU to themselves.")
