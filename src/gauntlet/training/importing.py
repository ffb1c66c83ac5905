"""Turn a published checkpoint into a model: read tensors only, rename them, let none go missing."""

from __future__ import annotations

import pickletools
import re
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gauntlet.contracts import Classifier
from gauntlet.errors import DataError
from gauntlet.models import MANIFEST, Normalized, bare_network, build_model, parameter_count, save_weights
from gauntlet.runtime.files import file_sha256, write_json
from gauntlet.runtime.job import log
from gauntlet.runtime.manifest import Recorder
from gauntlet.training.checkpoints import CheckpointSettings, FormatName, fetch
from gauntlet.training.history import write_history


@dataclass(frozen=True)
class CheckpointFormat:
    """A publisher's names of a network's tensors.

    Attributes:
        containers: entries of the file that may hold the tensors; the first that is there does. If none is,
            the file is the mapping of tensors itself.
        prefix: what the names of the network's tensors begin with.
        rename: regular expressions and their replacements, applied in order to the names without the prefix.
        ignore: regular expression of whole names that belong to something else than the network.
        mean: name of the tensor with the mean that inputs are normalized by, if the file has one.
        std: name of the tensor with its standard deviation.
    """

    containers: tuple[str, ...] = ()
    prefix: str = ""
    rename: tuple[tuple[str, str], ...] = ()
    ignore: str = "(?!)"
    mean: str | None = None
    std: str | None = None


_MADRYLAB = CheckpointFormat(
    containers=("model", "state_dict"),
    prefix="module.model.",
    # The wrapper's attacker holds the same network a second time.
    ignore=r"module\.(attacker|normalizer)\..*",
    mean="module.normalizer.new_mean",
    std="module.normalizer.new_std",
)
_SHORTCUT_AND_LINEAR = ((r"\.shortcut\.", ".downsample."), (r"^linear\.", "fc."))

FORMATS: Mapping[FormatName, CheckpointFormat] = {
    # Inception's auxiliary head only serves training.
    "torchvision": CheckpointFormat(ignore=r"AuxLogits\..*"),
    "madrylab_imagenet": _MADRYLAB,
    "madrylab_cifar": CheckpointFormat(**{**vars(_MADRYLAB), "rename": _SHORTCUT_AND_LINEAR}),
    "locuslab_imagenet": CheckpointFormat(containers=("state_dict",), prefix="module."),
    "locuslab_cifar": CheckpointFormat(rename=((r"\.shortcut\.0\.", ".downsample."), (r"^linear\.", "fc."))),
    # The first member of the published Sequential subtracts the mean and stores nothing.
    "hadisalman_cifar": CheckpointFormat(containers=("state_dict",), prefix="1."),
    # The published network carries a block that it never runs.
    "trades_cifar": CheckpointFormat(
        rename=(
            (r"^block(\d)\.layer\.", r"layer\1."),
            (r"\.convShortcut\.", ".downsample."),
            (r"^bn1\.", "bn."),
        ),
        ignore=r"sub_block1\..*",
    ),
}


def import_checkpoint(
    specification: Mapping[str, Any], folder: str | Path, data_root: str | Path | None, downloads: str | Path
) -> Classifier:
    """Fetch a model's checkpoint and write it as weights, an empty history and a manifest.

    Args:
        specification: the model's job, with ``checkpoint``.
        folder: where the files go.
        data_root: the user's folder of data, if there is one.
        downloads: the folder of downloads.

    Returns:
        The model, in eval mode, on the CPU.

    Raises:
        ResourceUnavailable: the file cannot be had.
        DataError: it is not the expected file, or does not fit the architecture or its normalization.
    """
    recorder = Recorder()
    settings = CheckpointSettings.model_validate(specification["checkpoint"])
    file = fetch(settings, Path(data_root) if data_root else None, Path(downloads))
    model = build_model(specification)
    fill(model, read_tensors(file, FORMATS[settings.format]), FORMATS[settings.format], file)
    save_weights(model, folder)
    write_history([], Path(folder))
    manifest = recorder.manifest(specification, checkpoint_sha256=file_sha256(file))
    write_json(Path(folder) / MANIFEST, manifest)
    log(f"{parameter_count(model):,} parameters imported from {file}")
    return model.eval()


def fill(model: Classifier, tensors: Mapping[str, Tensor], layout: CheckpointFormat, file: Path) -> None:
    """Copy the tensors of a checkpoint into a model; every tensor of either must have its counterpart.

    Raises:
        DataError: naming what is left over, what is missing, what has another shape, or a normalization that
            is not the model's.
    """
    renamed: dict[str, Tensor] = {}
    strange = []
    for name, tensor in tensors.items():
        if re.fullmatch(layout.ignore, name):
            continue
        if name.startswith(layout.prefix):
            renamed[_rename(name.removeprefix(layout.prefix), layout.rename)] = tensor
        else:
            strange.append(name)
    network = bare_network(model)
    own = network.state_dict()
    # Older releases of torch did not count the batches of batch norm. The number is never used.
    missing = [name for name in own if name not in renamed and not name.endswith("num_batches_tracked")]
    strange += [name for name in renamed if name not in own]
    reshaped = [
        f"{name} {tuple(renamed[name].shape)} instead of {tuple(own[name].shape)}"
        for name in renamed
        if name in own and renamed[name].shape != own[name].shape
    ]
    for problem, names in (
        ("holds tensors that the network has not", strange),
        ("lacks tensors of the network", missing),
        ("holds tensors of other shapes", reshaped),
    ):
        if names:
            raise DataError(f"{file} {problem}: {_some(names)}")
    _compare_normalization(model, tensors, layout, file)
    network.load_state_dict({**own, **renamed})


def _rename(name: str, rules: Iterable[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"


def _compare_normalization(
    model: Classifier, tensors: Mapping[str, Tensor], layout: CheckpointFormat, file: Path
) -> None:
    for key in ("mean", "std"):
        published = tensors.get(getattr(layout, key) or "")
        if published is None:
            continue
        own = getattr(model, key) if isinstance(model, Normalized) else torch.full((1,), float(key == "std"))
        published = published.flatten().float()
        if not torch.allclose(published, own.flatten().expand_as(published), atol=1e-4):
            raise DataError(
                f"{file} normalizes its input by {key} {published.tolist()}, "
                f"the model by {own.flatten().tolist()}; correct the model's normalization.{key}"
            )


_UNREADABLE = (
    UnpicklingError,
    SafetensorError,
    zipfile.BadZipFile,
    RuntimeError,
    ValueError,
    EOFError,
    TypeError,
    AttributeError,
)


def read_tensors(file: Path, layout: CheckpointFormat) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint, safetensors or torch, on the CPU. No code of the file is run.

    Raises:
        DataError: the file cannot be read so, or holds no mapping of tensors.
    """
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        with torch.serialization.safe_globals([(Inert, name) for name in referred_globals(file)]):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        cause = str(error).partition("WeightsUnpickler error: ")[2].partition("\n")[0] or error
        raise DataError(
            f"{file} cannot be read without running code that it brings along: {cause}\n"
            "If you trust its origin, save its tensors as safetensors and name that file in the configuration"
        ) from error
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
