"""What was certified and what training cost, addressed by method and noise level.

The names of the work's evaluations and models are built here and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gauntlet.reporting.inputs import ArtefactInputs, EvaluationResult
from gauntlet.reporting.statistics import Interval, mean, paired_difference, paired_share_difference, share
from gauntlet.works.song.smoothing.metrics import dissent_allowed, earned_radii, largest_radius

METHODS = {
    "ours": "Ours",
    "ensemble": "Ensemble(m=3)",
    "consistency": "Consistency",
    "macer": "MACER-150",
    "gaussian-ld": "Gaussian+LD",
    "gaussian": "Gaussian",
}
"""The rows of Table 5.1, in its order, under the names that it prints."""

SIGMAS = (0.25, 0.5)
LEAST_DISSENT = 0.5
"""Below this share of the dissenting votes that a radius allows, the number of draws decides about the accuracy."""

RADII = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
"""The columns of Table 5.1 after ACR and ACC."""


@dataclass(frozen=True)
class Certificates:
    """The certificates of one model.

    Attributes:
        result: the evaluation with the procedure ``certify``.
    """

    result: EvaluationResult

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per image, in the order of the images' indices."""
        return self.result.rows("certify").sort_values("index", ignore_index=True)

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """The settings of the certification."""
        return self.result.specification["procedures"]["certify"]

    @property
    def dataset(self) -> str:
        """Name of the data set."""
        return str(self.result.specification["dataset"])

    @cached_property
    def limit(self) -> float:
        """The largest radius that unanimous votes certify."""
        return largest_radius(self.settings["sigma"], self.settings["n"], self.settings["alpha"])

    def limited(self, radius: float) -> bool:
        """Say whether the number of draws costs a certificate at a radius most of the dissent it allows."""
        settings = self.settings
        return dissent_allowed(radius, settings["sigma"], settings["n"], settings["alpha"]) < LEAST_DISSENT

    @cached_property
    def earned(self) -> NDArray[np.float64]:
        """Each image's radius, 0 where the prediction is wrong or withheld."""
        return earned_radii(self.frame).to_numpy()

    def certified(self, radius: float) -> NDArray[np.bool_]:
        """Say for which images the prediction is right and certified at a radius."""
        right = (self.frame["prediction"] == self.frame["label"]).to_numpy()
        return right & (self.frame["radius"].to_numpy() >= radius)

    @cached_property
    def acr(self) -> Interval:
        """Average certified radius."""
        return mean(self.earned)

    def accuracy(self, radius: float) -> Interval:
        """Certified accuracy at a radius, in percent."""
        return share(self.certified(radius)).scaled(100)


def certificates(inputs: ArtefactInputs, method: str, sigma: float) -> Certificates:
    """Return the certificates of one method at one noise level."""
    return Certificates(inputs.evaluations[f"{method}-{sigma:g}"])


def acr_gain(first: Certificates, second: Certificates) -> Interval:
    """Return the ACR of the first model minus that of the second, over the same images."""
    _same_images(first, second)
    return paired_difference(first.earned, second.earned)


def accuracy_gain(first: Certificates, second: Certificates, radius: float) -> Interval:
    """Return the difference of certified accuracies at a radius, in points, over the same images."""
    _same_images(first, second)
    return paired_share_difference(first.certified(radius), second.certified(radius)).scaled(100)


def _same_images(first: Certificates, second: Certificates) -> None:
    if not first.frame["index"].equals(second.frame["index"]):
        raise ValueError("a paired comparison needs the same images in both tables")


def model_name(method: str, sigma: float) -> str:
    """Name the model of a method."""
    return f"song-{method}-{sigma:g}"


@dataclass(frozen=True)
class TrainingCost:
    """What one training took.

    Attributes:
        epoch_seconds: wall-clock time of each epoch, measurements left out.
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
    def seconds(self) -> float:
        """Time of all epochs, each taken to last as long as the median one, so that a stalled one does not count."""
        return float(self.epochs * np.median(self.epoch_seconds))

    def time_over(self, other: TrainingCost, *, per_image: bool = False) -> Interval:
        """Return the time of this training over that of another, with the range that the epochs' times span.

        The range goes from the 5 % quantile of one to the 95 % quantile of the other and back.

        Args:
            other: the training to compare with.
            per_image: compare the time per training image and epoch instead.
        """
        first, second = (
            np.quantile(cost.epoch_seconds, (0.5, 0.05, 0.95))
            * (1 / cost.images if per_image else cost.epochs)
            for cost in (self, other)
        )
        return Interval(first[0] / second[0], first[1] / second[2], first[2] / second[1])

    @property
    def epochs(self) -> int:
        """Passes over the training images."""
        return len(self.epoch_seconds)


def training_cost(inputs: ArtefactInputs, method: str, sigma: float) -> TrainingCost:
    """Read what a model's training took from its manifest and history."""
    manifest = training_manifest(inputs, method, sigma)
    return TrainingCost(
        epoch_seconds=inputs.history(model_name(method, sigma))["seconds"].to_numpy(dtype=float),
        memory=float(manifest["peak_memory_mb"]) / 1024,
        device=str(manifest["device"]),
        images=int(manifest["training_images"]),
    )


def training_manifest(inputs: ArtefactInputs, method: str, sigma: float) -> dict[str, Any]:
    """Return the manifest of a model."""
    return json.loads((inputs.models[model_name(method, sigma)] / "manifest.json").read_text())


def provenance(certified: Certificates) -> str:
    """Say how many images of which data set were certified, and with how many draws."""
    return (
        f"{len(certified.frame)} test images of {certified.dataset}, "
        f"{certified.settings['n']:,} noise draws each, failure probability {certified.settings['alpha']:g}"
    )
