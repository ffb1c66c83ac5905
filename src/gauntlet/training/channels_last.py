"""Weights of networks whose images have their channels last, as TensorFlow and Keras lay them out."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def channels_first(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a network, given in the order of its layers, as torch lays them out.

    There a convolution is height x width x input x output, a dense layer input x output, and an image is flattened
    as height x width x channel. Here a convolution is output x input x height x width, a dense layer output x
    input, and an image is flattened as channel x height x width.
    """
    turned: dict[str, Tensor] = {}
    channels = None  # Those of the image that the next dense layer flattens.
    for name, tensor in tensors.items():
        if name.endswith(".bias"):
            tensor = tensor.flatten()  # MATLAB knows no vectors.
        elif tensor.ndim == 4:
            tensor = tensor.permute(3, 2, 0, 1)
            channels = len(tensor)
        elif tensor.ndim == 2:
            tensor = tensor.T
            if channels is not None and tensor.shape[1] % channels == 0:
                tensor = tensor.unflatten(1, (-1, channels)).transpose(1, 2).flatten(1)
            channels = None
        turned[name] = tensor.contiguous()
    return turned
