"""A working directory with a configuration of its own, and Snakemake run in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Workspace:
    """A folder in which the Snakefile of the project, or of a copy of it, runs on the folder's own configuration."""

    folder: Path
    project: Path = ROOT
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def command(self, *arguments: str) -> list[str]:
        return [
            sys.executable, "-m", "snakemake", "--snakefile", str(self.project / "Snakefile"), "--cores", "2",
            "--directory", str(self.folder), *arguments,
        ]  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Snakemake and return without waiting."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str) -> str:
        """Run Snakemake to its end and return what it printed; it must succeed."""
        process = self.start(*arguments)
        printed, _ = process.communicate()
        assert process.returncode == 0, printed
        return printed

    def planned(self, *arguments: str) -> list[str]:
        """Return the messages of the jobs that would run."""
        return re.findall(r"^Job \d+: (.+)$", self.run("--dry-run", *arguments), re.MULTILINE)

    def under_a_fresh_clone(self) -> Workspace:
        """Return the same folder with a copy of the project's workflow, all files of which are newer than its own."""
        clone = self.folder / "clone"
        for part in ("rules", "scripts", "profiles"):
            shutil.copytree(ROOT / part, clone / part, copy_function=shutil.copyfile)
        shutil.copyfile(ROOT / "Snakefile", clone / "Snakefile")
        return replace(self, project=clone)

    def edit(self, work: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the one chapter of a work."""
        file = self.folder / "config" / "works" / work / "chapter.yaml"
        content = yaml.safe_load(file.read_text())
        change(content)
        file.write_text(yaml.safe_dump(content, sort_keys=False))


def _lay_out(folder: Path, works: dict[str, dict[str, Any]] | None = None) -> Workspace:
    """Make a working directory, with the project's own works or with those given."""
    if works is None:
        shutil.copytree(ROOT / "config", folder / "config")
        return Workspace(folder)
    (folder / "config" / "works").mkdir(parents=True)
    for file in ("config.yaml", "datasets.yaml"):
        shutil.copy(ROOT / "config" / file, folder / "config" / file)
    for work, files in works.items():
        (folder / "config" / "works" / work).mkdir()
        for name, content in files.items():
            (folder / "config" / "works" / work / f"{name}.yaml").write_text(
                yaml.safe_dump(content, sort_keys=False)
            )
    return Workspace(folder)


@pytest.fixture(scope="session")
def lay_out() -> Callable[..., Workspace]:
    """Return the function that makes a working directory, for fixtures that several tests share."""
    return _lay_out


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Callable[..., Workspace]]:
    """Make a working directory, with the project's own works or with those given; end what still runs in it."""
    made: list[Workspace] = []

    def make(name: str = "workspace", works: dict[str, dict[str, Any]] | None = None) -> Workspace:
        made.append(_lay_out(tmp_path / name, works))
        return made[-1]

    yield make
    for process in (process for space in made for process in space.started):
        if process.poll() is None:
            process.terminate()
            process.wait()
