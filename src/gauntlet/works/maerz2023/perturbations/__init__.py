"""Chapter 4: perturbations in three norms, gradient similarity, black-box attacks."""
