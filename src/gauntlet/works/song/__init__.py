"""song: randomized smoothing with generalized consistency and linear decomposition."""
