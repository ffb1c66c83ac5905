"""Attacks: procedures that look for adversarial examples. Importing the package registers them."""

from gauntlet.attacks import first_order, foolbox_attack, reference_noise, scheduled_ascent

__all__ = ["first_order", "foolbox_attack", "reference_noise", "scheduled_ascent"]
