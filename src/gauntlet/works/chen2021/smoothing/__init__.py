"""Chapter 6: fast adversarial training and Backward Smoothing."""
