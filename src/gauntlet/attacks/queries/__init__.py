"""Shared by all black-box attacks: counted queries, and random numbers per image."""
