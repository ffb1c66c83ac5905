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
    """Return the weights of a Sequential network, layer by layer, laid out as torch does it.

    Keras keeps a convolution as height x width x input x output, a dense layer as input x output, and flattens an
    image as height x width x channel. Here a convolution is output x input x height x width, a dense layer output
    x input, and an image is flattened as channel x height x width.

    Raises:
        DataError: a layer has other weights than a convolution or a dense layer.
    """
    import h5py

    tensors: dict[str, Tensor] = {}
    channels = None  # Those of the image that the next dense layer flattens.
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
            if kernel.ndim == 4:
                kernel = kernel.permute(3, 2, 0, 1)
                channels = len(kernel)
            else:
                kernel = kernel.T
                if channels is not None:
                    kernel = kernel.unflatten(1, (-1, channels)).transpose(1, 2).flatten(1)
                    channels = None
            tensors[f"{layer}.weight"] = kernel.contiguous()
            if bias is not None:
                tensors[f"{layer}.bias"] = bias
    return tensors


def _text(name: str | bytes) -> str:
    """Return a name of the file as text; older releases wrote bytes."""
    return name.decode() if isinstance(name, bytes) else name
