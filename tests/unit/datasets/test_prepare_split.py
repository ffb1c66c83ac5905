"""Preparing a split: where it is looked for, what is written, and that it is written whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import runpy
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from gauntlet.datasets import prepare as preparing
from gauntlet.datasets.imageset import open_split
from gauntlet.datasets.prepare import availability, prepare_split
from gauntlet.datasets.settings import DatasetSettings
from gauntlet.errors import ConfigurationError, DataError, ResourceUnavailable, StorageError
from gauntlet.runtime.availability import Availability

ROOT = Path(__file__).parents[3]


def idx_pair(values: list[int]) -> dict[str, bytes]:
    """Images of 1 x 1 pixel with these values, each of class 0 or 1 in turn."""
    labels = bytes(number % 2 for number in range(len(values)))
    return {
        "set/images.gz": gzip.compress(
            bytes([0, 0, 8, 3]) + struct.pack(">3I", len(values), 1, 1) + bytes(values), mtime=0
        ),
        "set/labels.gz": gzip.compress(
            bytes([0, 0, 8, 1]) + struct.pack(">I", len(values)) + labels, mtime=0
        ),
    }


PUBLISHED = idx_pair([10, 20, 30])


@pytest.fixture
def settings() -> DatasetSettings:
    """A data set whose published files are PUBLISHED, on a host that does not exist."""
    downloads = [
        {"url": f"https://{host}.invalid/{name}", "md5": hashlib.md5(content).hexdigest(), "to": name}
        for host, (name, content) in zip(("b", "a"), PUBLISHED.items(), strict=True)
    ]
    source = {"kind": "idx", "images": "set/images", "labels": "set/labels"}
    split = {"size": 3, "sources": [source], "downloads": downloads}
    return DatasetSettings.model_validate({"shape": [1, 1, 1], "classes": 2, "splits": {"test": split}})


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_local_files_go_before_downloaded_ones(settings, tmp_path):
    cache = write(tmp_path / "cache", PUBLISHED)
    own = write(tmp_path / "own", idx_pair([7, 8]))
    prepare_split(settings, "set", "test", tmp_path / "out", data_root=own, cache=cache)
    images = open_split(tmp_path / "out")
    assert images.images.ravel().tolist() == [7, 8]
    assert images.manifest["source"]["origin"] == "data_root"
    assert images.manifest["warnings"] == [
        "images.gz differs from the published file",
        "labels.gz differs from the published file",
        "2 of 3 images",
    ]


def test_downloaded_files_serve_where_there_are_no_local_ones(settings, tmp_path):
    cache = write(tmp_path / "cache", PUBLISHED)
    (tmp_path / "own").mkdir()
    manifest = prepare_split(
        settings, "set", "test", tmp_path / "out", data_root=tmp_path / "own", cache=cache
    )
    assert open_split(tmp_path / "out").images.ravel().tolist() == [10, 20, 30]
    assert manifest["source"]["origin"] == "downloads"
    assert manifest["notes"] == ["images.gz is the published file", "labels.gz is the published file"]


def test_a_downloaded_file_that_changed_is_refused(settings, tmp_path):
    cache = write(tmp_path / "cache", {**PUBLISHED, "set/images.gz": idx_pair([1, 2, 3])["set/images.gz"]})
    with pytest.raises(DataError, match=r"images\.gz has changed since it was downloaded; delete it"):
        prepare_split(settings, "set", "test", tmp_path / "out", cache=cache)


def test_a_damaged_local_file_is_not_passed_over(settings, tmp_path):
    cache = write(tmp_path / "cache", PUBLISHED)
    own = write(tmp_path / "own", {**PUBLISHED, "set/images.gz": PUBLISHED["set/images.gz"][:-9]})
    with pytest.raises(DataError, match=r"own/set/images\.gz is truncated"):
        prepare_split(settings, "set", "test", tmp_path / "out", data_root=own, cache=cache)


def test_availability_says_local_or_hosts_or_why_not(settings, tmp_path):
    own = write(tmp_path / "own", PUBLISHED)
    assert availability(settings, "test", own, tmp_path) == Availability(local=True, hosts=(), reason="")
    assert availability(settings, "test", None, own) == Availability(local=True, hosts=(), reason="")
    empty = availability(settings, "test", "", tmp_path / "cache")
    reason = "not found as no data_root is set: looked for set/images"
    assert empty == Availability(local=False, hosts=("a.invalid", "b.invalid"), reason=reason)
    half = write(tmp_path / "half", {"set/images.gz": PUBLISHED["set/images.gz"]})
    assert availability(settings, "test", "", half).hosts == ("a.invalid",)
    source = {"kind": "image_folder", "path": "mine"}
    split = {"sources": [source], "obtain": "Ask the author."}
    private = DatasetSettings.model_validate({"shape": [1, 1, 1], "classes": 2, "splits": {"test": split}})
    found = availability(private, "test", own, tmp_path)
    assert (found.local, found.hosts) == (False, ())
    assert found.reason == f"not found in data_root ({own}): looked for mine. Ask the author."


def test_a_data_root_that_does_not_exist_is_an_error_of_the_configuration(settings, tmp_path):
    for call in (
        lambda: availability(settings, "test", tmp_path / "absent", tmp_path),
        lambda: prepare_split(settings, "set", "test", tmp_path / "out", data_root=tmp_path / "absent"),
    ):
        with pytest.raises(ConfigurationError, match="absent") as error:
            call()
        assert error.value.key == "data_root"


def test_an_unknown_split_is_an_error_of_the_configuration(settings, tmp_path):
    with pytest.raises(ConfigurationError, match="no such split"):
        prepare_split(settings, "set", "train", tmp_path / "out")


def test_a_host_that_cannot_be_reached_leaves_nothing(settings, tmp_path):
    with pytest.raises(ResourceUnavailable, match=r"b\.invalid"):
        prepare_split(settings, "set", "test", tmp_path / "out", cache=tmp_path / "cache")
    assert not (tmp_path / "out").exists()


def test_the_manifest_names_shape_classes_counts_and_hashes(settings, tmp_path):
    own = write(tmp_path / "own", PUBLISHED)
    prepare_split(settings, "set", "test", tmp_path / "out", data_root=own)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["shape"] == [3, 1, 1, 1]
    assert manifest["classes"] == ["0", "1"]
    assert manifest["images_per_class"] == {"0": 2, "1": 1}
    for part in ("images", "labels"):
        content = (tmp_path / "out" / f"{part}.npy").read_bytes()
        assert manifest[f"{part}_sha256"] == hashlib.sha256(content).hexdigest()
    assert manifest["specification"]["settings"] == settings.specification("test")


def test_a_failure_leaves_an_earlier_result_as_it_was(settings, tmp_path, monkeypatch):
    own = write(tmp_path / "own", PUBLISHED)
    prepare_split(settings, "set", "test", tmp_path / "out", data_root=own)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def full_disk(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(preparing, "write_sealed_json", full_disk)
    with pytest.raises(StorageError, match="out cannot be written: no space is left on the disk"):
        prepare_split(settings, "set", "test", tmp_path / "out", data_root=own)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "own"]


def test_a_disk_without_room_is_noticed_before_anything_is_written(settings, tmp_path, monkeypatch):
    own = write(tmp_path / "own", PUBLISHED)
    monkeypatch.setattr(preparing.shutil, "disk_usage", lambda folder: SimpleNamespace(free=2))
    with pytest.raises(DataError, match="has no room"):
        prepare_split(settings, "set", "test", tmp_path / "out", data_root=own)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]


def test_an_image_set_gives_pixels_in_0_to_1_for_any_indices(settings, tmp_path):
    own = write(tmp_path / "own", PUBLISHED)
    prepare_split(settings, "set", "test", tmp_path / "out", data_root=own)
    images = open_split(tmp_path / "out")
    assert len(images) == 3
    assert isinstance(images.images, np.memmap)
    torch.testing.assert_close(
        images.tensor([2, 0]), torch.tensor([30.0, 10.0]).view(2, 1, 1, 1) / 255, rtol=0, atol=0
    )
    torch.testing.assert_close(images.tensor(slice(1, 3)), images.tensor(np.array([1, 2])), rtol=0, atol=0)
    assert images.labels_tensor(np.array([1, 2]), "cpu").tolist() == [1, 0]
    assert images.labels_tensor([1]).dtype == torch.int64


def replace(name: str, array: np.ndarray):
    return lambda folder: np.save(folder / name, array)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "no readable prepared split"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "no readable prepared split"),
        (lambda folder: os.truncate(folder / "images.npy", 129), "no readable prepared split"),
        (
            replace("images.npy", np.zeros((3, 1, 1, 2), np.uint8)),
            r"shape \(3, 1, 1, 2\) instead of \(3, 1, 1, 1\)",
        ),
        (replace("images.npy", np.zeros((3, 1, 1, 1), np.float32)), "float32 instead of uint8"),
        (replace("labels.npy", np.zeros(2, np.int64)), r"labels.npy has shape \(2,\)"),
        (replace("labels.npy", np.zeros(3, np.int32)), "int32 instead of int64"),
        (replace("labels.npy", np.array([0, 1, 2])), "a class outside 0 to 1"),
        (replace("labels.npy", np.array([None] * 3)), "no readable prepared split"),
    ],
)
def test_a_prepared_folder_that_does_not_fit_together_is_refused(settings, tmp_path, damage, message):
    own = write(tmp_path / "own", PUBLISHED)
    prepare_split(settings, "set", "test", tmp_path / "out", data_root=own)
    damage(tmp_path / "out")
    with pytest.raises(DataError, match=message):
        open_split(tmp_path / "out")


def test_the_script_prepares_what_its_rule_asks_for(tmp_path, monkeypatch):
    digits = yaml.safe_load((ROOT / "config" / "datasets.yaml").read_text())["digits"]
    specification = {"dataset": "digits", "split": "test", "settings": digits}
    snakemake = SimpleNamespace(
        params=SimpleNamespace(spec=json.dumps(specification)),
        config={"data_root": None},
        output=SimpleNamespace(manifest=str(tmp_path / "out" / "manifest.json")),
        threads=1,
        log=[str(tmp_path / "log")],
    )
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(ROOT / "scripts" / "prepare_dataset.py"), {"snakemake": snakemake})
    assert len(open_split(tmp_path / "out")) == 1000
    assert "digits/test: 1,000 images of 10 classes" in (tmp_path / "log").read_text()


def test_the_settings_of_data_sets_load_no_heavy_library():
    code = (
        "import sys, gauntlet.datasets.settings, gauntlet.datasets.prepare; "
        "print(sorted({'torch', 'torchvision', 'pandas', 'scipy', 'mlxtend'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "manifest.json"])
def test_every_flipped_bit_of_a_prepared_split_is_found(settings, tmp_path, name):
    own = write(tmp_path / "own", PUBLISHED)
    prepare_split(settings, "set", "test", tmp_path / "out", data_root=own)
    file = tmp_path / "out" / name
    content = file.read_bytes()
    for place in range(0, len(content), max(1, len(content) // 60)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(DataError, match="rm "):
            open_split(tmp_path / "out")
    file.write_bytes(content)
    assert len(open_split(tmp_path / "out")) == 3


def test_unpacked_files_are_compared_with_the_content_of_the_published_ones(
    settings, tmp_path, monkeypatch, capsys
):
    unpacked = {name.removesuffix(".gz"): gzip.decompress(content) for name, content in PUBLISHED.items()}
    known = {
        hashlib.md5(PUBLISHED[f"{name}.gz"]).hexdigest(): hashlib.md5(content).hexdigest()
        for name, content in unpacked.items()
    }
    monkeypatch.setattr(preparing, "UNPACKED_MD5", known)
    own = write(tmp_path / "own", unpacked)
    manifest = prepare_split(settings, "set", "test", tmp_path / "out", data_root=own)
    assert manifest["warnings"] == []
    assert manifest["notes"] == [
        f"{name} holds what the published file holds" for name in ("images", "labels")
    ]
    images = bytearray(unpacked["set/images"])
    images[-1] ^= 1
    (own / "set" / "images").write_bytes(images)
    manifest = prepare_split(settings, "set", "test", tmp_path / "out", data_root=own)
    assert manifest["warnings"] == ["images differs from the published file"]
    assert "Warning: set/test: images differs from the published file" in capsys.readouterr().err


def test_a_class_without_images_is_warned_of(settings, tmp_path):
    files = idx_pair([10, 20, 30])
    files["set/labels.gz"] = gzip.compress(bytes([0, 0, 8, 1]) + struct.pack(">I", 3) + bytes(3))
    own = write(tmp_path / "own", files)
    manifest = prepare_split(settings, "set", "test", tmp_path / "out", data_root=own)
    assert "no image of 1 of 2 classes (1)" in manifest["warnings"]
