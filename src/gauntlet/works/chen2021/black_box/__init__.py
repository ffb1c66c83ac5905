"""Chapters 2 and 3: Frank-Wolfe attacks and RayS."""
