"""Files that say themselves whether they are as they were written."""

from __future__ import annotations

import json
import random
import shutil

import numpy as np
import pyarrow as pa
import pytest
import torch

from gauntlet.errors import DataError
from gauntlet.runtime.checksums import (
    fault_of,
    read_sealed_json,
    readable,
    sealed_path,
    verify_hash,
    write_sealed_json,
)
from gauntlet.runtime.files import file_sha256
from gauntlet.runtime.tables import read_manifest, read_table, write_table, write_with_manifest

TABLE = pa.table({"index": list(range(50)), "distance": [0.25 * number for number in range(50)]})


def write_arrays(file):
    with sealed_path(file) as temporary:
        np.savez(temporary, a=np.arange(30.0), b=np.zeros(3, dtype=bool))


def write_array(file):
    with sealed_path(file) as temporary:
        np.save(temporary, np.arange(30.0))


def write_state(file):
    with sealed_path(file) as temporary:
        torch.save({"weights": torch.arange(30.0), "epoch": 3}, temporary)


WRITERS = {
    "state.pt": write_state,
    "arrays.npz": write_arrays,
    "array.npy": write_array,
    "table.parquet": lambda file: write_with_manifest(file, TABLE, {"seconds": 1.5, "note": "a"}),
    "history.parquet": lambda file: write_table(file, TABLE),
    "manifest.json": lambda file: write_sealed_json(file, {"shape": [3, 4], "notes": ["größer"]}),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_flipped_bit_is_found(tmp_path, name):
    file = tmp_path / name
    WRITERS[name](file)
    assert fault_of(file) is None
    content, rng = file.read_bytes(), random.Random(0)
    for _ in range(200):
        place, bit = rng.randrange(len(content)), 1 << rng.randrange(8)
        file.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
        assert fault_of(file) is not None, f"bit {bit} of byte {place} of {len(content)}"


@pytest.mark.parametrize("name", WRITERS)
def test_a_flipped_bit_of_the_checksum_itself_is_found(tmp_path, name):
    file = tmp_path / name
    WRITERS[name](file)
    content = file.read_bytes()
    start = content.rindex(b"gauntlet-checksum")
    for place in range(start, start + 97):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert fault_of(file) is not None, f"byte {place - start} of the checksum"


def test_a_sealed_file_survives_a_copy_and_is_read_as_before(tmp_path):
    for name, write in WRITERS.items():
        write(tmp_path / name)
        shutil.copyfile(tmp_path / name, tmp_path / f"copy-{name}")
    state = torch.load(tmp_path / "copy-state.pt", weights_only=True)
    assert state["epoch"] == 3
    assert torch.equal(state["weights"], torch.arange(30.0))
    with np.load(tmp_path / "copy-arrays.npz") as arrays:
        assert list(arrays) == ["a", "b"]
        assert np.array_equal(arrays["a"], np.arange(30.0))
    assert np.array_equal(np.load(tmp_path / "copy-array.npy"), np.arange(30.0))
    assert read_table(tmp_path / "copy-table.parquet").equals(TABLE)
    assert read_manifest(tmp_path / "copy-table.parquet") == {"seconds": 1.5, "note": "a"}
    assert read_sealed_json(tmp_path / "copy-manifest.json") == {"shape": [3, 4], "notes": ["größer"]}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.97])
def test_a_truncated_file_is_refused_with_its_name_and_the_remedy(tmp_path, name, kept):
    file = tmp_path / name
    WRITERS[name](file)
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    readers = {
        ".pt": lambda: torch.load(file, weights_only=True),
        ".npz": lambda: dict(np.load(file)),
        ".npy": lambda: np.load(file),
        ".parquet": lambda: read_table(file),
        ".json": lambda: json.loads(file.read_text()),
    }
    with pytest.raises(DataError, match=f"{name} is damaged") as caught, readable(file):
        readers[file.suffix]()
    assert f"rm -f {file}" in str(caught.value)


def test_a_file_of_an_earlier_version_has_no_checksum_and_is_read(tmp_path):
    (tmp_path / "manifest.json").write_text('{"shape": [1]}')
    assert read_sealed_json(tmp_path / "manifest.json") == {"shape": [1]}
    np.save(tmp_path / "array.npy", np.arange(3))
    assert fault_of(tmp_path / "array.npy") is None


def test_a_hash_is_compared_where_one_was_recorded(tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(b"weights")
    assert verify_hash(file, None) == verify_hash(file, file_sha256(file)) == file_sha256(file)
    with pytest.raises(DataError, match="weights is damaged"):
        verify_hash(file, file_sha256(file)[::-1])
    with pytest.raises(DataError, match="absent is damaged: it cannot be read"):
        verify_hash(tmp_path / "absent", None)
