"""Read the convolutions and dense layers of a network that Keras saved as HDF5."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from gauntlet.errors import DataError

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(file: Path) -> bool:
    """Whether a file begins as HDF5 does."""
    with file.open("rb") as stream:
        return stream.read(len(_SIGNATURE)) == _SIGNATURE


def read_keras(file: Path) -> dict[str, Tensor]:
    """Return the weights of a Sequential network as they are, layer by layer, as ``<layer>.weight`` and ``.bias``.

    Raises:
        DataError: a layer has other weights than a convolution or a dense layer.
    """
    import h5py

    tensors: dict[str, Tensor] = {}
    with h5py.File(file, "r") as content:
        group = content.get("model_weights", content)
        for layer in map(_text, group.attrs["layer_names"]):
            weights = {
                _text(name).rpartition("/")[2].partition(":")[0]: torch.from_numpy(group[layer][name][()])
                for name in group[layer].attrs["weight_names"]
            }
            if not weights:
                continue
            kernel, bias = weights.pop("kernel", None), weights.pop("bias", None)
            if weights or kernel is None or kernel.ndim not in (2, 4):
                raise DataError(f"{file}: the layer {layer} is neither a convolution nor a dense layer")
            tensors[f"{layer}.weight"] = kernel
            if bias is not None:
                tensors[f"{layer}.bias"] = bias
    return tensors


def _text(name: str | bytes) -> str:
    """Return a name of the file as text; older releases wrote bytes."""
    return name.decode() if isinstance(name, bytes) else name
