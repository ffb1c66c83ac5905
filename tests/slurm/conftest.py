"""A Slurm of one node on the loopback interface, and copies of the workflow that submit to it.

Needs slurmctld, slurmd, munged and the commands of Slurm (Debian: ``slurm-wlm``). Nothing of the system's own
configuration is used or changed: keys, sockets, ports and spools are the test's.
"""

from __future__ import annotations

import getpass
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SYSTEM_PROGRAMS = f"{os.environ['PATH']}{os.pathsep}/usr/sbin{os.pathsep}/sbin"
PROGRAMS = ("munged", "slurmctld", "slurmd", "scontrol", "sbatch", "srun", "squeue", "scancel")
PATIENCE_SECONDS = 60
CONFIGURATION = """\
ClusterName=gauntlet
SlurmctldHost=localhost(127.0.0.1)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/node
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
# No accounts, as on many small clusters: sacct is installed and knows nothing.
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# More memory than this machine may have: the jobs of demo ask for more than they use.
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=3600
KillWait=5
GresTypes=gpu
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory=32000 Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""
# A GPU that Slurm can count and no program can use.
DEVICES = "NodeName=localhost Name=gpu Count=1 File=/dev/null\n"


@dataclass(frozen=True)
class Cluster:
    """A running Slurm.

    Attributes:
        environment: of programs that shall find it.
    """

    environment: dict[str, str]

    def ask(self, *command: str) -> str:
        """Run a command of Slurm and return what it prints."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def jobs(self, rule: str = "") -> list[dict[str, str]]:
        """Return every job that a rule submitted, finished ones too, by what Slurm calls its properties."""
        lines = self.ask("scontrol", "--oneliner", "show", "jobs").splitlines()
        found = [dict(re.findall(r"([A-Za-z/:]+)=(\S*)", line)) for line in lines if "JobId=" in line]
        return [job for job in found if job.get("Comment", "").startswith(f"rule_{rule}")]

    def end_by_time(self, rule: str) -> None:
        """Let the running job of a rule reach its time limit now, and wait until Slurm has ended it for that."""
        (job,) = [job for job in self.jobs(rule) if job["JobState"] == "RUNNING"]
        self.ask("scontrol", "update", f"JobId={job['JobId']}", "EndTime=now")
        wait_until(lambda: self.state(job["JobId"]) == "TIMEOUT", f"job {job['JobId']} to be ended")

    def state(self, number: str) -> str:
        """Return the state of a job by its number."""
        return next(job["JobState"] for job in self.jobs() if job["JobId"] == number)


@dataclass(frozen=True)
class Project:
    """A copy of the workflow in a folder of its own, that runs there as a user runs it in a clone."""

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Snakemake and return without waiting; what it prints goes into a file."""
        with (self.folder / "printed.txt").open("a") as printed:
            process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *arguments],
                cwd=self.folder,
                env=self.environment,
                stdout=printed,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.started.append(process)
        return process

    def wait_until(self, happened: Callable[[], object], what: str) -> None:
        """Wait for something that the run started last does; it must not end before."""

        def happened_while_running() -> object:
            assert self.started[-1].poll() is None, f"the run ended before {what}: {self.printed}"
            return happened()

        wait_until(happened_while_running, what)

    def run(self, *arguments: str) -> float:
        """Run Snakemake to its end, which must be a good one, and return the seconds that it took."""
        started = time.monotonic()
        assert self.start(*arguments).wait() == 0, self.printed
        return time.monotonic() - started

    @property
    def printed(self) -> str:
        """Everything that Snakemake printed here."""
        return (self.folder / "printed.txt").read_text()

    def edit(self, file: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Change a file of the configuration."""
        path = self.folder / "config" / file
        content = yaml.safe_load(path.read_text())
        change(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False))


def wait_until(happened: Callable[[], object], what: str, seconds: float = 900) -> None:
    """Wait for something to happen."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.2)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Bring up a Slurm, and end it with its jobs."""
    missing = [program for program in PROGRAMS if not shutil.which(program, path=SYSTEM_PROGRAMS)]
    if missing:
        pytest.skip(f"needs Slurm (Debian: slurm-wlm); not found: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "munge.key").write_bytes(secrets.token_bytes(1024))
    (folder / "munge.key").chmod(0o600)
    for name in ("controller", "node"):
        (folder / name).mkdir()
    controller_port, node_port = _free_ports(2)
    (folder / "slurm.conf").write_text(
        CONFIGURATION.format(
            folder=folder, user=getpass.getuser(), controller_port=controller_port, node_port=node_port
        )
    )
    (folder / "gres.conf").write_text(DEVICES)
    configuration = str(folder / "slurm.conf")
    # Snakemake's plugin takes SLURM_CONF from the environment in which it calls srun.
    srun = folder / "programs" / "srun"
    srun.parent.mkdir()
    srun.write_text(
        f'#!/bin/sh\nSLURM_CONF={configuration} exec {shutil.which("srun", path=SYSTEM_PROGRAMS)} "$@"\n'
    )
    srun.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{srun.parent}{os.pathsep}{SYSTEM_PROGRAMS}",
        "SLURM_CONF": configuration,
    }
    running = Cluster(environment)
    daemons = []
    try:
        for command in (
            [
                "munged", "--foreground", "--force", f"--key-file={folder}/munge.key",
                f"--socket={folder}/munge.socket", f"--pid-file={folder}/munge.pid",
                f"--log-file={folder}/munged.log", f"--seed-file={folder}/munge.seed",
            ],
            ["slurmctld", "-D", "-c"],
            ["slurmd", "-D", "-N", "localhost"],
        ):  # fmt: skip
            with (folder / f"{command[0]}.txt").open("w") as printed:
                daemons.append(
                    subprocess.Popen(command, env=environment, stdout=printed, stderr=subprocess.STDOUT)
                )
            if command[0] == "munged":
                wait_until((folder / "munge.socket").exists, "munged", PATIENCE_SECONDS)
        wait_until(lambda: _is_idle(environment), f"the node to be ready; see {folder}", PATIENCE_SECONDS)
        yield running
        for job in running.jobs():
            if job["JobState"] in ("PENDING", "RUNNING"):
                running.ask("scancel", job["JobId"])
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait()


@pytest.fixture
def project(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[[str], Project]]:
    """Make copies of the workflow; end what still runs in them."""
    started: list[subprocess.Popen[str]] = []

    def make(name: str) -> Project:
        folder = tmp_path / name
        for part in ("config", "profiles", "reports/captions", "reports/notebooks", "rules", "scripts"):
            shutil.copytree(ROOT / part, folder / part)
        shutil.copy(ROOT / "Snakefile", folder)
        return Project(folder, {**cluster.environment, "OMP_NUM_THREADS": "1"}, started)

    yield make
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _is_idle(environment: dict[str, str]) -> bool:
    shown = subprocess.run(
        ["scontrol", "show", "node", "localhost"], env=environment, capture_output=True, text=True
    )
    return "State=IDLE " in shown.stdout
