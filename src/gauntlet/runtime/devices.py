"""Devices of a job: GPUs are leased through file locks, so that two jobs never share one unasked."""

from __future__ import annotations

import ctypes
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch
from filelock import FileLock, Timeout

from gauntlet.errors import ConfigurationError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


@contextmanager
def leased_device(
    device: str, *, jobs_per_gpu: int = 1, folder: str | Path | None = None
) -> Iterator[torch.device]:
    """Yield the device of this job; a GPU stays locked until the job ends, however it ends.

    Args:
        device: ``cpu``, ``cuda``, ``cuda:N`` or ``auto`` (a GPU where there is one).
        jobs_per_gpu: how many jobs may hold one GPU at a time.
        folder: where the lock files lie; jobs that share it share the GPUs. By default one of the user's on this
            node. Locks belong to the process, so that a killed job frees its GPU.

    Raises:
        ConfigurationError: a GPU is asked for by name and there is none.
    """
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        yield torch.device("cpu")
        return
    if not torch.cuda.is_available():
        raise ConfigurationError(
            "no GPU is visible to PyTorch", key="device", found=device, valid="auto or cpu"
        )
    wanted = torch.device("cuda" if device == "auto" else device)
    candidates = range(torch.cuda.device_count()) if wanted.index is None else [wanted.index]
    # Not beside the results: they may lie on a file system without locks.
    folder = Path(folder or f"{tempfile.gettempdir()}/gauntlet-devices-{os.getuid()}")
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        for slot in range(jobs_per_gpu):
            for index in candidates:
                lock = FileLock(folder / f"{_lock_name(index)}-{slot}.lock")
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    continue
                try:
                    torch.cuda.set_device(index)
                    yield torch.device("cuda", index)
                finally:
                    lock.release()
                return
        time.sleep(0.5)


def _lock_name(index: int) -> str:
    """Return the name of a visible GPU that every job which could use it knows it by.

    CUDA_VISIBLE_DEVICES may number devices anew. Where Slurm gave them to a job they are that job's alone, and under
    cgroups each job's first is device 0: only jobs of one allocation exclude each other.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    devices = visible.split(",")
    allocation = os.environ.get("SLURM_JOB_ID", "") if visible else ""
    physical = devices[index] if index < len(devices) and devices[index] else str(index)
    return re.sub(r"[^\w-]", "_", f"{os.uname().nodename}-{allocation}-gpu-{physical}")


def use_reproducible_arithmetic(threads: int) -> None:
    """Ask PyTorch for results that depend on nothing but seed and device type; attacks keep full float32.

    Args:
        threads: CPU threads; another number may sum in another order.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    # The same switch as use_deterministic_algorithms, which also imports the compiler, a second or two in every job.
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def computes_in_bfloat16(precision: Literal["auto", "float32"], device: torch.device) -> bool:
    """Whether a training of this precision computes in bfloat16 where that is safe: on GPUs that have it."""
    return precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()


def keep_freed_memory() -> None:
    """Let the C library keep what tensors up to 32 MiB free, instead of handing it back to the kernel.

    Each pass of a network frees and asks for tensors of megabytes. What was handed back is cleared and mapped anew
    page by page, which takes up to a third of the time of a small network's forward pass on a CPU. Does
    nothing where the C library is not GNU's.
    """
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        library.mallopt(_M_TRIM_THRESHOLD, 512 << 20)
