"""Layouts of published checkpoints: how each publisher names a network's tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gauntlet.training.checkpoints import FormatName


@dataclass(frozen=True)
class CheckpointFormat:
    """A publisher's names of a network's tensors.

    Attributes:
        containers: entries of the file that may hold the tensors; the first that is there does. If none is,
            the file is the mapping of tensors itself.
        prefix: regular expression of what the names of the network's tensors begin with.
        rename: regular expressions and their replacements, applied in order to the names without the prefix.
        in_order: the names of the layers tell no more than their order, in the ``file`` or by ``name``, which is that
            of the network.
        channels_last: whether the weights are laid out for images with their channels last.
        opposite: regular expression of whole names whose tensors have the opposite sign.
        variance_offset: added to the variances of batch norm, for a publisher who keeps them from zero by a larger
            constant than torch's 1e-5.
        ignore: regular expression of whole names that belong to something else than the network.
        mean: name of the tensor with the mean that inputs are normalized by, if the file has one.
        std: name of the tensor with its standard deviation.
    """

    containers: tuple[str, ...] = ()
    prefix: str = ""
    rename: tuple[tuple[str, str], ...] = ()
    in_order: Literal["file", "name"] | None = None
    channels_last: bool = False
    opposite: str = "(?!)"
    variance_offset: float = 0.0
    ignore: str = "(?!)"
    mean: str | None = None
    std: str | None = None


_MADRYLAB = CheckpointFormat(
    containers=("model", "state_dict"),
    prefix=r"module\.model\.",
    # The wrapper's attacker holds the same network a second time.
    ignore=r"module\.(attacker|normalizer)\..*",
    mean="module.normalizer.new_mean",
    std="module.normalizer.new_std",
)


def _numbered(name: str, first: str, layers: int) -> CheckpointFormat:
    """The layout of ``layers`` layers whose kernels and biases have one running number.

    Args:
        name: what a name consists of before its number.
        first: name of the first tensor.
        layers: their number.
    """
    names = [first, *(f"{name}{number}" for number in range(1, 2 * layers))]
    rename = tuple(
        (f"^{one}$", f"layer{number // 2}.{'bias' if number % 2 else 'weight'}")
        for number, one in enumerate(names)
    )
    return CheckpointFormat(rename=rename, in_order="name", channels_last=True, ignore=_TENSORFLOW_STATE)


# Of the optimizer.
_TENSORFLOW_STATE = r"global_step|.*/(Momentum|Adam(_1)?)|beta[12]_power"
_SHORTCUT_AND_LINEAR = ((r"\.shortcut\.", ".downsample."), (r"^linear\.", "fc."))

FORMATS: Mapping[FormatName, CheckpointFormat] = {
    # Inception's auxiliary head only serves training.
    "torchvision": CheckpointFormat(ignore=r"AuxLogits\..*"),
    "madrylab_imagenet": _MADRYLAB,
    "madrylab_cifar": CheckpointFormat(**{**vars(_MADRYLAB), "rename": _SHORTCUT_AND_LINEAR}),
    "locuslab_imagenet": CheckpointFormat(containers=("state_dict",), prefix=r"module\."),
    "locuslab_cifar": CheckpointFormat(rename=((r"\.shortcut\.0\.", ".downsample."), (r"^linear\.", "fc."))),
    # The first member of the published Sequential subtracts the mean and stores nothing.
    "hadisalman_cifar": CheckpointFormat(containers=("state_dict",), prefix=r"1\."),
    # TRADES' network carries a block that it never runs. SENSE keeps the same names under state_dict, Adversarial
    # Interpolation and Feature-Scattering under net, the latter inside its attack.
    "trades_cifar": CheckpointFormat(
        containers=("state_dict", "net", "model"),
        prefix=r"(module\.)?(basic_net\.)?",
        rename=(
            (r"^block(\d)\.layer\.", r"layer\1."),
            (r"\.convShortcut\.", ".downsample."),
            (r"^bn1\.", "bn."),
        ),
        ignore=r"(module\.)?sub_block1\..*",
    ),
    "rays_mnist": CheckpointFormat(
        prefix=r"module\.",
        rename=((r"^features\.", ""), (r"^fc1\.", "15."), (r"^fc2\.", "18."), (r"^fc3\.", "21.")),
    ),
    "keras": CheckpointFormat(in_order="file", channels_last=True),
    # The networks of Croce, Andriushchenko and Hein 2019, those trained by the method of Wong and Kolter among them.
    "mmr": CheckpointFormat(
        rename=((r"^weights_(\w+)$", r"\1.weight"), (r"^biases_(\w+)$", r"\1.bias")),
        in_order="name",
        channels_last=True,
    ),
    # The networks that came with FAB (Croce and Hein 2020). Convolutions of the trained ones for CIFAR-10 have no bias.
    "fab_mnist": _numbered("A", "A0", 4),
    "fab_cifar": CheckpointFormat(
        rename=(
            (r"^A([0-7])$", r"layer\1.weight"),
            (r"^A8$", "layer8.weight"),
            (r"^A9$", "layer8.bias"),
            (r"^A10$", "layer9.weight"),
            (r"^A11$", "layer9.bias"),
        ),
        in_order="name",
        channels_last=True,
    ),
    "fab_cifar_plain": CheckpointFormat(
        rename=((r"^A(\d)$", r"layer\1.weight"), (r"^bA(\d)$", r"layer\1.bias")),
        in_order="name",
        channels_last=True,
        opposite=r"bA\d",
    ),
    # TensorFlow names variables that have no name of their own by number.
    "mnist_challenge": _numbered("Variable_", "Variable", 4),
    "cifar10_challenge": CheckpointFormat(
        rename=(
            (r"^input/init_conv/DW$", "conv1.weight"),
            (r"^unit_(\d)_(\d)/", r"layer\1.\2."),
            (r"(shared|residual_only)_activation/BatchNorm/", "bn1/"),
            (r"sub1/conv1/DW$", "conv1.weight"),
            (r"sub2/BatchNorm/", "bn2/"),
            (r"sub2/conv2/DW$", "conv2.weight"),
            (r"^unit_last/BatchNorm/", "bn/"),
            (r"^logit/DW$", "fc.weight"),
            (r"^logit/biases$", "fc.bias"),
            (r"/gamma$", ".weight"),
            (r"/beta$", ".bias"),
            (r"/moving_mean$", ".running_mean"),
            (r"/moving_variance$", ".running_var"),
        ),
        channels_last=True,
        variance_offset=1e-3 - 1e-5,
        ignore=_TENSORFLOW_STATE,
    ),
}
