"""Attacks that stay in a ball of a given radius."""
