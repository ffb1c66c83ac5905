"""Chapters 1 to 4.2: drawings, formulas, and perturbations bounded in three norms."""
