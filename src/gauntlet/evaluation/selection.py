"""Choose the samples of an evaluation: images of a split, in a documented order, with target classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gauntlet.datasets import ImageSet
from gauntlet.errors import DataError
from gauntlet.runtime.seeding import seed_for


@dataclass(frozen=True)
class Selection:
    """The samples of an evaluation, in order.

    Attributes:
        indices: position of each sample's image in the split, int64 ``[N]``.
        targets: target class of each sample, int64 ``[N]``, -1 where there is none.
        correct: whether the model classifies the clean image correctly, bool ``[N]``.
        skipped: positions of images that were passed over because the model misclassifies them.
    """

    indices: np.ndarray
    targets: np.ndarray
    correct: np.ndarray
    skipped: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)


def select(
    samples: Mapping[str, Any],
    images: ImageSet,
    model: nn.Module,
    *,
    seed: int,
    block: int,
    device: torch.device,
) -> Selection:
    """Walk through the split in the wanted order until enough samples are found.

    The order depends on the seed alone, so that every model meets the same images as far as its own mistakes
    allow.

    Args:
        samples: ``split``, ``count``, ``order``, ``offset``, ``correct_only`` and ``targets`` as configured.
        images: the split.
        model: the classifier, in eval mode on ``device``.
        seed: global seed.
        block: images per forward pass.

    Raises:
        DataError: the split has fewer suitable images than wanted.
    """
    order = candidate_order(samples, len(images.labels), seed)
    per_image = len(images.classes) - 1 if samples["targets"] == "all" else 1
    wanted = samples["count"] if samples["count"] is not None else len(order) * per_image
    chosen: list[int] = []
    right: list[bool] = []
    skipped: list[int] = []
    for start in range(0, len(order), block):
        if len(chosen) * per_image >= wanted:
            break
        part = order[start : start + block]
        correct = predictions(model, images, part, device) == images.labels[part]
        for index, is_right in zip(part.tolist(), correct.tolist(), strict=True):
            if samples["correct_only"] and not is_right:
                skipped.append(index)
            elif len(chosen) * per_image < wanted:
                chosen.append(index)
                right.append(is_right)
    if samples["count"] is not None and len(chosen) * per_image < wanted:
        suitable = "correctly classified images" if samples["correct_only"] else "images"
        raise DataError(
            f"the split has only {len(chosen)} {suitable} from position {samples['offset']} on, {wanted} samples are "
            f"wanted; lower samples.count, or train a better model"
        )
    indices = np.repeat(np.array(chosen, dtype=np.int64), per_image)[:wanted]
    correct = np.repeat(np.array(right, dtype=bool), per_image)[:wanted]
    targets = _target_classes(samples["targets"], indices, images, seed)
    return Selection(indices, targets, correct, np.array(skipped, dtype=np.int64))


def candidate_order(samples: Mapping[str, Any], available: int, seed: int) -> np.ndarray:
    """Return the positions in the order in which they are considered."""
    if samples["order"] == "random":
        order = np.random.default_rng(seed_for(seed, "sample order", samples["split"])).permutation(available)
    elif samples["order"] == "every":
        count = min(samples["count"] or available, available)
        order = np.arange(count, dtype=np.int64) * (available // max(count, 1))
    else:
        order = np.arange(available, dtype=np.int64)
    return order[samples["offset"] :]


@torch.no_grad()
def predictions(model: nn.Module, images: ImageSet, indices: np.ndarray, device: torch.device) -> np.ndarray:
    """Return the model's prediction for each image."""
    logits: Tensor = model(images.tensor(indices, device))
    return logits.argmax(1).cpu().numpy()


def _target_classes(rule: str, indices: np.ndarray, images: ImageSet, seed: int) -> np.ndarray:
    """Give every sample its target class; a random one depends on the image alone."""
    labels, classes = images.labels[indices], len(images.classes)
    rules: dict[str, Callable[[], np.ndarray]] = {
        "none": lambda: np.full(len(indices), -1, dtype=np.int64),
        "next": lambda: (labels + 1) % classes,
        # The k-th sample of an image aims at its k-th wrong class.
        "all": lambda: _kth_wrong_class(labels, np.arange(len(indices)) % (classes - 1)),
        "random": lambda: _kth_wrong_class(
            labels,
            np.random.default_rng(seed_for(seed, "targets")).integers(classes - 1, size=len(images.labels))[
                indices
            ],
        ),
    }
    return rules[rule]().astype(np.int64)


def _kth_wrong_class(labels: np.ndarray, k: np.ndarray) -> np.ndarray:
    return k + (k >= labels)
