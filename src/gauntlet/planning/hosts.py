"""Ask whether hosts answer, at most once an hour."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gauntlet.runtime.files import write_json

MEMORY = Path(".snakemake/gauntlet-hosts.json")
"""Remembers answers, so that the many processes of one run agree and an offline machine waits only once."""

SECONDS_VALID = 3600
SECONDS_PATIENCE = 3


def reachable(hosts: Iterable[str], *, fresh: bool = False) -> dict[str, bool]:
    """Return for each host whether it answers HTTPS requests, through a proxy if one is set.

    Args:
        hosts: host names.
        fresh: ask again even if an answer is remembered.
    """
    memory = {} if fresh else _remembered()
    unknown = sorted(set(hosts) - set(memory))
    if unknown:
        with ThreadPoolExecutor(max_workers=len(unknown)) as pool:
            answers = dict(zip(unknown, pool.map(_answers, unknown), strict=True))
        now = time.time()
        memory |= {host: (answer, now) for host, answer in answers.items()}
        write_json(MEMORY, memory)
    return {host: memory[host][0] for host in hosts}


def _remembered() -> dict[str, tuple[bool, float]]:
    try:
        stored = json.loads(MEMORY.read_text(encoding="utf-8"))
        return {
            host: (bool(answer), float(when))
            for host, (answer, when) in stored.items()
            if time.time() - when < SECONDS_VALID
        }
    except (OSError, ValueError, TypeError, AttributeError):  # Damaged: the hosts are asked again.
        return {}


def _answers(host: str) -> bool:
    try:
        urllib.request.urlopen(
            urllib.request.Request(f"https://{host}/", method="HEAD"), timeout=SECONDS_PATIENCE
        ).close()
    except urllib.error.HTTPError:
        return True  # an answer, if an unfriendly one
    except OSError:
        return False
    return True
