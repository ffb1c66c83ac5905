"""Gauntlet: reproduce works on adversarial robustness, table by table and figure by figure."""

__version__ = "0.1.0"
