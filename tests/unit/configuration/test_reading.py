"""YAML as Gauntlet reads it."""

from __future__ import annotations

import pytest

from gauntlet.configuration.reading import read_yaml
from gauntlet.errors import ConfigurationError


def write(tmp_path, text):
    file = tmp_path / "work.yaml"
    file.write_text(text)
    return file


def test_a_duplicate_name_is_refused_with_both_lines(tmp_path):
    file = write(tmp_path, "models:\n  a: {x: 1}\n  b: {x: 2}\n  a: {x: 3}\n")
    with pytest.raises(ConfigurationError, match="duplicate name") as caught:
        read_yaml(file)
    assert caught.value.key == "a"
    assert caught.value.file == file
    assert caught.value.found == "line 4, and before on line 2"


def test_a_merged_mapping_may_be_overridden(tmp_path):
    file = write(tmp_path, "d: &d {x: 1, y: 2}\ne: {<<: *d, y: 3}\n")
    assert read_yaml(file)["e"] == {"x": 1, "y": 3}


def test_a_syntax_error_names_its_line(tmp_path):
    with pytest.raises(ConfigurationError, match="not valid YAML") as caught:
        read_yaml(write(tmp_path, "a: 1\nb: [1, 2\nc: 3\n"))
    assert "line 3" in caught.value.found


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="does not exist"):
        read_yaml(tmp_path / "absent.yaml")


def test_a_list_at_the_top_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="must be a mapping"):
        read_yaml(write(tmp_path, "- 1\n- 2\n"))
