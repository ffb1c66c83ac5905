"""The networks of the works that others published: what happens with and without their files."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from re import findall

import pytest

from gauntlet.configuration import load_catalogue
from gauntlet.planning import availability
from gauntlet.planning.availability import find_available

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def catalogue():
    """The whole configuration at full scale."""
    return load_catalogue(ROOT / "config", {"scale": "full"})


@pytest.fixture(scope="module")
def files(catalogue):
    """The file of every published network."""
    return {name: entry.checkpoint.file for name, entry in catalogue.models.items() if entry.checkpoint}


@pytest.fixture(autouse=True)
def _no_network_and_no_results(monkeypatch, tmp_path):
    monkeypatch.setattr(availability, "reachable", lambda names, fresh=False: dict.fromkeys(names, False))
    monkeypatch.chdir(tmp_path)


def test_without_a_file_a_network_is_trained_in_its_place_or_missing_with_the_place_to_find_it(
    catalogue, files
):
    available = find_available(catalogue)
    in_place, missing = available.trained_in_place(), available.missing()
    for model, file in files.items():
        name = catalogue.origins[model]
        reason = in_place.get(name) or missing[f"checkpoint of {name}"]
        assert file in reason
        assert "http" in reason


def test_with_every_file_in_place_only_data_sets_are_missing(catalogue, files, tmp_path):
    for file in files.values():
        (tmp_path / "checkpoints" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "checkpoints" / file).touch()
    settings = catalogue.settings.model_copy(update={"data_root": str(tmp_path)})
    available = find_available(replace(catalogue, settings=settings))
    assert available.trained_in_place() == {}
    assert {name.rpartition("/")[2] for name in available.missing()} == {"train", "test"}
    assert all(available.imports(name) for name in files)


def test_the_page_on_data_says_where_to_put_every_file_and_what_happens_without_it(catalogue, files):
    section = (ROOT / "docs" / "data.md").read_text().partition("## Where published networks")[2]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    for name, file in files.items():
        (row,) = [
            row for row in rows if any(fnmatchcase(file, pattern) for pattern in findall("`(.+?)`", row[0]))
        ]
        assert any(fnmatchcase(name, pattern) for pattern in findall("`(.+?)`", row[1])), name
        trained = catalogue.models[name].training is not None
        assert ("trained" if trained else "missing") in row[3], name
