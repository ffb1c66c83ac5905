"""Files that are whole or absent."""

from __future__ import annotations

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
