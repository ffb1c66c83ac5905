"""Chapter 3: hard-label attacks and the decision boundary (RayS)."""
