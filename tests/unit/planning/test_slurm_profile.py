"""The profile for Slurm, as Snakemake reads it."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.cli import parse_args
from snakemake_executor_plugin_slurm.partitions import get_best_partition, read_partition_file

from gauntlet.planning.slurm import status_command

ROOT = Path(__file__).parents[3]


@pytest.fixture
def slurm_says(tmp_path, monkeypatch):
    """Put a Slurm into the path that shows some configuration."""

    def install(accounting):
        program = tmp_path / "scontrol"
        program.write_text(f"#!/bin/sh\necho 'AccountingStorageType   = {accounting}'\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return install


@pytest.mark.parametrize(
    ("accounting", "command"),
    [
        ("accounting_storage/slurmdbd", "sacct"),
        ("accounting_storage/none", "squeue"),
        ("(null)", "squeue"),
    ],
)
def test_states_of_jobs_are_asked_of_sacct_only_where_slurm_keeps_accounts(slurm_says, accounting, command):
    slurm_says(accounting)
    assert status_command() == command


def test_squeue_is_asked_where_the_configuration_cannot_be_seen(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert status_command() == "squeue"


def test_no_setting_of_the_slurm_profile_is_overridden_by_the_default_one(slurm_says, monkeypatch):
    slurm_says("accounting_storage/none")
    monkeypatch.chdir(ROOT)
    _, settings = parse_args(["--profile", "profiles/slurm"])
    assert settings.executor == "slurm"
    assert settings.jobs == 64
    assert settings.local_cores == 2
    assert settings.latency_wait == 60
    assert settings.retries == 24
    assert settings.slurm_status_command == "squeue"
    # What only the default profile has counts as well.
    assert settings.rerun_incomplete
    assert settings.keep_going


@pytest.mark.parametrize(
    ("gpus", "minutes", "partition"), [(1, 1440, "gpu"), (0, 2000, "cpu"), (0, 30, "cpu")]
)
def test_the_documented_partitions_are_chosen_by_gpu_and_run_time(tmp_path, gpus, minutes, partition):
    page = (ROOT / "docs/cluster.md").read_text()
    file = tmp_path / "partitions.yaml"
    file.write_text(
        next(block for block in re.findall(r"```yaml\n(.+?)```", page, re.DOTALL) if "max_gpu" in block)
    )
    job = SimpleNamespace(resources={"gpu": gpus, "runtime": minutes, "mem_mb": 8000}, threads=2, name="job")
    chosen = get_best_partition(read_partition_file(file), job, logging.getLogger())
    assert chosen == partition
