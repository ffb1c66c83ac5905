"""Time of the minimum-norm attacks over their bare passes, and the throughput of the linear region attack.

    python benchmarks/minimum_norm.py [--device cuda] [--threads 1] [--repeats 5] [--batch 128]

Bare passes and attack take turns, so that a busy machine disturbs both alike; of the ratios of the pairs,
the median and the range are printed. On a CPU it is the processor's time that counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from _measuring import options, read, seconds
from torch import nn

from gauntlet.attacks.fixed_budget.daa import Daa
from gauntlet.attacks.fixed_budget.pgd_with_restarts import PgdWithRestarts, SparsePgd
from gauntlet.attacks.linear_regions.linear_region import LinearRegion
from gauntlet.attacks.minimum_norm.primal_dual import PDGD, PDPGD
from gauntlet.contracts import Batch, LabelledImages, Procedure

STEPS = 20


def small_network() -> nn.Module:
    """The network of croce2019's provably robust models, 4,804 units."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(1568, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    ).eval()


def network() -> nn.Module:
    """The convolutional MNIST network of matyasko2020 and croce2019."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(3136, 1024),
        nn.ReLU(),
        nn.Linear(1024, 10),
    ).eval()


@torch.no_grad()
def noise(model: nn.Module, count: int, device: torch.device) -> Batch:
    """Draw noise images, and centre and spread the logits so that every class occurs."""
    generator = torch.Generator(device=device).manual_seed(0)
    images = torch.rand(count, 1, 28, 28, generator=generator, device=device)
    spread = model(images).std(0)
    model[-1].weight /= spread[:, None]
    model[-1].bias /= spread
    model[-1].bias -= model(images).mean(0)
    return Batch(images, model(images).argmax(1), torch.arange(count, device=device), generator)


def attacks() -> dict[str, tuple[Procedure, int, int]]:
    """Attacks with their forward and backward passes on images that nothing fools."""
    tiny = 1e-6
    found: dict[str, tuple[Procedure, int, int]] = {"pdgd": (PDGD(steps=STEPS), STEPS + 3, STEPS)}
    for norm in ("linf", "l2", "l1", "l0"):
        found[f"pdpgd {norm}"] = (PDPGD(norm=norm, steps=STEPS), STEPS + 3, STEPS)
    for norm in ("linf", "l2"):
        restarts = PgdWithRestarts(norm=norm, eps=tiny, step_size=tiny / 4, steps=STEPS)
        found[f"pgd_with_restarts {norm}"] = (restarts, STEPS + 3, STEPS)
    found["sparse_pgd"] = (SparsePgd(eps=tiny, step_size=tiny / 4, steps=STEPS), STEPS + 3, STEPS)
    found["daa"] = (Daa(eps=tiny, step_size=tiny / 4, steps=STEPS), STEPS + 3, STEPS)
    return found


def bare_passes(model: nn.Module, batch: Batch, forward: int, backward: int) -> None:
    """Do nothing but the passes."""
    for _ in range(backward):
        leaf = batch.images.detach().requires_grad_()
        torch.autograd.grad(batch.criterion.margin(model(leaf)).sum(), leaf)
    with torch.no_grad():
        for _ in range(forward - backward):
            model(batch.images)


def compare(
    bare: Callable[[], object], work: Callable[[], object], repeats: int, device: torch.device
) -> list[float]:
    """Return the ratios of the two times, one per repeat."""
    bare(), work()
    return [seconds(work, device) / seconds(bare, device) for _ in range(repeats)]


def linear_regions(model: nn.Module, batch: Batch, device: torch.device, count: int = 64) -> None:
    """Print the throughput of the linear region attack, with images together and one after the other."""
    attack = LinearRegion(starts=1, regions=2, target_classes="start", solver_steps=100)
    images, labels = batch.images[:count], batch.labels[:count]
    references = LabelledImages(batch.images, batch.labels)
    pool = Batch(images, labels, batch.indices[:count], batch.generator, references=references)
    outcome = attack.run(model, pool)
    together = seconds(lambda: attack.run(model, pool), device)
    regions = int(outcome.columns["regions"].sum())
    iterations = int(outcome.columns["iterations"].sum())
    passes = seconds(lambda: bare_passes(model, pool, 10, 10), device) / 10 / count
    print(f"linear_region, {count} images: {regions / together:.1f} regions/s, ", end="")
    print(
        f"{iterations / together:.0f} solver iterations/s ({1 / passes:.0f} bare passes both ways/s); ",
        end="",
    )
    singles = [
        Batch(images[[i]], labels[[i]], batch.indices[[i]], batch.generator, references=references)
        for i in range(6)
    ]
    alone = seconds(lambda: [attack.run(model, single) for single in singles], device) / len(singles)
    print(f"one after the other it takes {alone * count / together:.1f} times as long", flush=True)


def main() -> None:
    parser = options(__doc__, repeats=5)
    parser.add_argument("--batch", type=int, default=128)
    arguments = read(parser)
    device = arguments.device
    torch.manual_seed(0)
    models = []
    for build in (network, small_network):
        model = build().to(device)
        models.append((model, noise(model, arguments.batch, device)))
    model, batch = models[0]
    for name, (attack, forward, backward) in attacks().items():
        ratios = compare(
            lambda forward=forward, backward=backward: bare_passes(model, batch, forward, backward),
            lambda attack=attack: attack.run(model, batch),
            arguments.repeats,
            device,
        )
        print(
            f"{name:22s} {statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )
    for model, batch in models:
        linear_regions(model, batch, device)


if __name__ == "__main__":
    main()
