"""The frame of every job: its log, and its errors."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from gauntlet.errors import DataError
from gauntlet.runtime.job import job, log


@pytest.fixture
def attempt(tmp_path):
    """Run a job's body as Snakemake does, which removes the log before each try."""
    path = tmp_path / "logs" / "net.v2.log"

    def run(body):
        path.unlink(missing_ok=True)
        with job(SimpleNamespace(log=[str(path)])):
            body()

    run.logs = lambda: {file.name: file.read_text() for file in path.parent.iterdir()}
    return run


def fail(message):
    def body():
        raise DataError(message)

    return body


def test_logs_of_failed_tries_stay_and_the_last_has_the_plain_name(attempt):
    for message in ("first fault", "second fault"):
        with pytest.raises(SystemExit):
            attempt(fail(message))
    attempt(lambda: log("all well"))
    logs = attempt.logs()
    assert sorted(logs) == ["net.v2.1.log", "net.v2.2.log", "net.v2.log"]
    assert "first fault" in logs["net.v2.1.log"]
    assert "second fault" in logs["net.v2.2.log"]
    assert "all well" in logs["net.v2.log"]
    assert "fault" not in logs["net.v2.log"]


def test_a_job_that_succeeds_leaves_one_log(attempt):
    for _ in range(2):
        attempt(lambda: log("all well"))
    assert sorted(attempt.logs()) == ["net.v2.log"]


KILLED = """
import os, signal
from types import SimpleNamespace
from gauntlet.runtime.job import job, log
with job(SimpleNamespace(log=["net.log"])):
    log("epoch 1")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_log_of_a_killed_job_stays(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, capture_output=True)
    (tmp_path / "net.log").unlink()
    assert "epoch 1" in (tmp_path / "net.1.log").read_text()


def test_jobs_run_where_a_file_cannot_have_two_names(attempt, monkeypatch):
    def refuse(*names, **settings):
        raise OSError("not supported")

    monkeypatch.setattr(os, "link", refuse)
    attempt(lambda: log("all well"))
    assert sorted(attempt.logs()) == ["net.v2.log"]
