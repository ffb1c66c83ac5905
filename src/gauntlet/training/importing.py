"""Turn a published checkpoint into a model: rename its tensors, let none go missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gauntlet.contracts import Classifier
from gauntlet.errors import DataError
from gauntlet.models import MANIFEST, Normalized, bare_network, build_model, parameter_count, save_weights
from gauntlet.runtime.checksums import write_sealed_json
from gauntlet.runtime.files import file_sha256
from gauntlet.runtime.job import log
from gauntlet.runtime.manifest import Recorder
from gauntlet.training.channels_last import channels_first
from gauntlet.training.checkpoints import CheckpointSettings, fetch
from gauntlet.training.history import write_history
from gauntlet.training.layouts import FORMATS, CheckpointFormat
from gauntlet.training.tensor_files import read_tensors


def import_checkpoint(
    specification: Mapping[str, Any],
    folder: str | Path,
    data_root: str | Path | None,
    downloads: str | Path,
    accepted: str | Path,
) -> Classifier:
    """Fetch a model's checkpoint and write it as weights, an empty history and a manifest.

    Args:
        specification: the model's job, with ``checkpoint``.
        folder: where the files go.
        data_root: the user's folder of data, if there is one.
        downloads: the folder of downloads.
        accepted: file of the hashes that were accepted on first use.

    Returns:
        The model, in eval mode, on the CPU.

    Raises:
        ResourceUnavailable: the file cannot be had.
        DataError: it is not the expected file, or does not fit the architecture or its normalization.
    """
    recorder = Recorder()
    settings = CheckpointSettings.model_validate(specification["checkpoint"])
    file = fetch(settings, Path(data_root) if data_root else None, Path(downloads), Path(accepted))
    model = build_model(specification)
    fill(model, read_tensors(file, FORMATS[settings.format]), FORMATS[settings.format], file)
    hashes = save_weights(model, folder)
    write_history([], Path(folder))
    manifest = recorder.manifest(specification, checkpoint_sha256=file_sha256(file), **hashes)
    write_sealed_json(Path(folder) / MANIFEST, manifest)
    log(f"{parameter_count(model):,} parameters imported from {file}")
    return model.eval()


def fill(model: Classifier, tensors: Mapping[str, Tensor], layout: CheckpointFormat, file: Path) -> None:
    """Copy the tensors of a checkpoint into a model; every tensor of either must have its counterpart.

    Raises:
        DataError: naming what is left over, what is missing, what has another shape, or a normalization that
            is not the model's, or numbers that no network can have.
    """
    network = bare_network(model)
    own = network.state_dict()
    renamed, strange = _in_our_names(tensors, layout)
    if layout.in_order is not None:
        renamed = _in_order(renamed, list(own), by_name=layout.in_order == "name")
    if layout.channels_last:
        renamed |= channels_first({name: renamed[name] for name in own if name in renamed})
    # Older releases of torch did not count the batches of batch norm. The number is never used.
    missing = [name for name in own if name not in renamed and not name.endswith("num_batches_tracked")]
    strange += [name for name in renamed if name not in own]
    reshaped = [
        f"{name} {tuple(renamed[name].shape)} instead of {tuple(own[name].shape)}"
        for name in renamed
        if name in own and renamed[name].shape != own[name].shape
    ]
    shared = [name for name in renamed if name in own and own[name].is_floating_point()]
    whole = [name for name in shared if not renamed[name].is_floating_point()]
    infinite = [name for name in shared if not renamed[name].isfinite().all()]
    for problem, names in (
        ("holds tensors that the network has not", strange),
        ("lacks tensors of the network", missing),
        ("holds tensors of other shapes", reshaped),
        ("holds integers where a network has fractions", whole),
        ("holds numbers that are infinite or not a number", infinite),
    ):
        if names:
            raise DataError(f"{file} {problem}: {_some(names)}")
    _compare_normalization(model, tensors, layout, file)
    network.load_state_dict({**own, **renamed})


def _in_our_names(
    tensors: Mapping[str, Tensor], layout: CheckpointFormat
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the network's tensors under our names, and the names in the file of those that belong to nothing."""
    renamed: dict[str, Tensor] = {}
    strange = []
    for name, tensor in tensors.items():
        if re.fullmatch(layout.ignore, name):
            continue
        if prefix := re.match(layout.prefix, name):
            ours = _rename(name[prefix.end() :], layout.rename)
            if re.fullmatch(layout.opposite, name):
                tensor = -tensor
            if ours.endswith("running_var"):
                tensor = tensor + layout.variance_offset
            renamed[ours] = tensor
        else:
            strange.append(name)
    return renamed, strange


def _in_order(tensors: Mapping[str, Tensor], own: Sequence[str], *, by_name: bool) -> dict[str, Tensor]:
    """Return the tensors of a file under the names of the network's layers, taken in order as far as both go."""
    theirs, ours = (
        list(dict.fromkeys(name.rpartition(".")[0] for name in names if "." in name))
        for names in (sorted(tensors) if by_name else tensors, own)
    )
    layers = dict(zip(theirs, ours, strict=False))
    ordered = {}
    for name, tensor in tensors.items():
        layer, _, part = name.rpartition(".")
        ordered[f"{layers[layer]}.{part}" if layer in layers else name] = tensor
    return ordered


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
