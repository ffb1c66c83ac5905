"""Size of a perturbation beside that of its image: the robustness rho_adv of matyasko2020 (eqs. 3.20 and 4.9)."""

from __future__ import annotations

import pandas as pd

from gauntlet.analysis.results import Results


def relative_sizes(attack: Results, clean: Results) -> pd.Series:
    """Return ||r|| / ||x|| in l2 of each image, by sample, for whatever the attack ended with, success or not.

    Args:
        attack: one attack on one model.
        clean: the measure of the clean images that was run beside it, in the same space.
    """
    return (attack.column("l2").astype(float) / clean.column("image_l2")).rename("relative_l2")
