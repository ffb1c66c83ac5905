"""The real data sets as users have them, where the optional data folder is at hand."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from gauntlet.datasets import ImageSet, open_split
from gauntlet.datasets.prepare import availability, prepare_split
from gauntlet.datasets.settings import DatasetSettings

pytestmark = pytest.mark.shared

ENTRIES = yaml.safe_load((Path(__file__).parents[3] / "config" / "datasets.yaml").read_text())


@pytest.fixture
def prepared(shared_data, tmp_path):
    def prepare(dataset: str, split: str) -> ImageSet:
        settings = DatasetSettings.model_validate(ENTRIES[dataset])
        assert availability(settings, split, shared_data, tmp_path).local
        prepare_split(settings, dataset, split, tmp_path / "out", data_root=shared_data, cache=tmp_path)
        return open_split(tmp_path / "out")

    return prepare


def test_the_mnist_test_set_is_the_published_one(prepared):
    images = prepared("mnist", "test")
    assert images.manifest["notes"] == [
        "t10k-images-idx3-ubyte.gz is the published file",
        "t10k-labels-idx1-ubyte.gz is the published file",
    ]
    assert images.images.shape == (10_000, 1, 28, 28)
    # The class counts that the publisher's description of the test set implies.
    assert np.bincount(images.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # Mean and deviation of MNIST's test pixels, as they are widely used.
    assert images.images.mean() / 255 == pytest.approx(0.1325, abs=1e-4)


def test_a_part_of_the_mnist_training_set_is_accepted_with_a_warning(prepared):
    images = prepared("mnist", "train")
    assert len(images) == 17_435
    assert "17,435 of 60,000 images" in images.manifest["warnings"]
    assert images.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


def test_cifar10_as_jpeg_has_1000_test_images_a_class_and_every_class_from_the_start(prepared, shared_data):
    images = prepared("cifar10", "test")
    assert np.bincount(images.labels).tolist() == [1000] * 10
    assert images.classes[3] == "cat"
    assert images.labels[:20].tolist() == list(range(10)) * 2
    with tarfile.open(shared_data / "cifar10-jpeg.tar.gz") as archive:
        stream = archive.extractfile("cifar10/test/cat/0001.jpg")
        assert stream is not None
        expected = np.asarray(Image.open(io.BytesIO(stream.read())))
    np.testing.assert_array_equal(images.images[13], expected.transpose(2, 0, 1))


def test_gtsrb_has_43_classes_and_the_first_3000_official_test_images_in_order(prepared, shared_data):
    images = prepared("gtsrb", "test")
    assert len(images) == 3000
    assert len(images.classes) == 43
    assert (np.bincount(images.labels, minlength=43) >= 10).all()
    # Labels of the official test images 00000.ppm to 00007.ppm.
    assert images.labels[:8].tolist() == [16, 1, 38, 33, 11, 38, 18, 12]


def test_tiny_imagenet_of_40_classes_has_50_validation_images_a_class(prepared):
    images = prepared("tiny-imagenet-40", "test")
    assert images.images.shape == (2000, 3, 64, 64)
    assert np.bincount(images.labels).tolist() == [50] * 40
    assert len({hashlib.sha256(picture.tobytes()).digest() for picture in images.images}) > 1990
