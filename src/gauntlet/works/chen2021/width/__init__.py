"""Chapter 5: network width and robustness."""
