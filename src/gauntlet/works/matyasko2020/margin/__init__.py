"""Chapter 3: deep margin maximization."""
