"""Folders of images: classes, order, tables, ImageNet's validation images."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest

from gauntlet.datasets.imageset import open_split
from gauntlet.datasets.prepare import availability, prepare_split
from gauntlet.datasets.settings import DatasetSettings
from gauntlet.errors import ConfigurationError, DataError, ResourceUnavailable


def settings_for(source: dict, classes, **split) -> DatasetSettings:
    return DatasetSettings.model_validate(
        {"shape": [3, 4, 4], "classes": classes, "splits": {"test": {"sources": [source], **split}}}
    )


@pytest.fixture
def prepare(tmp_path):
    def run(settings, root):
        prepare_split(settings, "set", "test", tmp_path / "out", data_root=root, cache=tmp_path / "downloads")
        return open_split(tmp_path / "out")

    return run


@pytest.fixture
def animals(image) -> dict[str, bytes]:
    """Three classes; the gray value of an image tells it apart."""
    return {
        "cat/10.png": image(110),
        "cat/9.png": image(109),
        "ant/9.png": image(9),
        "dog/deep/below/1.png": image(201),
        "dog/notes.txt": b"text",
        "stray.png": image(0),
    }


FOLDER = {"kind": "image_folder", "path": "set", "order": "name"}


def gray_values(images) -> list[int]:
    return images.images[:, 0, 0, 0].tolist()


def test_classes_are_the_sorted_folders_and_images_are_ordered_by_number(write_files, animals, prepare):
    root = write_files({f"set/{name}": content for name, content in animals.items()})
    images = prepare(settings_for(FOLDER, 3), root)
    assert images.classes == ["ant", "cat", "dog"]
    assert gray_values(images) == [201, 9, 109, 110]
    assert images.labels.tolist() == [2, 0, 1, 1]
    assert images.manifest["images_per_class"] == {"ant": 1, "cat": 2, "dog": 1}
    assert images.manifest["notes"] == [
        "1 files that are no images left out",
        "1 images outside the folders of the classes left out",
    ]


def test_the_archive_of_a_folder_gives_the_same_as_the_folder(
    write_files, write_tar, write_zip, animals, prepare
):
    root = write_files({f"set/{name}": content for name, content in animals.items()})
    write_tar("set.tar.gz", {f"deep/set/{name}": content for name, content in animals.items()})
    write_zip("set.zip", {f"deep/set/{name}": content for name, content in animals.items()})
    hashes = {
        prepare(settings_for({"kind": "image_folder", "path": path}, 3), root).manifest["images_sha256"]
        for path in ("set", "set.tar.gz/deep/set", "set.zip/deep/set")
    }
    assert len(hashes) == 1


def test_listed_classes_fix_the_labels_and_leave_other_folders_out(write_files, animals, prepare):
    root = write_files({f"set/{name}": content for name, content in animals.items()})
    images = prepare(settings_for(FOLDER, ["dog", "ant"]), root)
    assert images.classes == ["dog", "ant"]
    assert gray_values(images) == [201, 9]
    assert images.labels.tolist() == [0, 1]


def test_a_shuffled_folder_is_mixed_and_always_the_same(write_files, image, prepare):
    root = write_files({f"set/{name}/{n}.png": image(n) for name in "abcd" for n in range(30)})
    settings = settings_for({"kind": "image_folder", "path": "set"}, 4)
    first, again = prepare(settings, root), prepare(settings, root)
    assert set(first.labels[:20].tolist()) == {0, 1, 2, 3}
    assert first.manifest["images_sha256"] == again.manifest["images_sha256"]
    assert sorted(gray_values(first)) == sorted(list(range(30)) * 4)


def test_a_missing_class_is_named_with_the_classes_there(write_files, animals, prepare):
    root = write_files({f"set/{name}": content for name, content in animals.items()})
    with pytest.raises(DataError, match=r"no images of cow, pig \(classes there: ant, cat, dog\)"):
        prepare(settings_for(FOLDER, ["cow", "dog", "pig"]), root)


def test_another_number_of_classes_is_refused(write_files, animals, prepare):
    root = write_files({f"set/{name}": content for name, content in animals.items()})
    with pytest.raises(DataError, match="holds 3 classes instead of 5"):
        prepare(settings_for(FOLDER, 5), root)


def test_an_unreadable_image_is_named_and_nothing_is_left_behind(write_files, animals, prepare, tmp_path):
    root = write_files({f"set/{name}": content for name, content in animals.items()})
    (root / "set" / "cat" / "9.png").write_bytes(animals["cat/9.png"][:50])
    with pytest.raises(DataError, match=r"set/cat/9\.png is not a readable image"):
        prepare(settings_for(FOLDER, 3), root)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_an_image_of_another_size_is_named(write_tar, animals, image, prepare):
    root = write_tar("s.tar", {**animals, "cat/9.png": image(1, size=(5, 4))}).parent
    with pytest.raises(DataError, match=r"s\.tar/cat/9\.png is 5 wide and 4 high"):
        prepare(settings_for({**FOLDER, "path": "s.tar"}, 3), root)


TABLE = {
    "kind": "image_table",
    "path": "images",
    "table": "truth.csv",
    "delimiter": ";",
    "file_column": "Filename",
    "class_column": "ClassId",
}


def test_a_table_with_a_header_and_numbers_gives_order_and_labels(write_files, image, prepare):
    """The layout of the official GTSRB test set: numbers beside class names with leading zeros."""
    root = write_files(
        {
            "truth.csv": b"Filename;Width;ClassId\r\n00001.ppm;4;0\r\n00000.ppm;4;2\r\n",
            **{f"images/0000{n}.ppm": image(n, kind="PPM") for n in range(3)},
        }
    )
    images = prepare(settings_for(TABLE, ["00000", "00001", "00002"]), root)
    assert gray_values(images) == [1, 0]
    assert images.labels.tolist() == [0, 2]
    assert images.manifest["notes"] == ["1 images that the table does not name left out"]


def test_a_table_without_a_header_and_with_names_gives_labels_of_sorted_names(write_zip, image, prepare):
    """The layout of Tiny ImageNet's validation images."""
    source = {
        "kind": "image_table",
        "path": "tiny.zip/val/images",
        "table": "tiny.zip/val/val_annotations.txt",
        "delimiter": "\t",
        "file_column": 0,
        "class_column": 1,
    }
    lines = b"val_0.png\tn02\t0\t0\t9\t9\nval_1.png\tn01\t0\t0\t9\t9\nval_2.png\tn02\t1\t1\t9\t9\n"
    files = {f"val/images/val_{n}.png": image(n) for n in range(3)}
    root = write_zip("tiny.zip", {"val/val_annotations.txt": lines, **files}).parent
    images = prepare(settings_for(source, 2), root)
    assert images.classes == ["n01", "n02"]
    assert images.labels.tolist() == [1, 0, 1]
    assert gray_values(images) == [0, 1, 2]


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (
            b"Filename;ClassId\n0.png;0\n1.png;1\n",
            DataError,
            r"names 1 images that .* does not hold, such as 1\.png",
        ),
        (b"Filename;ClassId\n0.png;0\n0.png;1\n", DataError, "names an image twice"),
        (b"Filename;ClassId\n0.png;7\n", DataError, "unknown classes: 7"),
        (b"Filename;ClassId\n0.png\n", DataError, "fewer than 2 columns"),
        (b"Filename;Label\n0.png;0\n", ConfigurationError, "no such column"),
        (b"", ConfigurationError, "no such column"),
        (b"\xff\xfe\x00", DataError, "not a text file"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(write_files, image, prepare, table, error, message):
    root = write_files({"truth.csv": table, "images/0.png": image(0)})
    with pytest.raises(error, match=message):
        prepare(settings_for(TABLE, ["a", "b"]), root)


IMAGENET = {"kind": "imagenet_validation", "path": "val", "devkit": "kit.tar.gz/kit", "resize": "stretch"}


def development_kit() -> dict[str, bytes]:
    """Three classes whose numbers are not in the order of their ids, and an inner node of the hierarchy."""
    from scipy.io import savemat

    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O")]
    rows = [(1, "n03", "c", "", 0), (2, "n01", "a", "", 0), (3, "n02", "b", "", 0), (4, "n00", "all", "", 3)]
    stream = io.BytesIO()
    savemat(stream, {"synsets": np.array(rows, dtype=fields)})
    return {
        "kit/data/meta.mat": stream.getvalue(),
        "kit/data/ILSVRC2012_validation_ground_truth.txt": b"2\n1\n3\n1\n",
    }


def flat_images(image) -> dict[str, bytes]:
    return {f"ILSVRC2012_val_{n:08d}.JPEG": image(50 * n, kind="JPEG") for n in (1, 2, 3, 4)}


@pytest.mark.parametrize("packed", [False, True])
def test_flat_imagenet_images_get_the_labels_of_the_kit_by_sorted_wordnet_id(
    write_files, write_tar, image, prepare, packed
):
    root = write_tar("kit.tar.gz", development_kit()).parent
    if packed:
        write_tar("val.tar", flat_images(image))
    else:
        write_files({f"val/{name}": content for name, content in flat_images(image).items()})
    source = {**IMAGENET, "path": "val.tar" if packed else "val"}
    images = prepare(settings_for(source, 3), root)
    assert images.classes == ["n01", "n02", "n03"]
    # Kit numbers 2, 1, 3, 1 are n01, n03, n02, n03.
    assert images.labels.tolist() == [0, 2, 1, 2]
    np.testing.assert_allclose(gray_values(images), [50, 100, 150, 200], atol=2)


def test_imagenet_in_class_folders_needs_no_kit_and_has_the_official_order(write_files, image, prepare):
    names = [
        "n03/ILSVRC2012_val_00000002.JPEG",
        "n01/ILSVRC2012_val_00000001.JPEG",
        "n02/ILSVRC2012_val_00000003.JPEG",
    ]
    root = write_files({f"val/{name}": image(50 * int(name[-6]), kind="JPEG") for name in names})
    images = prepare(settings_for(IMAGENET, 3), root)
    assert images.labels.tolist() == [0, 2, 1]
    np.testing.assert_allclose(gray_values(images), [50, 100, 150], atol=2)


def test_flat_imagenet_images_without_a_kit_cannot_be_had(write_files, image, tmp_path):
    root = write_files({f"val/{name}": content for name, content in flat_images(image).items()})
    settings = settings_for(IMAGENET, 3, obtain="Register and put the kit there.")
    found = availability(settings, "test", root, tmp_path)
    assert not found.local
    assert "Register and put the kit there." in found.reason
    with pytest.raises(ResourceUnavailable, match="Register and put the kit there"):
        prepare_split(settings, "set", "test", tmp_path / "out", data_root=root, cache=tmp_path)


def test_a_flat_imagenet_archive_without_a_kit_says_what_is_missing(write_tar, image, prepare):
    root = write_tar("val.tar", flat_images(image)).parent
    with pytest.raises(DataError, match=r"put ILSVRC2012_devkit_t12\.tar\.gz beside it"):
        prepare(settings_for({**IMAGENET, "path": "val.tar"}, 3), root)


def test_a_damaged_development_kit_is_named(write_files, write_tar, image, prepare):
    write_files({f"val/{name}": content for name, content in flat_images(image).items()})
    root = write_tar("kit.tar.gz", {**development_kit(), "kit/data/meta.mat": b"nonsense" * 40}).parent
    with pytest.raises(DataError, match=r"kit\.tar\.gz/kit is damaged or no development kit"):
        prepare(settings_for(IMAGENET, 3), root)


def test_an_imagenet_image_beyond_the_ground_truth_is_named(write_files, write_tar, image, prepare):
    root = write_tar("kit.tar.gz", development_kit()).parent
    write_files({"val/ILSVRC2012_val_00000005.JPEG": image(0, kind="JPEG")})
    with pytest.raises(DataError, match=r"ILSVRC2012_val_00000005\.JPEG is no validation image"):
        prepare(settings_for(IMAGENET, 3), root)


def test_an_archive_that_holds_an_image_twice_is_refused_by_its_name(write_files, animals, prepare, tmp_path):
    root = write_files({"x": b""})
    with tarfile.open(root / "s.tar", "w") as archive:
        for name, content in [*animals.items(), next(iter(animals.items()))]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    with pytest.raises(DataError, match=r"s\.tar.* twice"):
        prepare(settings_for({**FOLDER, "path": "s.tar"}, 3), root)
