"""Numbers that configurations write as fractions."""

from __future__ import annotations

import pytest

from gauntlet.setting_types import parse_number


@pytest.mark.parametrize(
    ("text", "number"), [("8/255", 8 / 255), ("8/255/10", 8 / 255 / 10), ("0.3/10", 0.03), ("-3 / 4", -0.75)]
)
def test_fractions_are_divided_from_the_left(text, number):
    assert parse_number(text) == pytest.approx(number, rel=1e-15)


@pytest.mark.parametrize("value", ["8/0", "8/255/0", "8/", "sign", 0.5, None])
def test_everything_else_stays_as_it_is(value):
    assert parse_number(value) == value
