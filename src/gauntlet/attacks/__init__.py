"""Attacks: procedures that look for adversarial examples. Importing the package registers them."""

from gauntlet.attacks import (
    bandits,
    bobyqa,
    first_order,
    foolbox_attack,
    frank_wolfe,
    frank_wolfe_blackbox,
    hop_skip_jump,
    momentum,
    nattack,
    nes,
    opt,
    rays,
    reference_noise,
    scheduled_ascent,
    sign_hunter,
    square,
)

__all__ = [
    "bandits",
    "bobyqa",
    "first_order",
    "foolbox_attack",
    "frank_wolfe",
    "frank_wolfe_blackbox",
    "hop_skip_jump",
    "momentum",
    "nattack",
    "nes",
    "opt",
    "rays",
    "reference_noise",
    "scheduled_ascent",
    "sign_hunter",
    "square",
]
