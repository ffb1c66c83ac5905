"""maerz2023: gradient attacks with decaying steps, radii across norms, similarity of parameter gradients."""
