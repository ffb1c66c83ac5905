"""The campaign of faults: damage everything that can be damaged, and count what becomes of it.

It takes minutes to hours, and is no part of the tests. From the project's folder:

    python tests/campaigns/run.py --seed 0 > table.md

A fault shall be refused with a message, healed (computed anew, with the same numbers), warned of, or do no harm. A
traceback, wrong numbers without a word and files that stay behind are defects; they are listed on standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import configurations
import intermediates
import runs
import sources
import torch
from outcomes import Section, table


def main() -> int:
    """Run the campaign and print its table; returns 1 if there was a defect."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    for name, count in (
        ("configurations", 200), ("data", 100), ("checkpoints", 50), ("flips", 200), ("kills", 20), ("pairs", 3),
        ("room", 30), ("closed", 3),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=count, help=f"number of faults (default: {count})")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seed, sections = options.seed, []
    with tempfile.TemporaryDirectory() as place:
        parts: dict[str, Callable[[Path, int], Iterable[Section]]] = {
            "configurations": lambda folder, count: [configurations.campaign(folder, seed, count)],
            "data": lambda folder, count: [sources.data_campaign(folder, seed, count)],
            "checkpoints": lambda folder, count: [sources.checkpoint_campaign(folder, seed, count)],
            "flips": lambda folder, count: intermediates.campaign(folder, seed, count),
            "room": lambda folder, count: [runs.room_campaign(folder, seed, count)],
            "closed": lambda folder, count: [runs.read_only_campaign(folder)],
            "pairs": lambda folder, count: [runs.pair_campaign(folder, seed, count)],
            "kills": lambda folder, count: [runs.kill_campaign(folder, seed, count)],
        }
        for name, part in parts.items():
            count = getattr(options, name)
            if not count:
                continue
            folder = Path(place) / name
            folder.mkdir()
            began = time.monotonic()
            with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
                sections += list(part(folder, count))
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(f"Seed {seed}\n\n{table(sections)}")
    return int(any(section.bad for section in sections))


if __name__ == "__main__":
    sys.exit(main())
