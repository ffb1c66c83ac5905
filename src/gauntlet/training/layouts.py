"""Layouts of published checkpoints: how each publisher names a network's tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gauntlet.training.checkpoints import FormatName


@dataclass(frozen=True)
class CheckpointFormat:
    """A publisher's names of a network's tensors.

    Attributes:
        containers: entries of the file that may hold the tensors; the first that is there does. If none is,
            the file is the mapping of tensors itself.
        prefix: regular expression of what the names of the network's tensors begin with.
        rename: regular expressions and their replacements, applied in order to the names without the prefix.
        in_order: the names tell nothing: the layers of the file are those of the network in the same order.
        ignore: regular expression of whole names that belong to something else than the network.
        mean: name of the tensor with the mean that inputs are normalized by, if the file has one.
        std: name of the tensor with its standard deviation.
    """

    containers: tuple[str, ...] = ()
    prefix: str = ""
    rename: tuple[tuple[str, str], ...] = ()
    in_order: bool = False
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
        containers=("state_dict", "net"),
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
    "keras": CheckpointFormat(in_order=True),
}
