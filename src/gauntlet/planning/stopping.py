"""Ctrl-C: a line at once, and an end that does not wait for the next look at submitted jobs."""

from __future__ import annotations

import functools
import signal
import sys
from types import FrameType

from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

PATIENCE_SECONDS = 2.0

LINE = "\nStopping: jobs that run here end, submitted ones are cancelled. The same command goes on where they were."


def stop_promptly() -> None:
    """Make Snakemake, in whose process this is called, say that it stops on Ctrl-C, and then stop within seconds.

    Snakemake cancels submitted jobs at once, but then waits for the thread that asks for their states, which sleeps
    for up to three minutes. The thread is a daemon, and nothing depends on what it would find out.
    """
    cancel = RemoteExecutor.cancel

    @functools.wraps(cancel)
    def cancel_without_waiting(executor: RemoteExecutor) -> None:
        thread = executor.wait_thread
        thread.join = functools.partial(thread.join, PATIENCE_SECONDS)
        cancel(executor)

    RemoteExecutor.cancel = cancel_without_waiting
    signal.signal(signal.SIGINT, _say_and_interrupt)


def _say_and_interrupt(number: int, frame: FrameType | None) -> None:
    print(LINE, file=sys.stderr, flush=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    raise KeyboardInterrupt
