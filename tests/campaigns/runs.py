"""Runs that are killed, that find no room, or that meet each other."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import yaml
from intermediates import World
from outcomes import HEALED, LEFT, REFUSED, SILENT, TRACEBACK, Section

from gauntlet.runtime.files import file_sha256

ROOT = Path(__file__).parents[2]
TARGET = "results/demo/evaluations/toy/attacks.parquet"
TOY = {
    "models": {
        "toy": {
            "dataset": "digits",
            "architecture": {"name": "cnn", "layers": [{"layer": "linear", "units": 16}]},
            "training": {"epochs": 20, "optimizer": {"name": "adam", "lr": 0.001}},
        }
    },
    "evaluations": {
        "attacks": {
            "model": "toy",
            "samples": {"count": 40},
            "chunk": 10,
            "procedures": {
                "pgd": {"name": "pgd", "norm": "linf", "eps": 0.1, "steps": 200, "step_size": 0.01}
            },
        }
    },
}
ABOUT = {"title": "A toy", "document": {"author": "A", "title": "T", "kind": "thesis", "year": 2020}}


def workspace(folder: Path) -> Path:
    """Make a working directory with the toy as its only work."""
    work = folder / "config" / "works" / "toy"
    work.mkdir(parents=True)
    for name in ("config.yaml", "datasets.yaml"):
        shutil.copy(ROOT / "config" / name, folder / "config" / name)
    (work / "work.yaml").write_text(yaml.safe_dump(ABOUT))
    (work / "chapter.yaml").write_text(yaml.safe_dump(TOY))
    return folder


def start(folder: Path) -> subprocess.Popen[str]:
    """Start Snakemake as a user does."""
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1",
        "--directory", str(folder), "--config", "scale=demo", "--", TARGET,
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def numbers(folder: Path) -> tuple[str, str]:
    """Return what must not depend on how a run went."""
    import pandas as pd

    weights = folder / "results/demo/models/toy/weights.safetensors"
    return file_sha256(weights), pd.read_parquet(folder / TARGET).to_csv()


def kill_campaign(folder: Path, seed: int, count: int) -> Section:
    """Kill runs at any time, all or only Snakemake itself, and give the same command again."""
    section, rng = Section("killed run"), random.Random(f"{seed} kills")
    whole = workspace(folder / "whole")
    began = time.monotonic()
    run = start(whole)
    printed, _ = run.communicate()
    duration = time.monotonic() - began
    assert run.returncode == 0, printed
    expected = numbers(whole)
    for number in range(count):
        place = workspace(folder / str(number))
        run = start(place)
        # The places are spread evenly over the run, whatever is chosen at random within each part.
        time.sleep(duration * (number + rng.random()) / count)
        jobs = psutil.Process(run.pid).children(recursive=True) if run.poll() is None else []
        victims = jobs if rng.random() < 0.5 else []
        run.send_signal(signal.SIGKILL)
        for victim in victims:
            if victim.is_running():
                victim.kill()
        run.communicate()
        again = start(place)
        printed, _ = again.communicate()
        fault = f"after {number + 1}/{count} of the run, {'with' if victims else 'without'} its jobs"
        if again.returncode != 0 or "Traceback" in printed:
            section.add(fault, TRACEBACK, printed[-400:])
        elif numbers(place) != expected:
            section.add(fault, SILENT)
        elif unfinished := list(place.rglob("*.unfinished-*")):
            section.add(fault, LEFT, str(unfinished))
        else:
            section.add(fault, HEALED)
        shutil.rmtree(place)
    return section


def pair_campaign(folder: Path, seed: int, count: int) -> Section:
    """Start a second run beside a first; the first must end as if alone."""
    section = Section("two runs at once")
    for number in range(count):
        place = workspace(folder / f"pair{seed}-{number}")
        first = start(place)
        while not (place / ".snakemake" / "gauntlet-run.json").exists() and first.poll() is None:
            time.sleep(0.05)
        second = start(place)
        refused, _ = second.communicate()
        printed, _ = first.communicate()
        if first.returncode != 0 or "Traceback" in refused + printed:
            section.add("a second run", TRACEBACK, (refused + printed)[-400:])
        elif second.returncode != 0 and "another run goes on" not in refused:
            section.add("a second run", SILENT, refused[-400:])
        else:
            section.add("a second run", REFUSED)
    return section


def room_campaign(folder: Path, seed: int, count: int) -> Section:
    """Let trainings, evaluations and preparations find no room for a file (a limit on its size stands for a disk)."""
    section, rng = Section("no room on the disk"), random.Random(f"{seed} room")
    world = World(folder / "world")
    world.folder.mkdir(parents=True)
    world.make()
    for number in range(count):
        place = World(folder / f"room{number}")
        what = rng.choice(["prepare", "train", "evaluate"])
        shutil.copytree(world.folder, place.folder)
        gone = {"prepare": "train", "train": "unfinished", "evaluate": "chunks"}[what]
        shutil.rmtree(place.folder / gone)
        limit = rng.choice([1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 14])

        def attempt(place: World = place, what: str = what, limit: int = limit) -> str:
            return _limited(place, what, limit)

        section.attempt(f"{what} with {limit} bytes", attempt)
        if left := list(place.folder.rglob("*.unfinished-*")):
            section.add(f"{what} with {limit} bytes", LEFT, str(left))
        shutil.rmtree(place.folder)
    return section


def _limited(world: World, what: str, limit: int) -> str:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        {"prepare": world.prepare, "train": world.unfinished, "evaluate": world.evaluate}[what]()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    return HEALED


def read_only_campaign(folder: Path) -> Section:
    """Take away the folders that a run writes to, by a file in their place."""
    section = Section("folder that cannot be written")
    for name in ("results", "reports", "logs"):
        place = workspace(folder / f"closed-{name}")
        (place / name).write_text("not a folder")
        run = start(place)
        printed, _ = run.communicate()
        noticed = run.returncode != 0 and f"{name} cannot be written" in printed
        outcome = REFUSED if noticed and "Traceback" not in printed else TRACEBACK
        section.add(name, outcome, "" if noticed else printed[-400:])
        shutil.rmtree(place)
    return section


os.environ.setdefault("OMP_NUM_THREADS", "1")
