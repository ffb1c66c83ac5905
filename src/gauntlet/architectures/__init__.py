"""Architectures: plans of networks. Importing the package registers them.

Layers carry torchvision's names (``conv1``, ``layer2.0.bn1``, ``downsample``, ``fc``), so that most published
checkpoints need few renamings.
"""

from gauntlet.architectures import (
    challenge_resnet,
    cnn,
    densenet,
    ensemble,
    nin,
    noisy_mlp,
    pca_prefix,
    preact_resnet,
    resnet,
    rippled,
    torchvision_inception,
    torchvision_resnet,
    whitened,
)

__all__ = [
    "challenge_resnet",
    "cnn",
    "densenet",
    "ensemble",
    "nin",
    "noisy_mlp",
    "pca_prefix",
    "preact_resnet",
    "resnet",
    "rippled",
    "torchvision_inception",
    "torchvision_resnet",
    "whitened",
]
