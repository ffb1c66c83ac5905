"""Slurm as it is set up here, for the profile in ``profiles/slurm``."""

from __future__ import annotations

import subprocess

PATIENCE_SECONDS = 30


def status_command() -> str:
    """Return the command that knows the states of jobs: ``sacct`` where Slurm keeps accounts, else ``squeue``.

    Without accounts ``sacct`` is often installed all the same and never tells that a job has ended.
    """
    try:
        shown = subprocess.run(
            ["scontrol", "show", "config"], capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return "squeue"
    return "sacct" if "accounting_storage/slurmdbd" in shown.stdout else "squeue"
