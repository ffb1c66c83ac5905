"""Cost of training beyond its forward and backward passes, and images per second by network.

    python benchmarks/training.py [--device cuda] [--threads 1] [--repeats 5] [--images 1024] [--batch 128]

For each network and defence: images per second of one epoch of the training loop (augmentation, loss, optimizer,
records) and of the bare passes on one ready-made batch, and the ratio of their times. Both take turns, so that a
busy machine disturbs them alike; the median over the turns counts. On a CPU it is the processor's time that counts.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import torch
from _measuring import options, read, seconds
from torch import nn
from torch.nn import functional as F

from gauntlet.contracts import DEFENCES, Cost, Task
from gauntlet.models import build_model, forward_flops, frozen, parameter_count, to_device
from gauntlet.runtime.devices import computes_in_bfloat16
from gauntlet.training.images import DeviceImages, TrainingImages, to_unit_range
from gauntlet.training.loop import train_epoch
from gauntlet.training.optimizers import make_optimizer
from gauntlet.training.settings import TrainingSettings
from gauntlet.training.state import TrainingState

NETWORKS: list[dict[str, Any]] = [
    {"name": "resnet_cifar", "depth": 8},
    {"name": "resnet_cifar", "depth": 14},
    {"name": "resnet_cifar", "depth": 20},
    {"name": "preact_resnet", "blocks": [1, 1, 1], "width": 16},
    {"name": "preact_resnet", "blocks": [1, 1, 1, 1], "width": 16},
    {"name": "preact_resnet", "blocks": [1, 1, 1], "width": 32},
]
PGD = {
    "name": "pgd",
    "norm": "linf",
    "eps": "8/255",
    "steps": 7,
    "step_size": "2/255",
    "random_start": "uniform",
}
DEFENCES_BY_NAME: dict[str, dict[str, Any]] = {
    "natural": {"name": "natural"},
    "PGD-7": {"name": "adversarial_training", "attack": PGD},
    "Fast AT": {"name": "fast_adversarial_training"},
    "BS": {"name": "trades", "steps": 1, "step_size": "8/255", "start": {"name": "backward_smoothing"}},
    "TRADES-10": {"name": "trades"},
}
FULL_SIZE: list[dict[str, Any]] = [
    {"name": "resnet", "depth": 18},
    {"name": "wide_resnet", "depth": 34, "width": 10},
]


def bare_passes(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    settings: TrainingSettings,
    cost: Cost,
) -> None:
    """The passes of a defence: of its attack in float32, then those that it learns from."""
    learned = round(cost.weight_gradients)
    model.eval()
    with frozen(model):
        for _ in range(round(cost.backward) - learned):
            inputs = images.requires_grad_()
            torch.autograd.grad(F.cross_entropy(model(inputs), labels), inputs)
        with torch.no_grad():
            for _ in range(round(cost.forward - cost.backward)):
                model(images)
    model.train()
    bfloat16 = computes_in_bfloat16(settings.precision, images.device)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bfloat16):
        loss = sum(F.cross_entropy(model(images.detach()), labels) for _ in range(learned))
    loss.backward()  # type: ignore[union-attr]
    model.zero_grad()


def measure(architecture: dict[str, Any], arguments: argparse.Namespace, device: torch.device) -> str:
    model = to_device(
        build_model(
            {
                "architecture": architecture,
                "input_shape": [3, 32, 32],
                "classes": 10,
                "normalization": {"mean": [0.5] * 3, "std": [0.25] * 3},
                "seed": 0,
            }
        ),
        device,
    )
    settings = TrainingSettings.model_validate(
        {
            "epochs": 1,
            "batch_size": arguments.batch,
            "optimizer": {"name": "sgd", "lr": 0.01},
            "augmentation": [{"name": "crop"}, {"name": "flip"}],
        }
    )
    state = TrainingState(model, make_optimizer(settings.optimizer, model))
    count = arguments.images
    data = DeviceImages(
        torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, device=device),
        torch.randint(10, (count,), device=device),
        torch.arange(count, device=device),
    )
    images = TrainingImages(data)
    batch, labels = to_unit_range(data.images[: arguments.batch]), data.labels[: arguments.batch]
    flops = forward_flops(
        {"architecture": architecture, "input_shape": [3, 32, 32], "classes": 10, "seed": 0}
    )
    line = f"{architecture!s:<72} {parameter_count(model):>11,} {flops / 2e6:>8.1f}"
    for entry in DEFENCES_BY_NAME.values():
        defence = DEFENCES.parse(entry)
        cost = defence.cost(Task((3, 32, 32), 10))
        turns = [
            (
                seconds(lambda d=defence: train_epoch(state, d, images, settings, 0), device),
                seconds(lambda c=cost: bare_passes(model, batch, labels, settings, c), device)
                * count
                / arguments.batch,
            )
            for _ in range(arguments.repeats + 1)
        ][1:]  # the first turn warms up
        loop, bare = (statistics.median(times) for times in zip(*turns, strict=True))
        ratio = statistics.median(one / other for one, other in turns)
        line += f" {count / loop:>9.0f} {count / bare:>9.0f} {ratio:>6.2f}"
    return line


def main() -> None:
    parser = options(__doc__, repeats=5)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument(
        "--full-size", action="store_true", help="the published networks instead of small ones"
    )
    arguments = read(parser)
    heads = [f"{f'{name}: loop, bare, ratio':>27}" for name in DEFENCES_BY_NAME]
    print(f"{'images per second':<93}{' '.join(heads)}")
    for architecture in FULL_SIZE if arguments.full_size else NETWORKS:
        print(measure(architecture, arguments, arguments.device), flush=True)


if __name__ == "__main__":
    main()
