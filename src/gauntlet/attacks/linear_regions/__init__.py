"""Attacks that solve for the nearest point in one linear region of the network after the other."""
