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


def test_numbers_of_base_60_and_8_are_not_guessed(tmp_path):
    content = read_yaml(
        write(tmp_path, "a: 1:30\nb: 010\nc: 1:30.5\nd: [90, -1.5, .5, 1e-3, 1.0e-3, 0x10, .inf]\n")
    )
    assert content == {
        "a": "1:30",
        "b": "010",
        "c": "1:30.5",
        "d": [90, -1.5, 0.5, "1e-3", 0.001, 16, float("inf")],
    }


def test_a_file_that_is_no_utf_8_is_named(tmp_path):
    file = tmp_path / "work.yaml"
    file.write_bytes("title: größer".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="not text in UTF-8") as caught:
        read_yaml(file)
    assert caught.value.file == file


def test_a_number_of_thousands_of_digits_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="not a usable value"):
        read_yaml(write(tmp_path, f"seed: {'9' * 5000}\n"))


def test_anchors_that_would_fill_the_memory_are_refused(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigurationError, match="more than 1,000,000 values"):
        read_yaml(write(tmp_path, "\n".join(lines)))
    with pytest.raises(ConfigurationError, match="not valid YAML"):
        read_yaml(write(tmp_path, "a: &a [1, *a]\n"))


def test_values_that_are_nested_too_deeply_are_refused(tmp_path):
    # PyYAML itself refuses them from 6.0.4 on.
    with pytest.raises(ConfigurationError, match=r"nested too deeply|maximum nesting depth"):
        read_yaml(write(tmp_path, f"a: {'[' * 5000}{']' * 5000}\n"))
