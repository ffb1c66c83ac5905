"""Files beside the code that others read: the page of the settings, continuous integration, the catalogue."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

from gauntlet.configuration.grammar import UserSettings

ROOT = Path(__file__).parents[2]


def test_the_page_of_the_configuration_has_every_setting_of_a_user():
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "config/README.md").read_text(), re.MULTILINE)
    given = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    assert table == list(given) == list(UserSettings.model_fields)


def test_continuous_integration_runs_what_a_developer_runs():
    steps = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["check"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    workflows = "".join(file.read_text() for file in ROOT.glob(".github/workflows/*.yml"))
    assert set(re.findall(r"make ([a-z-]+)", workflows)) <= set(targets)


def test_the_catalogue_is_told_how_the_workflow_is_deployed():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"]["apptainer"] == (
        "container:" in (ROOT / "Snakefile").read_text()
    )
    conda = "conda:" in "".join(file.read_text() for file in ROOT.glob("rules/*.smk"))
    assert usage["software-stack-deployment"]["conda"] == conda


def test_the_version_is_the_same_everywhere_and_has_its_place_in_the_changelog():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert f"\n## {version}\n" in (ROOT / "CHANGELOG.md").read_text()


def test_pages_link_to_files_that_exist():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "config/README.md"]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []
