"""Classifiers that are no neural networks, as judges of adversarial images: a proxy for the people of the study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gauntlet.datasets import ImageSet

REJECTED = -1
"""Label of an image that the judges do not recognize, the study's '?'."""


@dataclass(frozen=True)
class Judges:
    """An ensemble that averages probabilities and rejects what it is not sure of.

    Attributes:
        members: fitted classifiers of scikit-learn.
        rejection: smallest mean probability of an accepted label.
    """

    members: Sequence[Any]
    rejection: float

    @staticmethod
    def words() -> str:
        """Return what the members are."""
        return (
            "nearest neighbors, extremely randomized trees, and logistic regression on random radial features"
        )

    @staticmethod
    def fitted(split: ImageSet, count: int, rejection: float) -> Judges:
        """Fit the members to evenly spaced images of a split."""
        from sklearn.ensemble import ExtraTreesClassifier
        from sklearn.kernel_approximation import RBFSampler
        from sklearn.linear_model import LogisticRegression
        from sklearn.neighbors import KNeighborsClassifier
        from sklearn.pipeline import make_pipeline

        chosen = np.linspace(0, len(split.labels) - 1, min(count, len(split.labels))).astype(int)
        pixels, labels = _flat(split.images[chosen] / 255), split.labels[chosen]
        members = [
            KNeighborsClassifier(5, weights="distance"),
            ExtraTreesClassifier(200, random_state=0),
            make_pipeline(
                RBFSampler(gamma=0.02, n_components=1000, random_state=0),
                LogisticRegression(C=10, max_iter=200),
            ),
        ]
        return Judges([member.fit(pixels, labels) for member in members], rejection)

    def labels(self, images: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the class of each image ``[N, C, H, W]`` in [0, 1], or `REJECTED`."""
        probabilities = np.mean([member.predict_proba(_flat(images)) for member in self.members], axis=0)
        found = self.members[0].classes_[probabilities.argmax(1)]
        return np.where(probabilities.max(1) >= self.rejection, found, REJECTED)


def _flat(images: NDArray[Any]) -> NDArray[np.float64]:
    return images.reshape(len(images), -1).astype(np.float64)
