"""The schemas that editors use."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from gauntlet.configuration.reading import read_yaml
from gauntlet.configuration.schema import write_schemas

CONFIG = Path(__file__).parents[3] / "config"


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    """The schemas, each held to its dialect, as validators by the kind of file."""
    validators = {}
    for file in write_schemas(tmp_path_factory.mktemp("schema")):
        schema = json.loads(file.read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        validators[file.name.partition(".")[0]] = jsonschema.Draft202012Validator(schema)
    return validators


def test_the_project_s_own_files_fit_their_schemas(schemas):
    schemas["datasets"].validate(read_yaml(CONFIG / "datasets.yaml"))
    for file in (CONFIG / "works").glob("*/*.yaml"):
        kind = "work" if file.name == "work.yaml" else "chapter"
        schemas[kind].validate(read_yaml(file))


def test_values_by_scale_fractions_presets_and_placeholders_fit(schemas, toy_chapter):
    toy_chapter["models"]["preset-net"] = {"dataset": "digits", "architecture": {"preset": "small-net"}}
    schemas["chapter"].validate(toy_chapter)


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
        schemas["chapter"].validate(toy_chapter)
