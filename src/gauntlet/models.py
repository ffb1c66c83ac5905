"""Models: an architecture with its input normalization, built from or loaded by a job's specification.

A specification is a JSON mapping with ``architecture``, ``input_shape`` (C, H, W), ``classes``,
``normalization`` (per-channel ``mean`` and ``std``, or null) and ``seed``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from gauntlet.contracts import ARCHITECTURES, Classifier, DeclaresAttackSpace
from gauntlet.errors import DataError
from gauntlet.runtime.checksums import read_sealed_json, readable, verify_hash
from gauntlet.runtime.files import atomic_path
from gauntlet.runtime.seeding import seed_for

WEIGHTS, HISTORY, MANIFEST = "weights.safetensors", "history.parquet", "manifest.json"
"""Names of a model's files in its folder."""

LAST_WEIGHTS = "last.safetensors"
"""Weights after the last epoch, where ``weights.safetensors`` holds those of the epoch that a training chose."""

HASHES = {WEIGHTS: "weights_sha256", LAST_WEIGHTS: "last_weights_sha256"}
"""Keys of the manifest that hold the SHA-256 of a model's files of weights."""


class Normalized(nn.Module):
    """A network behind its input normalization, so that its images are in [0, 1].

    Args:
        network: reads normalized images ``[N, C, H, W]``.
        mean: subtracted from each channel.
        std: each channel is divided by it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits ``[N, K]`` of images ``[N, C, H, W]`` in [0, 1]."""
        return self.network((images - self.mean) / self.std)


def build_model(specification: Mapping[str, Any]) -> Classifier:
    """Build the model of a specification with fresh weights, which its seed determines."""
    channels, height, width = specification["input_shape"]
    architecture = ARCHITECTURES.parse(specification["architecture"])
    normalization = specification.get("normalization")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("weights", specification["seed"]))
        network = architecture.build((channels, height, width), specification["classes"])
        if normalization is None:
            return network
        return Normalized(network, normalization["mean"], normalization["std"])


def bare_network(model: Classifier) -> nn.Module:
    """Return the network without its input normalization."""
    return model.network if isinstance(model, Normalized) else model


def attack_space(model: Classifier, images: Tensor) -> tuple[nn.Module, Tensor]:
    """Return the network that attacks and penalties act on, and its input for these images.

    That is the model and the images themselves, unless the model declares another space.
    """
    if isinstance(model, DeclaresAttackSpace):
        with torch.no_grad():
            return model.network, model.to_attack_space(images)
    return model, images


def weights_file(folder: str | Path, *, last: bool = False) -> Path:
    """Return the file of a model's weights: by default of the epoch it chose, ``last`` of the last one."""
    folder = Path(folder)
    return folder / LAST_WEIGHTS if last and (folder / LAST_WEIGHTS).is_file() else folder / WEIGHTS


def load_model(
    folder: str | Path,
    device: torch.device | str = "cpu",
    *,
    parameter_gradients: bool = False,
    last: bool = False,
) -> Classifier:
    """Load a trained or imported model, in eval mode.

    Args:
        folder: holds ``manifest.json`` and ``weights.safetensors``.
        device: where the model goes.
        parameter_gradients: whether parameters require gradients; attacks only need those of the input.
        last: whether to take the weights after the last epoch where training chose those of another one.

    Raises:
        DataError: a file is damaged, or the weights do not belong to the manifest's architecture.
    """
    weights, manifest = weights_file(folder, last=last), read_sealed_json(Path(folder) / MANIFEST)
    verify_hash(weights, manifest.get(HASHES[weights.name]))
    with torch.device("meta"):  # No weights are drawn only to be overwritten.
        model = build_model(manifest["specification"])
    with readable(weights):
        tensors = load_file(weights)
    try:
        model.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise DataError(f"{weights} does not fit its manifest: {error}") from None
    return to_device(model, device).eval().requires_grad_(parameter_gradients)


def to_device(model: nn.Module, device: torch.device | str) -> nn.Module:
    """Move a model to a device, its convolutions laid out channels last, nearly always the faster way.

    On a CPU the convolutions that would corrupt memory that way keep the usual layout.
    """
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    for module in model.modules():
        if torch.device(device).type == "cpu" and corrupts_memory(module):
            # A clone, since tensors of one pixel or one channel count as contiguous in either layout.
            weight = module.get_parameter("weight")
            weight.data = weight.data.clone(memory_format=torch.contiguous_format)
            module.register_forward_pre_hook(_channels_first)
    return model


def _channels_first(module: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    """Lay the input of a layer out in the usual way: a layer follows its input as well as its weights."""
    return inputs[0].clone(memory_format=torch.contiguous_format)


def corrupts_memory(module: nn.Module) -> bool:
    """Whether oneDNN writes past the end of this layer's buffers when they are laid out channels last.

    It does so for convolutions of 1x1 pixels with a stride of 2 or more and fewer than 8 input channels.
    """
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and max(module.stride) > 1
        and module.in_channels < 8
    )


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Let no parameter ask for a gradient meanwhile: an attack needs that of the image alone.

    Eager passes leave the others out by themselves, compiled ones do not.
    """
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in learnt:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learnt:
            parameter.requires_grad_()


def save_weights(model: Classifier, folder: str | Path, *, last: bool = False) -> dict[str, str]:
    """Write ``weights.safetensors``, or those after the ``last`` epoch beside it, atomically.

    Returns:
        The SHA-256 of the file under the key that it has in a manifest.
    """
    name = LAST_WEIGHTS if last else WEIGHTS
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    content = save(tensors)  # safetensors' own files are for their owner alone
    with atomic_path(Path(folder) / name) as temporary:
        temporary.write_bytes(content)
    return {HASHES[name]: hashlib.sha256(content).hexdigest()}


def parameter_count(model: nn.Module) -> int:
    """Return the number of trainable numbers of a model."""
    return sum(parameter.numel() for parameter in model.parameters())


def forward_flops(specification: Mapping[str, Any]) -> float:
    """Return the floating-point operations of one image's forward pass (a multiply-add counts as two).

    Nothing is computed: the network and the image live on the meta device.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model = build_model(specification).eval()
        image = torch.empty(1, *specification["input_shape"])
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(image)
    return float(counter.get_total_flops())
