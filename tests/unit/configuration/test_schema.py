"""The schemas that editors use."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from gauntlet.configuration.schema import write_schemas

CONFIG = Path(__file__).parents[3] / "config"


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    files = write_schemas(tmp_path_factory.mktemp("schema"))
    return {file.name.partition(".")[0]: json.loads(file.read_text()) for file in files}


def test_the_project_s_own_files_fit_their_schemas(schemas):
    jsonschema.validate(yaml.safe_load((CONFIG / "datasets.yaml").read_text()), schemas["datasets"])
    for file in (CONFIG / "works").glob("*/*.yaml"):
        kind = "work" if file.name == "work.yaml" else "chapter"
        jsonschema.validate(yaml.safe_load(file.read_text()), schemas[kind])


def test_values_by_scale_fractions_presets_and_placeholders_fit(schemas, toy_chapter):
    toy_chapter["models"]["preset-net"] = {"dataset": "digits", "architecture": {"preset": "small-net"}}
    jsonschema.validate(toy_chapter, schemas["chapter"])


@pytest.mark.parametrize(
    "change",
    [
        lambda work: work.update(artifacts={}),
        lambda work: work["evaluations"]["attacks-{eps}"].update(smaples={}),
        lambda work: work["evaluations"]["attacks-{eps}"]["procedures"]["pgd-{steps}"].update(
            name="first_ordr"
        ),
        lambda work: work["evaluations"]["attacks-{eps}"]["procedures"]["pgd-{steps}"].update(stepsize=1),
        lambda work: work["models"]["toy-{eps}"]["training"].update(epochs={"demo": 1, "small": 2}),
    ],
)
def test_mistakes_do_not_fit(schemas, toy_chapter, change):
    change(toy_chapter)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(toy_chapter, schemas["chapter"])
