"""Time of each gradient attack over the bare time of its forward and backward passes.

    python benchmarks/attacks.py [--device cuda] [--threads 1] [--repeats 7] [--batch 128]

Bare passes and attack take turns, so that a busy machine disturbs both alike; of the ratios of the pairs,
the median and the range are printed. On a CPU it is the processor's time that counts.
"""

from __future__ import annotations

import statistics
from functools import partial

import torch
from _measuring import options, read, seconds
from torch import nn
from torch.nn import functional as F

from gauntlet.attacks.fixed_budget.pgd import Pgd
from gauntlet.attacks.fixed_budget.scheduled_ascent import ScheduledAscent
from gauntlet.contracts import Batch

RADII = {"linf": 8 / 255, "l2": 0.5, "l1": 12.0}


def network() -> nn.Module:
    """About ten million multiplications per 3x32x32 image."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, stride=2, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Conv2d(64, 128, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128 * 16, 10),
    ).eval()


def attacks() -> dict[str, Pgd | ScheduledAscent]:
    found: dict[str, Pgd | ScheduledAscent] = {}
    for norm, eps in RADII.items():
        for steps in (1, 10, 20):
            size = eps if steps == 1 else 2.5 * eps / steps
            found[f"pgd {norm} {steps}"] = Pgd(norm=norm, eps=eps, steps=steps, step_size=size)
    for norm, eps in RADII.items():
        for randomized in (False, True):
            name = f"scheduled_ascent {norm} 16{' randomized' if randomized else ''}"
            found[name] = ScheduledAscent(
                norm=norm, eps=eps, steps=16, decay="harmonic", randomized=randomized
            )
    return found


def bare_passes(model: nn.Module, batch: Batch, passes: int) -> None:
    """Do nothing but the passes: the gradient of the summed loss in the images."""
    for _ in range(passes):
        leaf = batch.images.detach().requires_grad_()
        torch.autograd.grad(F.cross_entropy(model(leaf), batch.labels, reduction="sum"), leaf)


def main() -> None:
    parser = options(__doc__, repeats=7)
    parser.add_argument("--batch", type=int, default=128)
    arguments = read(parser)
    device = arguments.device
    model = network().to(device)
    batch = Batch(
        torch.rand(arguments.batch, 3, 32, 32, device=device),
        torch.randint(10, (arguments.batch,), device=device),
        torch.arange(arguments.batch, device=device),
        torch.Generator(device).manual_seed(0),
    )
    print(
        f"batch {arguments.batch}, {device}, {torch.get_num_threads()} threads, {arguments.repeats} repeats"
    )
    print(f"{'attack':<36}{'bare ms':>10}{'ratio':>8}  {'range':<14}")
    for name, attack in attacks().items():
        pairs = []
        for _ in range(arguments.repeats + 1):
            bare = seconds(partial(bare_passes, model, batch, attack.steps), device)
            pairs.append((bare, seconds(partial(attack.perturb, model, batch), device)))
        pairs = pairs[1:]  # the first pair warms up
        ratios = sorted(full / bare for bare, full in pairs)
        bare = statistics.median(bare for bare, _ in pairs)
        spread = f"{ratios[0]:.3f} to {ratios[-1]:.3f}"
        print(f"{name:<36}{1000 * bare:>10.1f}{statistics.median(ratios):>8.3f}  {spread:<14}", flush=True)


if __name__ == "__main__":
    main()
