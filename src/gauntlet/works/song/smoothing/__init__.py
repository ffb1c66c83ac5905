"""Randomized smoothing with generalized consistency and linear decomposition."""
