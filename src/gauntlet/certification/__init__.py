"""Certificates: procedures that prove a radius instead of attacking. Importing the package registers them."""

from gauntlet.certification import certify

__all__ = ["certify"]
