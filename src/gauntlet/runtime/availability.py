"""Whether something that lies outside the project can be had here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Availability:
    """Source of a data set or a checkpoint.

    Attributes:
        local: it is on this machine; nothing needs to be downloaded.
        hosts: hosts that offer it, any of which will do; empty where it cannot be downloaded.
        reason: what is missing and how to get it; empty when it is local.
    """

    local: bool
    hosts: tuple[str, ...] = ()
    reason: str = ""
