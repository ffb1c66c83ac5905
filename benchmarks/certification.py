"""Cost of certification beyond the forward passes that it makes.

    python benchmarks/certification.py [--device cuda] [--threads 1] [--images 10] [--draws 1000] [--repeats 5]

For each network, prints the time of ``certify`` over the time of the bare passes: the same network on
ready-made noisy batches of the same sizes. The two take turns; the ratio is the median over the turns. On a
CPU the time is that of the process, so that other load on the machine disturbs less.
"""

from __future__ import annotations

import statistics

import torch
from _measuring import Sizes, options, read, seconds

from gauntlet.certification.certify import Certify
from gauntlet.contracts import ARCHITECTURES, Batch
from gauntlet.runtime.seeding import generator_for

LENET = {
    "name": "cnn",
    "layers": [
        {"layer": "conv", "channels": 16, "kernel": 5},
        {"layer": "max_pool"},
        {"layer": "conv", "channels": 32, "kernel": 5},
        {"layer": "max_pool"},
        {"layer": "linear", "units": 128},
    ],
}
NETWORKS = {
    "small CNN, 28x28x1": (LENET, (1, 28, 28)),
    "ResNet-8, 32x32x3": ({"name": "resnet_cifar", "depth": 8}, (3, 32, 32)),
    "ResNet-20, 32x32x3": ({"name": "resnet_cifar", "depth": 20}, (3, 32, 32)),
    "ResNet-110, 32x32x3": ({"name": "resnet_cifar", "depth": 110}, (3, 32, 32)),
}

QUICK = list(NETWORKS)[:3]
"""Those that a CPU measures within minutes."""


def main() -> None:
    parser = options(__doc__, repeats=5)
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument(
        "--networks", nargs="*", choices=NETWORKS, default=QUICK, metavar="NAME", help=" | ".join(NETWORKS)
    )
    arguments = read(parser)
    device = arguments.device
    print(f"{'network':<22}{'certify':>10}{'bare':>10}{'ratio':>8}{'noisy images/s':>16}")
    for name in arguments.networks:
        specification, shape = NETWORKS[name]
        network = ARCHITECTURES.parse(specification).build(shape, 10).eval()
        network = network.to(device, memory_format=torch.channels_last)
        images = torch.rand(arguments.images, *shape, device=device)
        batch = Batch(
            images,
            torch.zeros(len(images), dtype=torch.long, device=device),
            torch.arange(len(images), device=device),
            generator_for(device, "benchmark"),
        )
        procedure = Certify(sigma=0.25, n0=100, n=arguments.draws)
        counted = Sizes(network)
        procedure.run(counted, batch)
        noisy = {size: torch.randn(size, *shape, device=device) for size in set(counted.seen)}

        @torch.inference_mode()
        def bare(network=network, sizes=tuple(counted.seen), noisy=noisy) -> None:
            for size in sizes:
                network(noisy[size])

        def certify(procedure=procedure, network=network, batch=batch) -> None:
            procedure.run(network, batch)

        turns = [(seconds(certify, device), seconds(bare, device)) for _ in range(arguments.repeats)]
        whole, passes = (statistics.median(times) for times in zip(*turns, strict=True))
        ratio = statistics.median(one / other for one, other in turns)
        rate = sum(counted.seen) / whole
        print(f"{name:<22}{whole:>9.3f}s{passes:>9.3f}s{ratio:>8.3f}{rate:>16,.0f}", flush=True)


if __name__ == "__main__":
    main()
