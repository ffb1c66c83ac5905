"""Legacy."""

from gauntlet.analysis.published import PARENTHESES as PARENTHESES
from gauntlet.analysis.published import agreement as agreement
from gauntlet.analysis.published import beside_published as beside_published
from gauntlet.analysis.published import published_value as published_value
from gauntlet.analysis.published import side_by_side as side_by_side
