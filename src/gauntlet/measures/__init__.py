"""Measures: procedures that observe a network without attacking it. Importing the package registers them."""

from gauntlet.measures import clean, gradient_similarity, input_curvature, local_lipschitz, loss_surface

__all__ = ["clean", "gradient_similarity", "input_curvature", "local_lipschitz", "loss_surface"]
