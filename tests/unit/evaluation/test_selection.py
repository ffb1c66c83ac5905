"""Which samples an evaluation works on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from gauntlet.datasets import ImageSet
from gauntlet.errors import DataError
from gauntlet.evaluation.selection import candidate_order, select

SAMPLES = {
    "split": "test",
    "count": 10,
    "order": "first",
    "offset": 0,
    "correct_only": False,
    "targets": "none",
}
CPU = torch.device("cpu")


class FirstPixel(nn.Module):
    """Predicts the class that an image's first pixel names."""

    def forward(self, images):
        return nn.functional.one_hot((images[:, 0, 0, 0] * 255).round().long(), 4).float()


@pytest.fixture
def images() -> ImageSet:
    """Forty images of four classes; those at positions divisible by five are misread by FirstPixel."""
    labels = np.arange(40) % 4
    pixels = np.zeros((40, 1, 2, 2), dtype=np.uint8)
    pixels[:, 0, 0, 0] = np.where(np.arange(40) % 5 == 0, (labels + 1) % 4, labels)
    return ImageSet(pixels, labels.astype(np.int64), list("abcd"), {})


def choose(images, **changes):
    return select({**SAMPLES, **changes}, images, FirstPixel(), seed=3, block=7, device=CPU)


def test_the_first_images_come_in_file_order_with_their_correctness(images):
    chosen = choose(images)
    assert chosen.indices.tolist() == list(range(10))
    assert chosen.correct.tolist() == [index % 5 != 0 for index in range(10)]
    assert chosen.targets.tolist() == [-1] * 10
    assert len(chosen.skipped) == 0


def test_misclassified_images_are_replaced_and_listed(images):
    chosen = choose(images, correct_only=True)
    assert chosen.indices.tolist() == [1, 2, 3, 4, 6, 7, 8, 9, 11, 12]
    assert chosen.correct.all()
    assert chosen.skipped.tolist()[:3] == [0, 5, 10]


def test_the_random_order_is_a_permutation_that_depends_on_the_seed_alone(images):
    orders = [candidate_order({**SAMPLES, "order": "random", "count": count}, 40, 3) for count in (5, 20)]
    assert sorted(orders[0]) == list(range(40))
    assert np.array_equal(*orders)
    assert not np.array_equal(orders[0], candidate_order({**SAMPLES, "order": "random"}, 40, 4))


def test_evenly_spaced_images_span_the_split(images):
    assert choose(images, order="every", count=8).indices.tolist() == [0, 5, 10, 15, 20, 25, 30, 35]


def test_the_offset_leaves_out_leading_images(images):
    assert choose(images, offset=4, count=3).indices.tolist() == [4, 5, 6]


def test_all_targets_pair_an_image_with_each_wrong_class(images):
    chosen = choose(images, targets="all", count=7)
    assert chosen.indices.tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert chosen.targets.tolist() == [1, 2, 3, 0, 2, 3, 0]


def test_random_targets_are_wrong_classes_and_belong_to_the_image(images):
    few, many = choose(images, targets="random", count=10), choose(images, targets="random", count=30)
    assert (many.targets != images.labels[many.indices]).all()
    assert np.array_equal(few.targets, many.targets[:10])
    assert len(set(many.targets.tolist())) == 4


def test_next_targets_follow_the_label(images):
    assert choose(images, targets="next", count=5).targets.tolist() == [1, 2, 3, 0, 1]


def test_too_few_suitable_images_say_how_many_there_are(images):
    with pytest.raises(DataError, match="only 32 correctly classified"):
        choose(images, correct_only=True, count=33)
