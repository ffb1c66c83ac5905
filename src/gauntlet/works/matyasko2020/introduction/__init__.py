"""Chapters 1 and 2: introduction and background."""
