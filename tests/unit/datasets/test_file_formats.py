"""IDX files, CIFAR's binary records and plain arrays: read right, and damage noticed."""

from __future__ import annotations

import gzip
import io
import struct

import numpy as np
import pytest

from gauntlet.datasets.imageset import open_split
from gauntlet.datasets.prepare import prepare_split
from gauntlet.datasets.reading import parse_idx
from gauntlet.datasets.settings import DatasetSettings
from gauntlet.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 0, 2], dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    """Write an IDX file as its definition says."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def idx_settings(**split) -> DatasetSettings:
    source = {"kind": "idx", "images": "set/images-idx3-ubyte", "labels": "set/labels-idx1-ubyte"}
    return DatasetSettings.model_validate(
        {"shape": [1, 5, 4], "classes": 5, "splits": {"test": {"sources": [source], **split}}}
    )


@pytest.fixture
def prepare(tmp_path):
    def run(settings, root):
        prepare_split(settings, "set", "test", tmp_path / "out", data_root=root, cache=tmp_path / "downloads")
        return open_split(tmp_path / "out")

    return run


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_plain_or_compressed_give_their_images_and_labels(write_files, prepare, packed):
    files = {"set/images-idx3-ubyte": idx(IMAGES), "set/labels-idx1-ubyte": idx(LABELS)}
    if packed:
        files = {f"{name}.gz": gzip.compress(content) for name, content in files.items()}
    images = prepare(idx_settings(), write_files(files))
    np.testing.assert_array_equal(images.images, IMAGES[:, None])
    np.testing.assert_array_equal(images.labels, LABELS)
    assert images.classes == ["0", "1", "2", "3", "4"]


def test_fewer_images_than_published_are_warned_of(write_files, prepare):
    files = {"set/images-idx3-ubyte": idx(IMAGES), "set/labels-idx1-ubyte": idx(LABELS)}
    images = prepare(idx_settings(size=60_000), write_files(files))
    assert "6 of 60,000 images" in images.manifest["warnings"]


@pytest.mark.parametrize("change", [-1, 1])
def test_an_idx_file_of_another_length_than_its_header_says_is_refused(write_files, prepare, change):
    content = idx(IMAGES)
    content = content[:change] if change < 0 else content + b"\0"
    root = write_files({"set/images-idx3-ubyte": content, "set/labels-idx1-ubyte": idx(LABELS)})
    with pytest.raises(
        DataError, match=r"images-idx3-ubyte is truncated or altered: .* 120 bytes, 1(19|21) follow"
    ):
        prepare(idx_settings(), root)


def test_an_idx_header_whose_sizes_overflow_is_refused():
    content = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**31, 4)
    with pytest.raises(DataError, match="announces 18,446,744,073,709,551,616 bytes"):
        parse_idx(content, "x", dimensions=3)


@pytest.mark.parametrize("content", [b"", b"\0\0\x08", idx(LABELS), bytes([0, 0, 13, 3]) + bytes(16)])
def test_what_is_no_idx_file_of_images_is_refused(content):
    with pytest.raises(DataError, match="no IDX file"):
        parse_idx(content, "x", dimensions=3)


@pytest.mark.parametrize("cut", [4, 30])
def test_a_truncated_gzip_file_names_itself(write_files, prepare, cut):
    root = write_files(
        {
            "set/images-idx3-ubyte.gz": gzip.compress(idx(IMAGES))[:-cut],
            "set/labels-idx1-ubyte.gz": gzip.compress(idx(LABELS)),
        }
    )
    with pytest.raises(DataError, match=r"images-idx3-ubyte\.gz is truncated or damaged"):
        prepare(idx_settings(), root)


def test_unequal_numbers_of_images_and_labels_are_refused(write_files, prepare):
    root = write_files({"set/images-idx3-ubyte": idx(IMAGES), "set/labels-idx1-ubyte": idx(LABELS[:5])})
    with pytest.raises(DataError, match="6 images but 5 labels"):
        prepare(idx_settings(), root)


def test_a_label_without_a_class_is_refused(write_files, prepare):
    root = write_files({"set/images-idx3-ubyte": idx(IMAGES), "set/labels-idx1-ubyte": idx(LABELS + 2)})
    with pytest.raises(DataError, match="labels run from 2 to 6, but there are 5 classes"):
        prepare(idx_settings(), root)


def test_images_of_another_shape_are_refused(write_files, prepare):
    root = write_files({"set/images-idx3-ubyte": idx(IMAGES[:, :4]), "set/labels-idx1-ubyte": idx(LABELS)})
    with pytest.raises(DataError, match=r"shape \(1, 4, 4\) instead of \(1, 5, 4\)"):
        prepare(idx_settings(), root)


def cifar_settings(label_bytes: int, path: str) -> DatasetSettings:
    source = {"kind": "cifar_binary", "path": path, "files": ["b.bin", "a.bin"], "label_bytes": label_bytes}
    return DatasetSettings.model_validate(
        {"shape": [3, 2, 2], "classes": ["x", "y", "z"], "splits": {"test": {"sources": [source]}}}
    )


def cifar_files(label_bytes: int) -> tuple[dict[str, bytes], np.ndarray, np.ndarray]:
    """Two files of two records: the super-class if there is one, the class, red, green, blue."""
    images = np.arange(48, dtype=np.uint8).reshape(4, 3, 2, 2)
    labels = np.array([2, 0, 1, 2])
    records = [
        bytes([9] * (label_bytes - 1) + [label]) + image.tobytes()
        for image, label in zip(images, labels, strict=True)
    ]
    return {"a.bin": b"".join(records[2:]), "b.bin": b"".join(records[:2])}, images, labels


@pytest.mark.parametrize("label_bytes", [1, 2])
def test_cifar_records_give_class_and_pixels_in_the_order_of_the_settings(
    write_files, write_tar, prepare, label_bytes
):
    files, expected, labels = cifar_files(label_bytes)
    write_files({f"batches/{name}": content for name, content in files.items()})
    root = write_tar("set.tar.gz", {f"batches/{name}": content for name, content in files.items()}).parent
    for path in ("batches", "set.tar.gz/batches"):
        images = prepare(cifar_settings(label_bytes, path), root)
        np.testing.assert_array_equal(images.images, expected)
        np.testing.assert_array_equal(images.labels, labels)
        assert images.classes == ["x", "y", "z"]


def test_a_truncated_cifar_file_names_itself(write_files, prepare):
    files, _, _ = cifar_files(1)
    root = write_files({"batches/a.bin": files["a.bin"], "batches/b.bin": files["b.bin"][:-3]})
    with pytest.raises(
        DataError, match=r"b\.bin is truncated or altered: 23 bytes are no whole number of records of 13"
    ):
        prepare(cifar_settings(1, "batches"), root)


def test_an_archive_without_one_of_the_cifar_files_names_it(write_tar, prepare):
    root = write_tar("set.tar.gz", {"batches/a.bin": cifar_files(1)[0]["a.bin"]}).parent
    with pytest.raises(DataError, match=r"set\.tar\.gz/batches does not hold b\.bin"):
        prepare(cifar_settings(1, "set.tar.gz/batches"), root)


def npz_settings() -> DatasetSettings:
    source = {"kind": "numpy_arrays", "path": "more.npz"}
    return DatasetSettings.model_validate(
        {"shape": [3, 5, 4], "classes": 5, "splits": {"test": {"sources": [source]}}}
    )


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_plain_arrays_of_channels_last_give_their_images_and_labels(write_files, prepare):
    colors = np.random.default_rng(1).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
    images = prepare(npz_settings(), write_files({"more.npz": npz(images=colors, labels=LABELS)}))
    np.testing.assert_array_equal(images.images, colors.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(images.labels, LABELS)


@pytest.mark.parametrize(
    "content",
    [
        npz(data=np.zeros(3), labels=LABELS),
        npz(images=np.zeros((6, 5, 4, 3)), labels=LABELS),
        npz(images=np.zeros((6, 5, 4, 3), np.uint8), labels=np.array([None] * 6)),
        b"PK, but no archive",
    ],
)
def test_what_is_no_pair_of_plain_arrays_is_refused_and_nothing_is_unpickled(write_files, prepare, content):
    with pytest.raises(DataError, match=r"more\.npz"):
        prepare(npz_settings(), write_files({"more.npz": content}))
