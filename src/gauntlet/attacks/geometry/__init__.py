"""Norms, balls, projections and proximal operators."""
