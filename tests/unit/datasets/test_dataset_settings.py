"""The grammar of data sets, and the entries that the project ships."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from gauntlet.datasets.settings import DatasetSettings

SHIPPED = yaml.safe_load((Path(__file__).parents[3] / "config" / "datasets.yaml").read_text())
ENTRY = {
    "shape": [3, 2, 2],
    "classes": 2,
    "splits": {"test": {"sources": [{"kind": "image_folder", "path": "x"}]}},
}


def test_the_project_ships_the_data_sets_of_the_works():
    assert list(SHIPPED) == [
        "digits",
        "digits-rgb",
        "mnist",
        "cifar10",
        "cifar10-pseudo-labelled",
        "cifar100",
        "gtsrb",
        "tiny-imagenet",
        "tiny-imagenet-40",
        "imagenet",
        "imagenet-299",
    ]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_entry_is_valid_and_its_resolved_form_is_its_own_input(name):
    settings = DatasetSettings.model_validate(SHIPPED[name])
    for split in settings.splits:
        resolved = settings.specification(split)
        assert list(resolved["splits"]) == [split]
        assert DatasetSettings.model_validate(resolved).specification(split) == resolved
        assert settings.licence


@pytest.mark.parametrize("name", SHIPPED)
def test_every_downloaded_file_is_part_of_a_source(name):
    """Otherwise a download would succeed, and the split still not be found."""
    for split in DatasetSettings.model_validate(SHIPPED[name]).splits.values():
        paths = [
            value
            for source in split.sources
            for value in source.model_dump().values()
            if isinstance(value, str)
        ]
        for download in split.downloads:
            target = download.to.removesuffix(".gz")
            assert any(path.startswith((download.to, target)) for path in paths), download.to


def test_class_counts_of_the_shipped_entries():
    counts = {name: DatasetSettings.model_validate(entry).class_count for name, entry in SHIPPED.items()}
    assert counts == {
        "digits": 10,
        "digits-rgb": 10,
        "mnist": 10,
        "cifar10": 10,
        "cifar10-pseudo-labelled": 10,
        "cifar100": 100,
        "gtsrb": 43,
        "tiny-imagenet": 200,
        "tiny-imagenet-40": 40,
        "imagenet": 1000,
        "imagenet-299": 1000,
    }


def changed(**changes) -> dict:
    return {**ENTRY, **changes}


def with_split(**split) -> dict:
    return changed(splits={"test": {**ENTRY["splits"]["test"], **split}})


def with_download(**download) -> dict:
    whole = {"url": "https://host/file", "md5": "0" * 32, "to": "file", **download}
    return with_split(downloads=[whole])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (changed(color="blue"), "color"),
        (changed(shape=[2, 4, 4]), "shape"),
        (changed(classes=["a", "a"]), "same name"),
        (changed(classes=1), "classes"),
        (changed(splits={"validation": ENTRY["splits"]["test"]}), "validation"),
        (with_split(sources=[]), "sources"),
        (with_split(sources=[{"kind": "image_foldr", "path": "x"}]), "image_foldr"),
        (with_split(sources=[{"kind": "image_folder", "path": "x", "resize": "fit"}]), "resize"),
        (with_download(to="../file"), "below the folder of downloads"),
        (with_download(to="/file"), "below the folder of downloads"),
        (with_download(md5="abc"), "md5"),
        (with_download(url="file:///etc/passwd"), "url"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(entry, message):
    with pytest.raises(ValidationError, match=message):
        DatasetSettings.model_validate(entry)


def test_numbers_may_stand_for_names():
    assert DatasetSettings.model_validate(changed(classes=[7, 8])).class_names == ["7", "8"]
