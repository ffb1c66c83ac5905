"""One run at a time in a folder, however the last one ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from gauntlet.errors import StorageError
from gauntlet.runtime.files import unfinished
from gauntlet.runtime.job import RUN_VARIABLE, job, this_place
from gauntlet.runtime.run import begin_run

BEGIN = """
import os, sys, time
from pathlib import Path
from gauntlet.errors import GauntletError
from gauntlet.runtime.run import begin_run
try:
    begin_run(Path(), (Path("results"), Path("reports")))
except GauntletError as error:
    sys.exit(str(error))
print("begun", flush=True)
time.sleep(float(sys.argv[1]))
os.chdir("/")
"""

JOB = """
import sys, time
from types import SimpleNamespace
from gauntlet.runtime.job import job
with job(SimpleNamespace(log=["job.log"])):
    print("working", flush=True)
    time.sleep(60)
"""


def start(folder, code, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def test_a_second_run_is_refused_while_the_first_is_alive_and_told_whose_it_is(tmp_path):
    first = start(tmp_path, BEGIN, "60")
    try:
        assert first.stdout.readline() == "begun\n"
        second = start(tmp_path, BEGIN, "0")
        _, said = second.communicate(timeout=60)
        assert second.returncode == 1
        assert "another run goes on in" in said
        assert f"process {first.pid}" in said
    finally:
        first.kill()
        first.communicate()


def test_the_same_command_goes_on_after_a_killed_run_and_leaves_nothing_of_it(tmp_path):
    first = start(tmp_path, BEGIN, "60")
    assert first.stdout.readline() == "begun\n"
    split = tmp_path / "results" / "datasets" / "digits"
    half = split / unfinished(split / "train").name.replace(str(os.getpid()), str(first.pid))
    half.mkdir(parents=True)
    (half / "images.npy").write_bytes(bytes(100))
    Path(f"{half}.parquet").write_bytes(bytes(100))
    ours = unfinished(split / "test")
    ours.write_text("still being written")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    second = start(tmp_path, BEGIN, "0")
    _, said = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert "The last run here was killed" in said
    assert list(split.iterdir()) == [ours], "what a living process writes stays"


def test_after_a_run_that_ended_by_itself_the_next_one_has_nothing_to_say(tmp_path):
    for _ in range(2):
        run = start(tmp_path, BEGIN, "0")
        _, said = run.communicate(timeout=60)
        assert (run.returncode, said) == (0, "")


def test_a_job_ends_soon_after_its_run_was_killed(tmp_path):
    run = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    work = start(tmp_path, JOB, **{RUN_VARIABLE: f"{this_place()}:{run.pid}"})
    try:
        assert work.stdout.readline() == "working\n"
        time.sleep(0.6)
        assert work.poll() is None
        run.kill()
        run.wait()
        assert work.wait(timeout=10) == 1
    finally:
        work.kill()
        work.communicate()


def test_a_job_elsewhere_does_not_look_for_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv(RUN_VARIABLE, f"another-node/:{2**22}")
    with job(SimpleNamespace(log=[str(tmp_path / "job.log")])):
        time.sleep(0.1)


def test_a_folder_that_cannot_be_written_is_noticed_before_the_run(tmp_path):
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(StorageError, match="reports cannot be written"):
        begin_run(tmp_path, (tmp_path / "results", tmp_path / "reports"))
