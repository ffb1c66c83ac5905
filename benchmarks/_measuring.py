"""What the benchmarks share: a clock, and a network that remembers the passes it was asked for."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn


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
