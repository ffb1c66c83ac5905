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


def test_conda_and_container_install_from_the_lock():
    conda = yaml.safe_load((ROOT / "envs/environment.yaml").read_text())
    pip = next(entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict))
    assert pip == ["--require-hashes", "-r ../requirements.lock"]
    container = (ROOT / "envs/Containerfile").read_text()
    makefile = (ROOT / "Makefile").read_text()
    assert "make .venv/ready" in container
    assert "--require-hashes -r requirements.lock" in makefile


def test_conda_container_and_project_agree_on_python():
    minimum = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(
        ">="
    )
    assert f"python={minimum}" in (ROOT / "envs/environment.yaml").read_text()
    assert f"python:{minimum}" in (ROOT / "envs/Containerfile").read_text()
