"""Provenance: what was done, with which code, where, and how long it took."""

from __future__ import annotations

import platform
import resource
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import gauntlet

LIBRARIES = ("torch", "torchvision", "numpy", "foolbox", "pyautoattack", "py-bobyqa", "snakemake")


@cache
def code_version() -> str:
    """Return the package version with the commit it runs from, where there is one."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    commit = described.stdout.strip()
    return f"{gauntlet.__version__}+{commit}" if commit else gauntlet.__version__


class Recorder:
    """Start the clock of a job; ``manifest`` stops it and says what happened.

    Args:
        device: the torch device, or ``"cpu"``.
    """

    def __init__(self, device: Any = "cpu") -> None:
        self.device = str(device)
        self.started = datetime.now(UTC)
        self._start = time.perf_counter()

    def manifest(self, specification: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Return the manifest of the job: specification, versions, device, times, memory, ``more``."""
        return {
            "specification": dict(specification),
            "code": code_version(),
            "libraries": _library_versions(),
            "python": platform.python_version(),
            "device": self._device_name(),
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self._start, 3),
            "peak_memory_mb": self._peak_memory(),
            **more,
        }

    def _device_name(self) -> str:
        if not self.device.startswith("cuda"):
            return self.device
        import torch

        return f"{self.device} ({torch.cuda.get_device_name(torch.device(self.device))})"

    def _peak_memory(self) -> float:
        """Peak memory in MiB: the GPU's where there is one, else the resident set of the process."""
        if self.device.startswith("cuda"):
            import torch

            return round(torch.cuda.max_memory_allocated(torch.device(self.device)) / 2**20, 1)
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10, 1)


def _library_versions() -> dict[str, str]:
    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return versions
