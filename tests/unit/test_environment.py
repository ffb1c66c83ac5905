"""The environment is described once: in the lock file, which every other recipe uses."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
LOCKED = dict(re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", LOCK, re.MULTILINE))


def names(requirements):
    return [re.split(r"[<>=!~\[ ]", requirement, maxsplit=1)[0].lower() for requirement in requirements]


def test_every_dependency_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = names([*project["dependencies"], *project["optional-dependencies"]["dev"]])
    assert [name for name in wanted if name not in LOCKED] == []


def test_the_lock_has_hashes_and_no_addresses():
    pins = re.findall(r"^[a-z0-9._-]+==", LOCK, re.MULTILINE)
    assert len(pins) > 100
    assert LOCK.count("--hash=sha256:") >= len(pins)
    assert "://" not in LOCK


def test_the_installed_environment_is_the_locked_one():
    for name in ("torch", "torchvision", "snakemake", "pandas", "foolbox", "pyautoattack"):
        assert metadata.version(name) == LOCKED[name]


def test_conda_and_containers_install_from_the_lock():
    conda = yaml.safe_load((ROOT / "envs/environment.yaml").read_text())
    pip = next(entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict))
    assert pip == ["--require-hashes", "-r ../requirements.lock"]
    for recipe in ("envs/Containerfile", "envs/gauntlet.def"):
        assert "make .venv/ready" in (ROOT / recipe).read_text()
    assert "--require-hashes -r requirements.lock" in (ROOT / "Makefile").read_text()


def test_conda_containers_and_project_agree_on_python():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    minimum = project["requires-python"].removeprefix(">=")
    assert f"python={minimum}" in (ROOT / "envs/environment.yaml").read_text()
    for recipe in ("envs/Containerfile", "envs/gauntlet.def"):
        base = re.search(r"^from:? (\S+)", (ROOT / recipe).read_text(), re.MULTILINE | re.IGNORECASE)[1]
        assert base == f"docker.io/library/python:{minimum}-slim"


def test_every_rule_runs_in_the_image_that_the_recipe_builds():
    recipe = (ROOT / "envs/gauntlet.def").read_text()
    image = re.search(r"apptainer build (\S+) envs/gauntlet.def", recipe)[1]
    assert f'container: "{image}"' in (ROOT / "Snakefile").read_text()
    rules = "".join(file.read_text() for file in ROOT.glob("rules/*.smk"))
    assert "container" not in rules, "an image of a rule's own"


def test_what_the_image_installs_from_is_copied_into_it():
    recipe = (ROOT / "envs/gauntlet.def").read_text()
    copied = re.findall(r"^    (\S+) /gauntlet/\1$", recipe, re.MULTILINE)
    needed = re.search(r"^\$\(ENV\)/ready: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {*needed, "Makefile", "src", "config", project["readme"], *project["license-files"]} <= set(copied)
    assert all((ROOT / path).exists() for path in copied)
