"""Results in an archive: described, checked, and put back where they belong."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from gauntlet.bundle import CHECKSUMS, METADATA, unpack_bundle, write_bundle
from gauntlet.configuration import paths
from gauntlet.errors import DataError
from gauntlet.planning.workflow import Workflow
from gauntlet.runtime.checksums import write_sealed_json
from gauntlet.runtime.tables import write_table, write_with_manifest


@pytest.fixture
def workflow(load_toy, tmp_path, monkeypatch):
    """The toy with one model, one evaluation and one table made."""
    monkeypatch.chdir(tmp_path)
    workflow = Workflow(load_toy())
    folder = paths.model_folder("demo", "toy-4")
    write_sealed_json(folder / "manifest.json", {"specification": workflow.model_specification("toy-4")})
    write_table(folder / "history.parquet", pa.table({"epoch": [1]}))
    (folder / "weights.safetensors").write_bytes(b"weights")
    table = paths.evaluation_file("demo", "toy", "attacks-4")
    write_with_manifest(table, pa.table({"rank": [0, 1]}), {"specification": {}})
    (folder / "resume.pt").write_bytes(b"no result")
    return workflow


def files_below(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


def test_what_was_made_comes_back_to_the_byte_and_nothing_else(workflow, tmp_path):
    packed = write_bundle(workflow, Path("bundle.zip"))
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    written = unpack_bundle(Path("bundle.zip"), fresh)
    assert sorted(file.relative_to(fresh) for file in written) == packed
    made = {name: content for name, content in files_below(Path("results")).items() if "resume" not in name}
    assert files_below(fresh / "results") == made
    assert unpack_bundle(Path("bundle.zip"), fresh) == [], "what is there stays"


def test_the_description_names_every_file_with_its_size_and_hash(workflow):
    packed = write_bundle(workflow, Path("bundle.zip"))
    with zipfile.ZipFile("bundle.zip") as archive:
        graph = {entry["@id"]: entry for entry in json.loads(archive.read(METADATA))["@graph"]}
        listed = dict(line.split("  ")[::-1] for line in archive.read(CHECKSUMS).decode().splitlines())
    assert graph[METADATA]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert [part["@id"] for part in graph["./"]["hasPart"]] == [str(file) for file in packed]
    for file in packed:
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        assert graph[str(file)]["sha256"] == listed[str(file)] == sha256
        assert graph[str(file)]["contentSize"] == str(file.stat().st_size)


def test_a_damaged_result_is_not_packed(workflow):
    table = paths.evaluation_file("demo", "toy", "attacks-4")
    content = bytearray(table.read_bytes())
    content[20] ^= 1
    table.write_bytes(content)
    with pytest.raises(DataError, match=r"attacks-4\.parquet is damaged"):
        write_bundle(workflow, Path("bundle.zip"))
    assert not Path("bundle.zip").exists()


def test_nothing_made_makes_no_bundle(workflow):
    shutil.rmtree("results")
    with pytest.raises(DataError, match="nothing was made at scale demo yet"):
        write_bundle(workflow, Path("bundle.zip"))


def rewritten(change):
    """Rewrite the bundle with its members changed by ``change``; checksums as the changed list has them."""
    with zipfile.ZipFile("bundle.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile("bundle.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def add(name, content=b"x"):
    def change(members):
        members[name] = content
        members[CHECKSUMS] += f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (add("results/../escaped.json"), "belongs to no results"),
        (add("results/demo/models/toy-4/resume.pt"), "belongs to no results"),
        (add("results/demo/bomb.npz", bytes(1 << 24)), "unpacks to 16 MiB"),
        (lambda members: members.pop("results/demo/models/toy-4/manifest.json"), "lacks results/demo"),
        (
            lambda members: members.update({"results/demo/models/toy-4/weights.safetensors": b"others"}),
            "not what its checksum says",
        ),
    ],
)
def test_a_bundle_that_was_tampered_with_is_refused(workflow, tmp_path, change, message):
    write_bundle(workflow, Path("bundle.zip"))
    rewritten(change)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    with pytest.raises(DataError, match=message):
        unpack_bundle(Path("bundle.zip"), fresh)
    assert not (tmp_path / "escaped.json").exists()


def test_a_truncated_bundle_and_another_archive_are_refused(workflow, tmp_path):
    write_bundle(workflow, Path("bundle.zip"))
    Path("bundle.zip").write_bytes(Path("bundle.zip").read_bytes()[:200])
    with pytest.raises(DataError, match="truncated or damaged"):
        unpack_bundle(Path("bundle.zip"), tmp_path)
    with zipfile.ZipFile("other.zip", "w") as archive:
        archive.writestr("cifar10/train/cat/1.png", b"")
    with pytest.raises(DataError, match="no bundle"):
        unpack_bundle(Path("other.zip"), tmp_path)


def test_unpacked_results_have_one_time_so_that_none_is_older_than_its_input(workflow, tmp_path):
    write_bundle(workflow, Path("bundle.zip"))
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    times = {file.stat().st_mtime_ns for file in unpack_bundle(Path("bundle.zip"), fresh)}
    assert len(times) == 1
