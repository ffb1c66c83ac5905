"""No claim is judged by less at a small scale without telling so."""

from __future__ import annotations

import pytest

RUNS = {"columns", "tuning", "means", "printed"}
"""Settings that name what was run, not what is demanded of it."""


@pytest.mark.parametrize("work", ["chen2021", "croce2019", "maerz2023", "matyasko2020", "song"])
@pytest.mark.parametrize("scale", ["demo", "small"])
def test_a_claim_whose_bounds_differ_from_those_of_full_tells_what_is_judged(work, scale, catalogues):
    whole, reduced = (catalogues(each).works[work].content.claims for each in ("full", scale))
    silent = [
        name
        for name, claim in reduced.items()
        if not (claim.reduced or claim.untestable)
        and any(claim.settings[key] != whole[name].settings[key] for key in set(claim.settings) - RUNS)
    ]
    assert silent == []
