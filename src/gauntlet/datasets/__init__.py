"""Data sets: where images come from, and how they become arrays that the rest of Gauntlet reads."""

from gauntlet.datasets.imageset import ImageSet, open_split

__all__ = ["ImageSet", "open_split"]
