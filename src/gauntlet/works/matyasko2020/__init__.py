"""matyasko2020: minimal-norm adversarial attacks by a game between perturbation and penalty (chapter 5)."""
