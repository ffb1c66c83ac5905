"""Read the tensors of a file of torch, safetensors, Keras, NumPy or MATLAB. No code that it brings along is run."""

from __future__ import annotations

import pickletools
import re
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gauntlet.errors import DataError
from gauntlet.training.keras_files import is_hdf5, read_keras
from gauntlet.training.layouts import CheckpointFormat

_UNREADABLE = (
    UnpicklingError,
    SafetensorError,
    zipfile.BadZipFile,
    RuntimeError,
    ValueError,
    EOFError,
    TypeError,
    AttributeError,
    KeyError,
    OSError,
)


def read_tensors(file: Path, layout: CheckpointFormat) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint, on the CPU. No code of the file is run.

    Raises:
        DataError: the file cannot be read so, or holds no mapping of tensors.
    """
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        if file.suffix in _ARRAYS:
            return {name: torch.from_numpy(array) for name, array in _ARRAYS[file.suffix](file).items()}
        if is_hdf5(file):
            return read_keras(file)
        with torch.serialization.safe_globals([(Inert, name) for name in referred_globals(file)]):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise _unreadable(file, error) from error
    if isinstance(content, Mapping):
        for container in layout.containers:
            if container in content:
                content = content[container]
                break
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise DataError(
            f"{file} holds no mapping of tensors {' or '.join(('at its top', *layout.containers))}"
        )
    return {str(name): tensor for name, tensor in content.items()}


def _unreadable(file: Path, error: Exception) -> DataError:
    """Return whether a file wants to run code, or is damaged, as an error."""
    said = str(error)
    # Behind it torch advises to load the file by running its code.
    cause = said.partition("WeightsUnpickler error: ")[2] or said.removeprefix("Weights only load failed. ")
    cause = cause.strip().partition("\n")[0]
    if "allow_pickle" in said or re.search("unsupported (global|class|operand)", said, re.IGNORECASE):
        wanted = re.search(r"GLOBAL (\S+)", said)
        cause = f"it asks for {wanted[1]}" if wanted else cause
        return DataError(
            f"{file} cannot be read without running code that it brings along: {cause}\n"
            "If you trust its origin, save its tensors as safetensors and name that file in the configuration"
        )
    return DataError(
        f"{file} cannot be read: it is truncated, damaged or of another format ({cause}); get it again"
    )


def _numpy_arrays(file: Path) -> dict[str, np.ndarray]:
    with np.load(file, allow_pickle=False) as content:
        return dict(content)


def _matlab_arrays(file: Path) -> dict[str, np.ndarray]:
    from scipy.io import loadmat

    return {name: array for name, array in loadmat(file).items() if not name.startswith("__")}


_ARRAYS = {".npz": _numpy_arrays, ".mat": _matlab_arrays}


class Inert:
    """Stands in for every class and function of a checkpoint that torch does not read by itself.

    Publishers save optimizers, schedules and settings beside the tensors. They are read as this and dropped.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Inert:
        """Accept whatever the original was made from."""
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Keep nothing."""

    def __setstate__(self, state: Any) -> None:
        """Forget the original's state."""


def referred_globals(file: Path) -> set[str]:
    """Return the names of the classes and functions that a checkpoint refers to.

    Raises:
        ValueError: the file is no pickle.
    """
    named: set[str] = set()
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"{damaged} in it is not what its checksum says")
            for member in archive.namelist():
                if member.endswith("/data.pkl"):
                    with archive.open(member) as stream:
                        named |= _globals_of(stream)
    else:
        # Before torch 1.6: a number, a version, facts about the machine, then the content, each a pickle.
        with file.open("rb") as stream:
            for _ in range(4):
                named |= _globals_of(stream)
    return named


def _globals_of(stream: IO[bytes]) -> set[str]:
    """Return what the next pickle of a stream refers to, by the names of Python 3."""
    named = set()
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name == "GLOBAL":
            module, name = str(argument).split(" ", 1)
            module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
            named.add(f"{module}.{name}")
    return named
