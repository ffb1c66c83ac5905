"""Attacks: procedures that look for adversarial examples. Importing the package registers them."""
