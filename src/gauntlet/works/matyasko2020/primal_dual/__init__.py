"""Chapter 5: primal-dual attacks."""
