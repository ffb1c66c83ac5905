"""Ctrl-C in a run whose jobs are submitted elsewhere."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from gauntlet.planning.stopping import stop_promptly

ASLEEP = 60.0


class Submitted(RemoteExecutor):
    """An executor with two jobs, whose thread sleeps as if it had just asked for their states."""

    def __init__(self, folder):
        self.active_jobs, self.cancelled = ["job 1", "job 2"], []
        self.lock, self.wait, self._tmpdir = threading.Lock(), True, str(folder)
        self.wait_thread = threading.Thread(target=time.sleep, args=(ASLEEP,), daemon=True)
        self.wait_thread.start()
        self.workflow = self
        self.remote_execution_settings, self.immediate_submit = self, False

    def run_job(self, job): ...

    def check_active_jobs(self, active_jobs): ...

    def cancel_jobs(self, active_jobs):
        self.cancelled = active_jobs


@pytest.fixture
def _restored(monkeypatch):
    """Undo what stop_promptly changes in this process."""
    monkeypatch.setattr(RemoteExecutor, "cancel", RemoteExecutor.cancel)
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("_restored")
def test_a_cancelled_run_ends_without_waiting_for_the_next_look_at_its_jobs(tmp_path):
    stop_promptly()
    executor = Submitted(tmp_path / "jobscripts")
    started = time.monotonic()
    executor.cancel()
    assert executor.cancelled == ["job 1", "job 2"]
    assert not executor.wait
    assert time.monotonic() - started < ASLEEP / 6


@pytest.mark.usefixtures("_restored")
def test_the_first_ctrl_c_says_a_line_and_every_one_interrupts(capsys):
    stop_promptly()
    for said in (1, 0):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert capsys.readouterr().err.count("The same command goes on") == said
