"""Common parts of the benchmarks: options, a clock, and a network that remembers the passes it was asked for."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gauntlet.runtime.devices import keep_freed_memory


def options(description: str, repeats: int) -> argparse.ArgumentParser:
    """Return a parser of the options that every benchmark has, to be read by ``read``."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    # Threads that wait for each other spin, which the clock of the processor takes for work.
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=repeats, help="turns; the median over them counts")
    return parser


def read(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the command line, set the number of threads and use memory as jobs do."""
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    return arguments


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Time ``work``: the processor's seconds on a CPU; on a GPU the clock's, with the queue empty before and after."""
    if device.type == "cpu":
        start = time.process_time()
        work()
        return time.process_time() - start
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    torch.cuda.synchronize(device)
    return time.perf_counter() - start


class Sizes(nn.Module):
    """Remembers the sizes of the passes that a network is asked for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seen: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(len(images))
        return self.network(images)
