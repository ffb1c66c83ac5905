"""Files that are whole or absent."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from gauntlet.runtime.files import (
    atomic_path,
    compact_json,
    file_sha256,
    fingerprint,
    read_json,
    source_fingerprint,
    write_json,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "data.json"
    write_json(target, {"a": 1})
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert read_json(target) == {"a": 1}
    assert list(tmp_path.iterdir()) == [target]


def test_a_fingerprint_follows_values_and_the_order_of_entries():
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"a": 1, "b": [1, 2]})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert fingerprint({"a": 1, "b": 2}) != fingerprint({"b": 2, "a": 1})
    assert compact_json({"b": 1, "a": [2]}) == '{"b":1,"a":[2]}'


def test_the_hash_of_a_file_is_sha256(tmp_path):
    file = tmp_path / "abc"
    file.write_bytes(b"abc")
    assert file_sha256(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_source_fingerprint_follows_the_code(tmp_path, monkeypatch):
    package = tmp_path / "sample_package"
    package.mkdir()
    (package / "__init__.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = source_fingerprint("sample_package")
    (package / "__init__.py").write_text("x = 2\n")
    assert source_fingerprint("sample_package") != before


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np, torch
from gauntlet.errors import StorageError
from gauntlet.runtime.files import atomic_path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for name, write in {
    "state.pt": lambda file: torch.save({"a": torch.zeros(10**5)}, file),
    "array.npy": lambda file: np.save(file, np.zeros(10**5)),
    "text.csv": lambda file: file.write_text("0" * 10**5),
}.items():
    try:
        with atomic_path(Path(name)) as temporary:
            write(temporary)
    except StorageError as error:
        print(error)
"""


def test_a_file_that_finds_no_room_is_named_with_the_cause_whoever_writes_it(tmp_path):
    said = subprocess.run(
        [sys.executable, "-c", FULL], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"(\S+) cannot be written: the file would be larger than is allowed", said) == [
        "state.pt",
        "array.npy",
        "text.csv",
    ]
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_a_writer_are_not_blamed_on_the_disk(tmp_path):
    with pytest.raises(RuntimeError, match="shapes"), atomic_path(tmp_path / "a.npy"):
        raise RuntimeError("shapes do not agree")
