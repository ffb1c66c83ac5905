"""Seeds derived from what the randomness is for, so that no order of work changes them."""

from __future__ import annotations

import hashlib
import json

import torch


def seed_for(*parts: str | int) -> int:
    """Derive a 63-bit seed from the purposes that ``parts`` spell out."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_for(device: torch.device | str, *parts: str | int) -> torch.Generator:
    """Return a generator on ``device`` that is seeded for the purpose that ``parts`` spell out."""
    return torch.Generator(device=device).manual_seed(seed_for(*parts))
