"""Cost of black-box attacks beyond the forward passes of their queries, and the gain of lock-step.

    python benchmarks/query_attacks.py [--network small] [--device cuda] [--threads 1] [--images 64] [--budget 300]

The goal is out of reach, so that every image spends its budget. Printed for each attack, as medians over
repeats:

overhead   time of the attack over the bare time of as many passes of the same sizes on ready-made images
passes/s   images through the network per second, all images in lock-step
lock-step  that over the same for one image at a time
solver     for BOBYQA: share of the time that is spent outside the network

On a CPU the time is that of the process, so that other load on the machine disturbs less.
"""

from __future__ import annotations

import statistics

import torch
from _measuring import Sizes, options, read, seconds
from torch import Tensor, nn

from gauntlet.attacks.decision_based.hop_skip_jump import HopSkipJump
from gauntlet.attacks.decision_based.opt import OPT
from gauntlet.attacks.decision_based.rays import RayS
from gauntlet.attacks.decision_based.sign_opt import SignOPT
from gauntlet.attacks.queries.base import QueryAttack
from gauntlet.attacks.score_based.bandits import Bandits
from gauntlet.attacks.score_based.bobyqa import BOBYQA
from gauntlet.attacks.score_based.frank_wolfe_blackbox import FrankWolfeBlackBox
from gauntlet.attacks.score_based.nattack import NAttack
from gauntlet.attacks.score_based.nes import NES
from gauntlet.attacks.score_based.sign_hunter import SignHunter
from gauntlet.attacks.score_based.square import Square
from gauntlet.contracts import Batch

EPS = 1e-6  # out of reach
ONE_AT_A_TIME = 4  # images that are attacked alone


def network(size: str) -> nn.Module:
    """Build a network for 28 x 28 images: ``published``, that of chen2021's query attacks, or ``small``."""
    torch.manual_seed(0)
    if size == "small":
        body = [nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten()]
        return nn.Sequential(*body, nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10)).eval()

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, 3),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]

    head = [nn.Flatten(), nn.Linear(1024, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10)]
    return nn.Sequential(*block(1, 32), *block(32, 64), *head).eval()


def attacks(budget: int) -> list[QueryAttack]:
    return [
        FrankWolfeBlackBox(eps=EPS, budget=budget),
        NES(eps=EPS, budget=budget),
        Bandits(eps=EPS, budget=budget, tiles=8),
        NAttack(eps=EPS, budget=budget, population=100),
        SignHunter(eps=EPS, budget=budget),
        Square(eps=EPS, budget=budget),
        BOBYQA(eps=EPS, budget=budget, grids=(7, 14, 28), starts=(0, 3, 13)),
        RayS(eps=EPS, budget=budget),
        OPT(eps=EPS, budget=budget),
        SignOPT(eps=EPS, budget=budget),
        HopSkipJump(eps=EPS, budget=budget),
    ]


def attack_rows(attack: QueryAttack, model: nn.Module, batch: Batch, rows: slice) -> None:
    generator = torch.Generator(device=batch.images.device).manual_seed(0)
    attack.perturb(model, Batch(batch.images[rows], batch.labels[rows], batch.indices[rows], generator))


@torch.no_grad()
def bare(model: nn.Module, images: Tensor, sizes: list[int]) -> None:
    for size in sizes:
        model(images[:size])


def measure(attack: QueryAttack, model: nn.Module, batch: Batch, repeats: int) -> str:
    device = batch.images.device
    everything = slice(0, len(batch))
    sizes = Sizes(model)
    attack_rows(attack, sizes, batch, everything)
    ready = batch.images.repeat(-(-max(sizes.seen) // len(batch)), 1, 1, 1).contiguous()
    ratios, rates, gains = [], [], []
    alone_sizes = Sizes(model)
    for row in range(ONE_AT_A_TIME):
        attack_rows(attack, alone_sizes, batch, slice(row, row + 1))
    for _ in range(repeats):
        plain = seconds(lambda: bare(model, ready, sizes.seen), device)
        together = seconds(lambda: attack_rows(attack, model, batch, everything), device)
        alone = sum(
            seconds(lambda row=row: attack_rows(attack, model, batch, slice(row, row + 1)), device)
            for row in range(ONE_AT_A_TIME)
        )
        rate = sum(sizes.seen) / together
        ratios.append(together / plain)
        rates.append(rate)
        gains.append(rate / (sum(alone_sizes.seen) / alone))
    ratio = statistics.median(ratios)
    solver = f"{1 - 1 / ratio:7.0%}" if isinstance(attack, BOBYQA) else ""
    return (
        f"{attack.name:22s}{ratio:9.2f}{statistics.median(rates):10.0f}{statistics.median(gains):10.1f} {solver}"
        f"  ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def main() -> None:
    parser = options(__doc__, repeats=3)
    parser.add_argument("--network", choices=["small", "published"], default="published")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--budget", type=int, default=300)
    arguments = read(parser)
    device = arguments.device
    model = network(arguments.network).to(device)
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(arguments.images, 1, 28, 28, generator=generator).to(device)
    with torch.no_grad():
        order = model(images).argsort(1, descending=True)
    batch = Batch(
        images, order[:, 0], torch.arange(len(images), device=device), torch.Generator(device=device)
    )
    print(f"{'attack':22s}{'overhead':>9s}{'passes/s':>10s}{'lock-step':>10s}  solver  (range of overhead)")
    for attack in attacks(arguments.budget):
        print(measure(attack, model, batch, arguments.repeats), flush=True)


if __name__ == "__main__":
    main()
